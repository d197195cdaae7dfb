/**
 * What a backend keeps of one key, and the timers of that key: each knows the other. They are plain
 * memory; who counts, orders, saves or evicts them is another's affair.
 */
import type { Key } from '../../core/key-codec.js';
import type { TimeDomain } from './keyed-state-backend.js';

/** What a Map can find a key by: the key itself, or the text of a tuple's or record's bytes. */
export type KeyIdentity = string | number | bigint | boolean;

/** The row of an entry in the cold store. */
export const COLD = {
  /** There is none. */
  absent: 0,
  /** It is no longer what the entry is. */
  stale: 1,
  current: 2,
} as const;

export class KeyEntry {
  /** Where the index of keys has it; negative once it is gone. */
  position = -1;
  /** Slots, windows and timers that still need this entry. */
  holds = 0;
  /** Bits of what changed and is not in the log yet. */
  changed = 0;
  /** The epoch in which it changed, while `changed` is not 0. */
  epoch = 0;
  /** Bits of the slots that the log has rows of, so that clearing them has to be logged. */
  logged = 0;
  /** The first of its timers. */
  timers: Timer | undefined;
  /** One of `COLD`. */
  cold: number = COLD.absent;
  /** Used since the search for something to evict came by. */
  referenced = true;
  /** Estimated memory, as far as it was counted. */
  bytes = 0;

  constructor(
    readonly key: Key,
    readonly identity: KeyIdentity,
    /** Of the key, as a signed number. */
    readonly hash: number,
    /** Tells keys apart in hash tables that can't hash a key. */
    readonly ordinal: number,
    /** By index of the state; undefined where there is nothing. */
    readonly slots: unknown[],
  ) {}
}

export class Timer {
  /** Position in the heap. */
  index = -1;
  /** Next timer in the same bucket of the hash table. */
  next: Timer | undefined;
  /** The other timers of the key, of both domains. */
  nextOfKey: Timer | undefined;
  previousOfKey: Timer | undefined;
  /** Whether it is in the index of cold timers. */
  cold = false;
  /** The epoch in which it fired or was deleted; 0 while it waits. */
  goneIn = 0;

  constructor(
    readonly domain: TimeDomain,
    readonly entry: KeyEntry,
    readonly timestamp: number,
    readonly sequence: number,
    /** The epoch in which it was registered; the log has it from the next one on. */
    readonly epoch: number,
  ) {}
}
