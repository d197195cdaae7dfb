/**
 * The simplest thing that behaves like keyed state: plain arrays and maps over all keys, without
 * key groups. What the tests of backends compare with; it must never share code with a backend.
 */
import { encodeKey, type Key } from '../../../core/key-codec.js';
import type { TimeDomain } from '../../../worker/state/keyed-state-backend.js';

export interface KeyContents {
  value: number | undefined;
  list: string[];
  map: Map<string, { readonly n: number; readonly note?: string }>;
  sum: number | undefined;
  mean: number | undefined;
  windows: Map<number, number>;
}

export interface ModelTimer {
  readonly key: Key;
  readonly domain: TimeDomain;
  readonly timestamp: number;
}

/** Text that is equal for equal keys only. */
export function keyText(key: Key): string {
  return Buffer.from(encodeKey(key)).toString('hex');
}

export class StateModel {
  keys = new Map<string, KeyContents>();
  /** What the mean of each key is of. */
  inputs = new Map<string, readonly number[]>();
  /** In order of registration. */
  timers: ModelTimer[] = [];

  of(key: Key): KeyContents {
    const text = keyText(key);
    let contents = this.keys.get(text);
    if (contents === undefined) {
      contents = emptyContents();
      this.keys.set(text, contents);
    }
    return contents;
  }

  copy(): StateModel {
    const copy = new StateModel();
    copy.keys = structuredClone(this.keys);
    copy.inputs = structuredClone(this.inputs);
    copy.timers = structuredClone(this.timers);
    return copy;
  }

  register(timer: ModelTimer): void {
    if (!this.timers.some((other) => isSame(other, timer))) this.timers.push(timer);
  }

  delete(timer: ModelTimer): void {
    this.timers = this.timers.filter((other) => !isSame(other, timer));
  }

  /** The timers that fire, by timestamp and then registration; they are gone after. */
  advance(domain: TimeDomain, time: number): readonly ModelTimer[] {
    const due = this.timers.filter((timer) => timer.domain === domain && timer.timestamp <= time);
    this.timers = this.timers.filter((timer) => !due.includes(timer));
    return due.sort((a, b) => a.timestamp - b.timestamp);
  }
}

export function emptyContents(): KeyContents {
  return {
    value: undefined,
    list: [],
    map: new Map(),
    sum: undefined,
    mean: undefined,
    windows: new Map(),
  };
}

function isSame(a: ModelTimer, b: ModelTimer): boolean {
  return a.domain === b.domain && a.timestamp === b.timestamp && keyText(a.key) === keyText(b.key);
}
