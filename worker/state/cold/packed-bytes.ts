/**
 * Lists of byte strings in one buffer, so that hundreds of keys or rows cross between threads as one
 * transferred ArrayBuffer. Each item is its length (32 bits, little-endian) and its bytes; a length
 * of all ones says that there is nothing, which is not the same as no bytes.
 */
import { invariant } from '../../../core/errors.js';

const ABSENT = 0xffff_ffff;
const LENGTH_BYTES = 4;
const CAPACITY_BYTES_MIN = 1024;

export class PackedWriter {
  #bytes: Buffer;
  #used = 0;
  #count = 0;

  constructor(capacityBytes = CAPACITY_BYTES_MIN) {
    this.#bytes = own(capacityBytes);
  }

  /** Items so far, absent ones included. */
  get count(): number {
    return this.#count;
  }

  get lengthBytes(): number {
    return this.#used;
  }

  add(item: Uint8Array): void {
    this.#room(LENGTH_BYTES + item.length);
    this.#used = this.#bytes.writeUInt32LE(item.length, this.#used);
    this.#bytes.set(item, this.#used);
    this.#used += item.length;
    this.#count++;
  }

  addAbsent(): void {
    this.#room(LENGTH_BYTES);
    this.#used = this.#bytes.writeUInt32LE(ABSENT, this.#used);
    this.#count++;
  }

  /** The list in memory that may be transferred; the writer begins anew. */
  take(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#bytes;
    invariant(buffer instanceof ArrayBuffer, 'packed bytes lie in memory of one thread');
    const taken = new Uint8Array(buffer, 0, this.#used);
    this.#bytes = own(this.#used);
    this.#used = 0;
    this.#count = 0;
    return taken;
  }

  #room(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = own(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#used);
    this.#bytes = larger;
  }
}

/** Reads a list in order; the items are views of it. */
export class PackedReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bufferOf(bytes);
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** @returns undefined for an absent item */
  next(): Buffer | undefined {
    const length = this.#bytes.readUInt32LE(this.#at);
    this.#at += LENGTH_BYTES;
    if (length === ABSENT) return undefined;
    invariant(this.#at + length <= this.#bytes.length, 'a packed item ends within its list');
    const item = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return item;
  }
}

/** Memory of its own: a buffer from Node's pool can't be transferred. */
function own(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(Math.max(bytes, CAPACITY_BYTES_MIN)));
}

/** The same memory with the methods of a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
