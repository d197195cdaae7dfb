/**
 * Tumbling event-time windows with an aggregate function. A window [start, end) fires when the
 * watermark reaches end - 1; a record is late when end - 1 + allowed lateness <= watermark, and an
 * accepted late record fires its window again at once. It must not keep anything but accumulators.
 */
import type { AggregateFunction } from '../../api/functions.js';
import { MillraceError } from '../../core/errors.js';
import type { Key } from '../../core/key-codec.js';
import type { KeyedStateBackend, WindowState } from '../state/keyed-state-backend.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import { keysOf } from './batch-keys.js';
import type { OperatorOutput, OperatorSnapshot } from './operator.js';
import type { RestoredWatermarks } from './restored-watermarks.js';
import { userCodeError } from './user-code.js';

/** Results in one piece of work: a window of many keys fires over several turns, so that outputs stay bounded. */
const RESULTS_MAX = 1024;

/** A watermark whose windows are firing. */
interface Firing {
  readonly timestamp: number;
  readonly previous: number;
  readonly starts: readonly number[];
  /** Position of the window that fires, and how many of its keys have. */
  next: number;
  visited: number;
}

export interface WindowOperatorOptions {
  readonly name: string;
  readonly sizeMs: number;
  readonly offsetMs: number;
  readonly allowedLatenessMs: number;
  readonly aggregate: AggregateFunction<Key, unknown, unknown, unknown>;
  readonly selectKey: (record: unknown) => Key;
  readonly backend: KeyedStateBackend;
  readonly output: OperatorOutput;
  /** Up to where windows had fired in the restored checkpoint: those fire no second time. */
  readonly restored: RestoredWatermarks;
}

export class WindowOperator extends AbstractStreamOperator {
  readonly #options: WindowOperatorOptions;
  readonly #contents: WindowState<unknown>;
  #watermark: number;
  /** While keys restored from other subtasks may be ahead of `#watermark`. */
  #restored: RestoredWatermarks | undefined;
  #firing: Firing | undefined;

  constructor(options: WindowOperatorOptions) {
    super(options.name);
    this.#options = options;
    this.#watermark = options.restored.least;
    this.#restored = options.restored;
    this.#forgetRestored();
    this.#contents = options.backend.windowState('windowContents', options.aggregate.accumulator);
  }

  prefetch(values: readonly unknown[], timestamps: ArrayLike<number>, count: number): void {
    const { backend, selectKey } = this.#options;
    const keys = keysOf(values, count, selectKey);
    if (backend.isCold) this.#prefetchWindows(keys, timestamps);
    else backend.prefetch(keys);
  }

  processElement(value: unknown, timestamp: number): void {
    const { aggregate, sizeMs, offsetMs, allowedLatenessMs, selectKey, output } = this.#options;
    if (timestamp === -Infinity) {
      throw new MillraceError(
        'USER_CODE_FAILED',
        `window operator "${this.name}" got a record without an event time; give its source watermarks`,
        { location: { operator: this.name } },
      );
    }
    // Math.floor, not truncation: a negative timestamp belongs to the window below it.
    const start = Math.floor((timestamp - offsetMs) / sizeMs) * sizeMs + offsetMs;
    const lastMs = start + sizeMs - 1;
    const watermark = this.#restored === undefined ? this.#watermark : this.#watermarkOf(value);
    if (lastMs + allowedLatenessMs <= watermark) {
      output.sideOutput('late', value, timestamp);
      return;
    }
    try {
      const key = selectKey(value);
      this.#options.backend.setCurrentKey(key);
      const accumulator = this.#contents.get(start) ?? aggregate.createAccumulator();
      const added = aggregate.add(accumulator, value);
      this.#contents.put(start, added);
      if (lastMs <= watermark) this.#emit(start, key, added);
    } catch (error) {
      throw userCodeError(error, this.name, 'add', value);
    }
  }

  processWatermark(timestamp: number): void {
    while (this.#firing !== undefined) this.proceed();
    this.#firing = {
      timestamp,
      previous: this.#watermark,
      starts: this.#contents.windows(),
      next: 0,
      visited: 0,
    };
    this.#watermark = Math.max(this.#watermark, timestamp);
    this.proceed();
  }

  override proceed(): boolean {
    const firing = this.#firing;
    if (firing === undefined) return false;
    const { sizeMs, allowedLatenessMs, output } = this.#options;
    const { timestamp, previous, starts } = firing;
    for (let left = RESULTS_MAX; left > 0;) {
      const start = starts[firing.next];
      const lastMs = start === undefined ? Infinity : start + sizeMs - 1;
      if (start === undefined || lastMs > timestamp) {
        this.#firing = undefined;
        this.#forgetRestored();
        output.emitWatermark(timestamp);
        return false;
      }
      if (lastMs > previous) {
        const restored = this.#restored;
        const visited = this.#contents.forEach(start, firing.visited, left, (key, accumulator) => {
          if (restored === undefined || lastMs > restored.of(key)) {
            this.#emit(start, key, accumulator);
          }
        });
        firing.visited += visited;
        left -= visited;
        if (left === 0) return true;
      }
      if (lastMs + allowedLatenessMs <= timestamp) this.#contents.drop(start);
      firing.next++;
      firing.visited = 0;
    }
    return true;
  }

  processWatermarkStatus(idle: boolean): void {
    this.#options.output.emitWatermarkStatus(idle);
  }

  /** A window that fires is known as fired or not, never by half. */
  override canSnapshot(): boolean {
    return this.#firing === undefined;
  }

  override snapshot(checkpointId: number): OperatorSnapshot {
    const keyed = this.#options.backend.snapshot(checkpointId);
    return { keyed, operator: { entries: [{ watermark: this.#watermark }] } };
  }

  override close(): Promise<void> {
    return this.#options.backend.close();
  }

  #prefetchWindows(keys: readonly Key[], timestamps: ArrayLike<number>): void {
    const { backend, sizeMs, offsetMs } = this.#options;
    const keysOf = new Map<number, Key[]>();
    keys.forEach((key, i) => {
      const start = Math.floor(((timestamps[i] ?? 0) - offsetMs) / sizeMs) * sizeMs + offsetMs;
      const keysOfWindow = keysOf.get(start);
      if (keysOfWindow === undefined) keysOf.set(start, [key]);
      else keysOfWindow.push(key);
    });
    // Windows have rows of their own, keys that are in nothing else have none.
    backend.prefetch([]);
    for (const [start, keysOfWindow] of keysOf) this.#contents.prefetch(start, keysOfWindow);
  }

  #forgetRestored(): void {
    if (this.#restored !== undefined && this.#restored.greatest <= this.#watermark) {
      this.#restored = undefined;
    }
  }

  /** The time that a record meets: no key's goes back over a restore. */
  #watermarkOf(value: unknown): number {
    const restored = this.#restored;
    if (restored === undefined) return this.#watermark;
    try {
      return Math.max(this.#watermark, restored.of(this.#options.selectKey(value)));
    } catch (error) {
      throw userCodeError(error, this.name, 'add', value);
    }
  }

  #emit(start: number, key: Key, accumulator: unknown): void {
    const end = start + this.#options.sizeMs;
    let result: unknown;
    try {
      result = this.#options.aggregate.getResult(accumulator, key, { start, end });
    } catch (error) {
      throw userCodeError(error, this.name, 'getResult', { key, start, end });
    }
    this.#options.output.collect(result, end - 1);
  }
}
