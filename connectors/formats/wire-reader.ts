/**
 * Reads the binary encodings of Avro and Protobuf: 7-bit varints, zigzag, little-endian numbers, UTF-8.
 * The bytes come from anywhere: each read is checked against what is left of the record, and nothing
 * is allocated or repeated on the word of a length alone.
 */
import { isUtf8 } from 'node:buffer';
import { FormatError } from './format.js';

const EMPTY = Buffer.alloc(0);
const TWO_32 = 2 ** 32;
/** The bits of four bytes that no ASCII has. */
const BEYOND_ASCII = 0x80808080 | 0;
const REPLACEMENT = '\ufffd';

export class WireReader {
  /** The next byte to read. */
  at = 0;
  /** Where the record, or the part of it that is read, ends. */
  end = 0;
  #bytes: Buffer = EMPTY;
  #view: DataView = new DataView(EMPTY.buffer, EMPTY.byteOffset, 0);
  /** Of the record, a character for each byte; undefined: no text of it was read yet. */
  #characters: string | undefined;
  #recordStart = 0;
  #recordEnd = 0;
  /** Of the last varint, as signed integers of 32 bits. */
  #low = 0;
  #high = 0;

  /** The bytes that positions point into, until the next call. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The next record is in bytes [start, end). */
  open(start: number, end: number): void {
    this.at = start;
    this.end = end;
    this.#recordStart = start;
    this.#recordEnd = end;
    this.#characters = undefined;
  }

  /** @throws FormatError when bytes are left over */
  finish(): void {
    if (this.at !== this.end) {
      throw new FormatError(`the record ends ${String(this.end - this.at)} bytes before its bytes`);
    }
  }

  byte(): number {
    if (this.at >= this.end) throw truncated();
    return this.#bytes[this.at++] ?? 0;
  }

  boolean(): boolean {
    const byte = this.byte();
    if (byte > 1) throw new FormatError(`a boolean of ${String(byte)}`);
    return byte === 1;
  }

  float(): number {
    return this.#view.getFloat32(this.#claim(4), true);
  }

  double(): number {
    return this.#view.getFloat64(this.#claim(8), true);
  }

  fixedInt32(): number {
    return this.#view.getInt32(this.#claim(4), true);
  }

  fixedUint32(): number {
    return this.#view.getUint32(this.#claim(4), true);
  }

  fixedInt64(): bigint {
    return this.#view.getBigInt64(this.#claim(8), true);
  }

  /** A copy of the next bytes: a view would keep the whole batch in memory. */
  bytes(length: number): Uint8Array {
    const from = this.#claim(length);
    return new Uint8Array(this.#bytes.subarray(from, this.at));
  }

  text(length: number): string {
    const from = this.#claim(length);
    if (this.#isAscii(from, this.at)) {
      // One call into the runtime for all of the record's texts. They keep its bytes alive, not the batch's.
      this.#characters ??= this.#bytes.toString('latin1', this.#recordStart, this.#recordEnd);
      return this.#characters.substring(from - this.#recordStart, this.at - this.#recordStart);
    }
    const text = this.#bytes.toString('utf8', from, this.at);
    if (text.includes(REPLACEMENT) && !isUtf8(this.#bytes.subarray(from, this.at))) {
      throw new FormatError('text that is no UTF-8');
    }
    return text;
  }

  skip(length: number): void {
    this.#claim(length);
  }

  /** The length of what follows. @throws FormatError when it is longer than what is left */
  length(): number {
    return this.#lengthOf(this.unsigned());
  }

  zigzagLength(): number {
    return this.#lengthOf(this.zigzag());
  }

  /** A varint without a sign; beyond 2^53 rounded. */
  unsigned(): number {
    const first = this.at < this.end ? (this.#bytes[this.at] ?? 0) : 0x80;
    if (first < 0x80) {
      this.at++;
      return first;
    }
    this.#varint();
    return (this.#high >>> 0) * TWO_32 + (this.#low >>> 0);
  }

  unsignedBigint(): bigint {
    this.#varint();
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }

  /** The low 32 bits of a varint, with a sign. */
  low32(): number {
    this.#varint();
    return this.#low;
  }

  /** A varint as a signed integer of 64 bits; beyond 2^53 rounded. */
  signed(): number {
    this.#varint();
    return this.#high * TWO_32 + (this.#low >>> 0);
  }

  signedBigint(): bigint {
    return this.#exact(this.signed());
  }

  /** A zigzag varint; beyond 2^53 rounded. */
  zigzag(): number {
    const first = this.at < this.end ? (this.#bytes[this.at] ?? 0) : 0x80;
    if (first < 0x80) {
      this.at++;
      return (first >>> 1) ^ -(first & 1);
    }
    this.#varint();
    const sign = -(this.#low & 1);
    this.#low = ((this.#low >>> 1) | (this.#high << 31)) ^ sign;
    this.#high = (this.#high >>> 1) ^ sign;
    return this.#high * TWO_32 + (this.#low >>> 0);
  }

  zigzagBigint(): bigint {
    return this.#exact(this.zigzag());
  }

  /** @throws FormatError when it has more than 32 bits */
  zigzagInt32(): number {
    const value = this.zigzag();
    if (value !== (value | 0)) throw new FormatError(`an int of ${String(value)}`);
    return value;
  }

  /** @param value of the last varint, rounded */
  #exact(value: number): bigint {
    if (Number.isSafeInteger(value)) return BigInt(value);
    return (BigInt(this.#high) << 32n) | BigInt(this.#low >>> 0);
  }

  #lengthOf(length: number): number {
    if (length < 0) throw new FormatError(`a length of ${String(length)}`);
    if (length > this.end - this.at) throw truncated();
    return length;
  }

  #varint(): void {
    const bytes = this.#bytes;
    const limit = Math.min(this.end, this.at + 10);
    let low = 0;
    let high = 0;
    let shift = 0;
    for (let at = this.at; at < limit; at++) {
      const byte = bytes[at] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) break;
        this.at = at + 1;
        this.#low = low;
        this.#high = high;
        return;
      }
      shift += 7;
    }
    throw limit === this.end ? truncated() : new FormatError('an integer of more than 64 bits');
  }

  #isAscii(from: number, to: number): boolean {
    let at = from;
    for (; at + 4 <= to; at += 4) {
      if ((this.#view.getInt32(at, true) & BEYOND_ASCII) !== 0) return false;
    }
    for (; at < to; at++) {
      if ((this.#bytes[at] ?? 0) > 127) return false;
    }
    return true;
  }

  #claim(length: number): number {
    if (length > this.end - this.at) throw truncated();
    const from = this.at;
    this.at += length;
    return from;
  }
}

function truncated(): FormatError {
  return new FormatError('the bytes end within the record');
}
