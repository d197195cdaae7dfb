/**
 * Reads what ByteWriter wrote. The bytes come from disk or the wire: each read is checked against
 * what is left, and nothing is allocated on the word of a length alone.
 */
import { MillraceError } from './errors.js';

export class ByteReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  uint8(): number {
    return this.bytes.readUInt8(this.claim(1));
  }

  uint16(): number {
    return this.bytes.readUInt16LE(this.claim(2));
  }

  int32(): number {
    return this.bytes.readInt32LE(this.claim(4));
  }

  float64(): number {
    return this.bytes.readDoubleLE(this.claim(8));
  }

  int64(): bigint {
    return this.bytes.readBigInt64LE(this.claim(8));
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 0x80) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw corruptBytes('a length of too many bytes');
  }

  /** The count of items that take at least a byte each. */
  count(): number {
    const count = this.varint();
    if (count > this.remaining) throw corruptBytes('more items than bytes');
    return count;
  }

  /** A copy of the next bytes. */
  raw(length: number): Uint8Array {
    const from = this.claim(length);
    return new Uint8Array(this.bytes.subarray(from, this.at));
  }

  text(): string {
    const header = this.varint();
    const wide = header % 2 === 1;
    const units = Math.floor(header / 2);
    return this.encoded(wide ? 'utf16le' : 'latin1', wide ? units * 2 : units);
  }

  encoded(encoding: 'utf8' | 'utf16le' | 'latin1', length: number): string {
    const from = this.claim(length);
    return this.bytes.toString(encoding, from, this.at);
  }

  /** Refuses bytes that nothing has read. */
  end(): void {
    if (this.remaining > 0) throw corruptBytes('bytes after its end');
  }

  private claim(length: number): number {
    if (length > this.remaining) throw corruptBytes('shorter than it says');
    const from = this.at;
    this.at += length;
    return from;
  }
}

export function corruptBytes(what: string): MillraceError {
  return new MillraceError(
    'STORAGE_CORRUPT',
    `encoded value: ${what}; restore from an older checkpoint and check the disk`,
  );
}
