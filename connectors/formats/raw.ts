/** Bytes as they are, for jobs that decode or pass them on by themselves. */
import { t } from '../../api/schema.js';
import type { Decoder, Format } from './format.js';

/** Records share memory with their neighbours: a record that is kept keeps so much at most. */
const SHARED_BYTES = 8 * 1024;

/** Copies, since views of the batch would keep all of it in memory for as long as one record lives. */
class RawDecoder implements Decoder<Uint8Array> {
  #batch: Buffer = Buffer.alloc(0);
  /** A copy of the batch's bytes [from, to), of which records are views. */
  #copy = new ArrayBuffer(0);
  #from = 0;
  #to = 0;

  begin(bytes: Buffer): void {
    this.#batch = bytes;
    this.#to = 0;
  }

  decode(start: number, end: number): Uint8Array {
    if (start < this.#from || end > this.#to) this.#copyFrom(start, end);
    return new Uint8Array(this.#copy, start - this.#from, end - start);
  }

  #copyFrom(start: number, end: number): void {
    const batch = this.#batch;
    this.#from = start;
    this.#to = Math.max(end, Math.min(batch.length, start + SHARED_BYTES));
    const from = batch.byteOffset + start;
    this.#copy = batch.buffer.slice(from, from + this.#to - start) as ArrayBuffer;
  }
}

/** Records are bytes of their own, which nothing else writes to. */
export function raw(): Format<Uint8Array> {
  return {
    name: 'raw',
    schema: t.bytes,
    createDecoder: () => new RawDecoder(),
    createEncoder: () =>
      Promise.resolve({
        encode: (record, target, start) => {
          if (start + record.length > target.length) return -1;
          target.set(record, start);
          return start + record.length;
        },
      }),
  };
}
