/**
 * Which writes are not done yet, and of which keys, so that a read waits for those it must see and
 * overtakes all others. Keys are told apart by a hash: two that share one only wait needlessly.
 */
import { murmur3Hash32 } from '../../../core/murmur3.js';
import type { ByteRange } from './cold-database.js';
import { isAfter } from './database-signals.js';

interface Unfinished {
  readonly sequence: number;
  readonly hashes: ReadonlySet<number>;
  readonly range: ByteRange | undefined;
}

export class UnfinishedWrites {
  /** In the order they were sent. */
  #sent: Unfinished[] = [];
  #gathered = new Set<number>();
  #last = 0;

  /** Sequence number of the write that is being gathered. */
  get gathering(): number {
    return (this.#last + 1) | 0;
  }

  /** Sequence number of the last write, the gathered one included. */
  get last(): number {
    return this.#gathered.size > 0 ? this.gathering : this.#last;
  }

  gather(key: Uint8Array): void {
    this.#gathered.add(murmur3Hash32(key) | 0);
  }

  /** What was gathered goes on its way. @returns its sequence number */
  send(): number {
    const hashes = this.#gathered;
    this.#gathered = new Set();
    return this.#send(hashes, undefined);
  }

  sendRange(range: ByteRange): number {
    return this.#send(new Set(), range);
  }

  /** Writes sent and not done. */
  count(done: number): number {
    this.#forget(done);
    return this.#sent.length;
  }

  /** The last write that touches any of these keys; `done` when there is none. */
  lastOf(keys: readonly Uint8Array[], done: number): number {
    this.#forget(done);
    if (this.#sent.length === 0 && this.#gathered.size === 0) return done;
    let last = done;
    for (const key of keys) {
      const hash = murmur3Hash32(key) | 0;
      if (this.#gathered.has(hash)) return this.gathering;
      for (const { sequence, hashes, range } of this.#sent) {
        if (!isAfter(sequence, last)) continue;
        if (hashes.has(hash) || (range !== undefined && isWithin(key, range))) last = sequence;
      }
    }
    return last;
  }

  #send(hashes: ReadonlySet<number>, range: ByteRange | undefined): number {
    this.#last = this.gathering;
    this.#sent.push({ sequence: this.#last, hashes, range });
    return this.#last;
  }

  #forget(done: number): void {
    while (this.#sent[0] !== undefined && !isAfter(this.#sent[0].sequence, done))
      this.#sent.shift();
  }
}

function isWithin(key: Uint8Array, { from, to }: ByteRange): boolean {
  return Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0;
}
