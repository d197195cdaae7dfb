/**
 * Reads alerts as they are committed: whole files appear in the output folder, each once. It shows
 * what it can and must never fail the demo: the comparison at the end reads everything anew.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { LATEST_MAX, parseAlert, type AlertLine } from './alert-line.js';
import type { AlertFeed } from './demo-workload.js';

/** Committed files have plain names; what is hidden or pending belongs to nobody yet. */
const COMMITTED_NAME = /^[^._].*\.ndjson$/;

export class AlertTail implements AlertFeed {
  readonly #folder: string;
  readonly #seen = new Set<string>();
  #count = 0;
  #latest: readonly AlertLine[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Alerts committed so far. */
  get count(): number {
    return this.#count;
  }

  /** The latest ones, newest last. */
  get latest(): readonly AlertLine[] {
    return this.#latest;
  }

  async read(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names.sort()) {
      if (this.#seen.has(name) || !COMMITTED_NAME.test(name)) continue;
      const text = await readFile(path.join(this.#folder, name), 'utf8').catch(() => undefined);
      if (text === undefined) continue;
      this.#seen.add(name);
      const lines = text.split('\n').filter((line) => line !== '');
      this.#count += lines.length;
      const alerts = lines.slice(-LATEST_MAX).map(parseAlert);
      this.#latest = [...this.#latest, ...alerts.filter((alert) => alert !== undefined)].slice(
        -LATEST_MAX,
      );
    }
  }
}
