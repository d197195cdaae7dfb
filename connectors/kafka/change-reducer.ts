/**
 * Holds a table's changes back until the barrier, so that of each key only the last one is written (sink
 * operator -> change reducer -> epoch writer). It holds encoded bytes, since a record is its owner's
 * again after `write`, and never more than it may: then all it has goes on, and it begins anew.
 */
import type { SinkWriter } from '../../api/sink.js';
import type { Encoder } from '../formats/format.js';
import type { Change } from './change.js';
import type { KafkaHeader } from './kafka-record.js';

/** A change as bytes, which are there for the call only. */
export interface EncodedChange {
  /** Left out: there is none. */
  readonly key?: Uint8Array;
  /** Left out: the change deletes its key. */
  readonly value?: Uint8Array;
  readonly headers: readonly KafkaHeader[];
}

export interface ChangeReducerOptions<K, V, C> {
  readonly writer: SinkWriter<EncodedChange, C>;
  readonly key: Encoder<K>;
  readonly value: Encoder<V>;
  readonly timestamp: ((change: Change<K, V>, eventTimestamp: number) => number) | undefined;
  readonly headers: ((change: Change<K, V>) => readonly KafkaHeader[]) | undefined;
  /** Of keys and values; a record that is larger makes it larger. */
  readonly bytesMax: number;
}

/** The last change of a key: where its bytes are. */
interface Held {
  readonly keyStart: number;
  readonly keyEnd: number;
  /** -1: a delete. */
  valueStart: number;
  valueEnd: number;
  timestamp: number;
  headers: readonly KafkaHeader[];
}

const NO_HEADERS: readonly KafkaHeader[] = [];

export class ChangeReducer<K, V, C> implements SinkWriter<Change<K, V>, C> {
  readonly #options: ChangeReducerOptions<K, V, C>;
  /** By the key's bytes, one character each. */
  readonly #held = new Map<string, Held>();
  #memory: Buffer;
  #end = 0;

  constructor(options: ChangeReducerOptions<K, V, C>) {
    this.#options = options;
    this.#memory = Buffer.allocUnsafeSlow(options.bytesMax);
  }

  write(change: Change<K, V>, eventTimestamp: number): void {
    const { timestamp, headers, writer } = this.#options;
    const at = timestamp === undefined ? eventTimestamp : timestamp(change, eventTimestamp);
    const own = headers === undefined ? NO_HEADERS : headers(change);
    // The writer says what is wrong with it.
    if (change.key === null) writer.write({ headers: own }, at);
    else while (!this.#hold(change, at, own)) this.#makeRoom();
  }

  whenWritable(): Promise<void> | undefined {
    return this.#options.writer.whenWritable();
  }

  async prepareCommit(checkpointId: number): Promise<readonly C[]> {
    this.#flush();
    return this.#options.writer.prepareCommit(checkpointId);
  }

  notifyCommitted(committables: readonly C[]): void {
    this.#options.writer.notifyCommitted?.(committables);
  }

  close(): Promise<void> {
    return this.#options.writer.close();
  }

  /** False: there is no room for it. */
  #hold(change: Change<K, V>, timestamp: number, headers: readonly KafkaHeader[]): boolean {
    const { key, value } = this.#options;
    const keyStart = this.#end;
    const keyEnd = key.encode(change.key, this.#memory, keyStart);
    if (keyEnd < 0) return false;
    const name = this.#memory.toString('latin1', keyStart, keyEnd);
    const held = this.#held.get(name);
    // A key that is held has its bytes already.
    const valueStart = held === undefined ? keyEnd : keyStart;
    const isUpsert = change.op === 'upsert';
    const valueEnd = isUpsert ? value.encode(change.value, this.#memory, valueStart) : valueStart;
    if (valueEnd < 0) return false;
    this.#end = valueEnd;
    const place = { valueStart: isUpsert ? valueStart : -1, valueEnd, timestamp, headers };
    if (held === undefined) this.#held.set(name, { keyStart, keyEnd, ...place });
    else Object.assign(held, place);
    return true;
  }

  #makeRoom(): void {
    if (this.#held.size > 0) this.#flush();
    else this.#memory = Buffer.allocUnsafeSlow(2 * this.#memory.length);
  }

  #flush(): void {
    const { writer } = this.#options;
    for (const {
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      timestamp,
      headers,
    } of this.#held.values()) {
      const key = this.#memory.subarray(keyStart, keyEnd);
      const value = valueStart < 0 ? undefined : this.#memory.subarray(valueStart, valueEnd);
      writer.write({ key, headers, ...(value === undefined ? {} : { value }) }, timestamp);
    }
    this.#held.clear();
    this.#end = 0;
  }
}
