/**
 * Writes the fields of a Kafka request. In flexible versions of the protocol strings, bytes and arrays
 * carry a compact length, and every structure ends with its tagged fields, of which we send none.
 */
const ROOM_BYTES = 512;

export class WireWriter {
  readonly #flexible: boolean;
  #bytes = Buffer.allocUnsafe(ROOM_BYTES);
  #end = 0;

  constructor(flexible: boolean) {
    this.#flexible = flexible;
  }

  /** What was written so far. */
  get written(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  /** Makes room for so many bytes more at once. */
  room(bytes: number): this {
    const end = this.#end;
    this.#reserve(bytes);
    this.#end = end;
    return this;
  }

  int8(value: number): this {
    const at = this.#reserve(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  int64(value: bigint | number): this {
    const at = this.#reserve(8);
    this.#bytes.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  /** @param value 32 hex digits */
  uuid(value: string): this {
    const at = this.#reserve(16);
    this.#bytes.write(value, at, 16, 'hex');
    return this;
  }

  string(value: string | null): this {
    const length = value === null ? -1 : Buffer.byteLength(value);
    if (this.#flexible) this.#uvarint(length + 1);
    else this.int16(length);
    if (value !== null) {
      const at = this.#reserve(length);
      this.#bytes.write(value, at, 'utf8');
    }
    return this;
  }

  bytes(value: Uint8Array): this {
    if (this.#flexible) this.#uvarint(value.byteLength + 1);
    else this.int32(value.byteLength);
    const at = this.#reserve(value.byteLength);
    this.#bytes.set(value, at);
    return this;
  }

  array<T>(values: readonly T[] | null, write: (value: T) => void): this {
    const length = values === null ? -1 : values.length;
    if (this.#flexible) this.#uvarint(length + 1);
    else this.int32(length);
    values?.forEach(write);
    return this;
  }

  /** Ends a structure. */
  tags(): this {
    if (this.#flexible) this.int8(0);
    return this;
  }

  #uvarint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.int8(((rest & 0x7f) | 0x80) - 0x100);
    this.int8(rest);
  }

  #reserve(bytes: number): number {
    const at = this.#end;
    this.#end += bytes;
    if (this.#end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#end, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
