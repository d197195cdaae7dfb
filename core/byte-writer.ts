/**
 * A growing buffer for row encodings of values and keys, reused from one to the next. All numbers
 * are little-endian; lengths are varints of 7 bits a byte.
 */

/** Text up to this many characters is written by a loop, which beats a call into the runtime. */
const SHORT_TEXT_MAX = 48;
const WIDE = /[\u0100-\uffff]/;

export class ByteWriter {
  private bytes = Buffer.alloc(256);
  private used = 0;

  get length(): number {
    return this.used;
  }

  reset(): void {
    this.used = 0;
  }

  /** What was written, in memory of its own. */
  take(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(0, this.used));
  }

  /** The buffer itself, of which the first `length` bytes count; valid until the next write. */
  peek(): Uint8Array {
    return this.bytes;
  }

  uint8(value: number): void {
    this.room(1);
    this.bytes[this.used++] = value;
  }

  uint16(value: number): void {
    this.room(2);
    this.used = this.bytes.writeUInt16LE(value, this.used);
  }

  int32(value: number): void {
    this.room(4);
    this.used = this.bytes.writeInt32LE(value, this.used);
  }

  /** Every NaN is written as one, so that equal values have equal bytes. */
  float64(value: number): void {
    this.room(8);
    if (Number.isNaN(value)) {
      this.bytes.writeUInt32LE(0, this.used);
      this.used = this.bytes.writeUInt32LE(0x7ff80000, this.used + 4);
    } else {
      this.used = this.bytes.writeDoubleLE(value, this.used);
    }
  }

  int64(value: bigint): void {
    this.room(8);
    this.used = this.bytes.writeBigInt64LE(value, this.used);
  }

  /** @param value integer, 0..2^53-1 */
  varint(value: number): void {
    this.room(8);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.used++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.used++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** Text with its length: latin1, or UTF-16 where a character needs it, so every string survives. */
  text(value: string): void {
    const wide = WIDE.test(value);
    this.varint(value.length * 2 + (wide ? 1 : 0));
    if (wide) this.encoded(value, 'utf16le', value.length * 2);
    else this.latin1(value);
  }

  latin1(value: string): void {
    if (value.length > SHORT_TEXT_MAX) {
      this.encoded(value, 'latin1', value.length);
      return;
    }
    this.room(value.length);
    for (let i = 0; i < value.length; i++) this.bytes[this.used++] = value.charCodeAt(i);
  }

  encoded(value: string, encoding: 'utf8' | 'utf16le' | 'latin1', bytes: number): void {
    this.room(bytes);
    if (bytes > 0) this.used += this.bytes.write(value, this.used, bytes, encoding);
  }

  private room(bytes: number): void {
    const needed = this.used + bytes;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.alloc(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}
