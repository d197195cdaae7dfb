/**
 * Reads the fields of a Kafka response; the counterpart of wire-writer.ts. An answer that is cut or
 * that counts more than it holds is an error, never a wrong value.
 */
import { MillraceError } from '../../core/errors.js';

export class WireReader {
  readonly #flexible: boolean;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer, flexible: boolean) {
    this.#bytes = bytes;
    this.#flexible = flexible;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  bigint64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** For offsets and times, which stay below 2^53. */
  int64(): number {
    const at = this.#take(8);
    return this.#bytes.readInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  /** 32 hex digits. */
  uuid(): string {
    const at = this.#take(16);
    return this.#bytes.toString('hex', at, at + 16);
  }

  nullableString(): string | null {
    const length = this.#flexible ? this.#uvarint() - 1 : this.int16();
    if (length < 0) return null;
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  /** Shares memory with the answer. */
  nullableBytes(): Buffer | null {
    const length = this.#flexible ? this.#uvarint() - 1 : this.int32();
    if (length < 0) return null;
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A null array is an empty one. */
  array<T>(read: () => T): T[] {
    const length = this.#flexible ? this.#uvarint() - 1 : this.int32();
    const values: T[] = [];
    // An element takes at least one byte: what counts more than that fails at once.
    if (length > this.#bytes.length - this.#at) throw this.#cut();
    for (let index = 0; index < length; index++) values.push(read());
    return values;
  }

  /**
   * Ends a structure: what newer versions add is passed over.
   * @param read may read the field with this number; what it leaves is passed over, too
   */
  tags(read?: (tag: number) => void): void {
    if (!this.#flexible) return;
    for (let count = this.#uvarint(); count > 0; count--) {
      const tag = this.#uvarint();
      const start = this.#take(this.#uvarint());
      const end = this.#at;
      this.#at = start;
      read?.(tag);
      this.#at = end;
    }
  }

  #uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#take(1));
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.#cut();
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes < 0 || at + bytes > this.#bytes.length) throw this.#cut();
    this.#at = at + bytes;
    return at;
  }

  #cut(): MillraceError {
    return new MillraceError(
      'WIRE_CORRUPT',
      `an answer of a Kafka broker breaks its form at byte ${String(this.#at)} of ` +
        `${String(this.#bytes.length)}; check that the port is that of a broker`,
    );
  }
}
