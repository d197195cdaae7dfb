/**
 * Tells when followed files have grown: by the file system's events, and by looking now and then,
 * because events get lost on network file systems. It must never read the files.
 */
import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { SourceContext } from '../../api/source.js';

interface Watch {
  readonly path: string;
  readonly sizeBytes: number;
  readonly onChange: () => void;
  watcher: FSWatcher | undefined;
}

export class GrowthWatcher {
  readonly #clock: SourceContext['clock'];
  readonly #intervalMs: number;
  readonly #watches = new Set<Watch>();
  #cancelTimer: (() => void) | undefined;

  constructor(clock: SourceContext['clock'], intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /**
   * Calls `onChange` once, as soon as the file is not of `sizeBytes` any more: longer, shorter or gone.
   */
  watch(path: string, sizeBytes: number, onChange: () => void): void {
    const entry: Watch = { path, sizeBytes, onChange, watcher: undefined };
    this.#watches.add(entry);
    try {
      entry.watcher = watch(path, () => void this.#check(entry));
      entry.watcher.on('error', () => entry.watcher?.close());
    } catch {
      // Out of watches, or gone already: looking now and then finds out.
      entry.watcher = undefined;
    }
    void this.#check(entry);
    this.#schedule();
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const entry of this.#watches) entry.watcher?.close();
    this.#watches.clear();
  }

  #schedule(): void {
    if (this.#cancelTimer !== undefined || this.#watches.size === 0) return;
    this.#cancelTimer = this.#clock.setTimer(this.#intervalMs, () => {
      this.#cancelTimer = undefined;
      for (const entry of this.#watches) void this.#check(entry);
      this.#schedule();
    });
  }

  async #check(entry: Watch): Promise<void> {
    const size = await stat(entry.path).then(
      (stats) => stats.size,
      () => undefined,
    );
    if (size === entry.sizeBytes || !this.#watches.delete(entry)) return;
    entry.watcher?.close();
    entry.onChange();
  }
}
