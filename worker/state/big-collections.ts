/**
 * The maps and lists of one operator that are too large to be in memory whole, as far as they are:
 * what of them was not used of late leaves memory by itself, while their key stays (journey of a
 * record: keyed state -> big collections -> cold store). It must never give up what the log lacks.
 */
import type { ColdElements } from './cold/cold-elements.js';
import type { LiveMemory, LiveShare } from './live-memory.js';

/** What makes a collection a big one; either does. */
export interface CollectionBound {
  readonly elementsMax: number;
  /** Estimated. */
  readonly bytesMax: number;
}

export const COLLECTION_BOUND: CollectionBound = { elementsMax: 1000, bytesMax: 64 * 1024 };

/** So many rows of a list together are as large as a list that is just big. */
const LIST_PARTS = 4;
/** Collections looked at in one search for something to give up. */
const VISITS_MAX = 16;
/** What the log lacks is written at the latest at this size: it is written in one piece per key. */
const UNSAVED_BYTES_MAX = 4 * 1024 * 1024;

/** One big map. */
export interface BigCollection {
  /** Gives up a bounded part of what is in memory and in the log. @returns false if there is none */
  trim(): boolean;
}

export interface BigCollectionsOptions {
  readonly elements: ColdElements;
  readonly memory: LiveMemory;
  readonly bound: CollectionBound;
  /** Much that could leave memory is not in the log: it has to be written soon. */
  readonly onUnsaved: () => void;
}

export class BigCollections implements LiveShare {
  readonly elements: ColdElements;
  readonly #options: BigCollectionsOptions;
  /** Those with anything in memory; the search begins with the first. */
  readonly #live = new Set<BigCollection>();
  #bytes = 0;
  #unsaved = 0;
  #unsavedBytes = 0;

  constructor(options: BigCollectionsOptions) {
    this.#options = options;
    this.elements = options.elements;
    options.memory.join(this);
  }

  get bytes(): number {
    return this.#bytes;
  }

  isBig(elements: number, bytes: number): boolean {
    const { elementsMax, bytesMax } = this.#options.bound;
    return elements > elementsMax || bytes > bytesMax;
  }

  /** Whether elements of a big list are enough for a row of their own. */
  isPart(elements: number, bytes: number): boolean {
    const { elementsMax, bytesMax } = this.#options.bound;
    return elements * LIST_PARTS >= elementsMax || bytes * LIST_PARTS >= bytesMax;
  }

  close(): void {
    this.#options.memory.leave(this);
  }

  join(collection: BigCollection): void {
    this.#live.add(collection);
  }

  leave(collection: BigCollection): void {
    this.#live.delete(collection);
  }

  /** Parts came into memory or left it. */
  count(bytes: number): void {
    this.#bytes += bytes;
    this.#options.memory.count(bytes);
  }

  /** Parts changed that the log then lacks or, if negative, were written there. */
  countUnsaved(elements: number, bytes: number): void {
    this.#unsaved += elements;
    this.#unsavedBytes += bytes;
  }

  /** Called after each use, for one record may use all of a collection. */
  relieve(): void {
    if (this.#unsavedBytes > UNSAVED_BYTES_MAX) this.#options.onUnsaved();
    this.#options.memory.relieve();
  }

  evict(): void {
    const { memory, bound, onUnsaved } = this.#options;
    let visits = 0;
    for (const collection of this.#live) {
      if (!memory.isShort || visits++ >= VISITS_MAX) break;
      if (collection.trim()) continue;
      // The next search begins behind it.
      this.#live.delete(collection);
      this.#live.add(collection);
    }
    if (memory.isShort && this.#unsaved > bound.elementsMax) onUnsaved();
  }
}
