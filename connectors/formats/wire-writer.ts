/**
 * Writes the binary encodings of Avro and Protobuf into memory of somebody else. Where the room ends it
 * goes on counting and writes nothing, so that generated code needs no checks: `end` tells. It must
 * never write outside of the room.
 */

const EMPTY = Buffer.alloc(0);
const TWO_32 = 2 ** 32;
/** Text up to this many UTF-16 units is written by a loop, which beats a call into the runtime. */
const SHORT_TEXT_MAX = 32;
/** UTF-16 units become at most as many bytes each. */
const BYTES_PER_UNIT = 3;

export class WireWriter {
  /** Where the next byte goes. */
  at = 0;
  #target: Buffer = EMPTY;
  #view: DataView = new DataView(EMPTY.buffer, EMPTY.byteOffset, 0);
  #limit = 0;

  begin(target: Buffer, start: number): void {
    this.at = start;
    if (target === this.#target) return;
    this.#target = target;
    this.#view = new DataView(target.buffer, target.byteOffset, target.length);
    this.#limit = target.length;
  }

  /** Where the bytes end, or -1 when there was too little room. */
  get end(): number {
    return this.at > this.#limit ? -1 : this.at;
  }

  byte(value: number): void {
    if (this.at < this.#limit) this.#target[this.at] = value;
    this.at++;
  }

  float(value: number): void {
    if (this.#claim(4)) this.#view.setFloat32(this.at - 4, value, true);
  }

  double(value: number): void {
    if (this.#claim(8)) this.#view.setFloat64(this.at - 8, value, true);
  }

  fixedInt32(value: number): void {
    if (this.#claim(4)) this.#view.setInt32(this.at - 4, value, true);
  }

  fixedInt64(value: bigint): void {
    if (this.#claim(8)) this.#view.setBigInt64(this.at - 8, value, true);
  }

  bytes(value: Uint8Array): void {
    if (this.#claim(value.length)) this.#target.set(value, this.at - value.length);
  }

  /** @param value integer, 0..2^53-1 */
  unsigned(value: number): void {
    let rest = value;
    while (rest >= TWO_32 / 2) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#unsigned32(rest);
  }

  /** An integer of 64 bits, as a varint without a sign. */
  unsignedBigint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.unsigned(Number(rest));
  }

  /** @param value a safe integer; negative ones take ten bytes */
  signed(value: number): void {
    if (value >= 0) this.unsigned(value);
    else this.unsignedBigint(BigInt(value));
  }

  /** @param value a safe integer */
  zigzag(value: number): void {
    if ((value | 0) === value) this.#unsigned32(((value << 1) ^ (value >> 31)) >>> 0);
    else if (value >= -(2 ** 51) && value < 2 ** 51) {
      this.unsigned(value < 0 ? -value * 2 - 1 : value * 2);
    } else this.zigzagBigint(BigInt(value));
  }

  zigzagBigint(value: bigint): void {
    this.unsignedBigint((value << 1n) ^ (value >> 63n));
  }

  /**
   * Text as UTF-8 behind its length.
   * @param scale what the length is multiplied by: 2 for a zigzag varint, else 1
   */
  text(value: string, scale: 1 | 2): void {
    const units = value.length;
    if (units <= SHORT_TEXT_MAX && this.at + units < this.#limit) {
      const target = this.#target;
      const from = this.at + 1;
      let index = 0;
      for (; index < units; index++) {
        const unit = value.charCodeAt(index);
        if (unit > 127) break;
        target[from + index] = unit;
      }
      if (index === units) {
        target[this.at] = units * scale;
        this.at = from + units;
        return;
      }
    }
    const most = units * BYTES_PER_UNIT;
    if (most * scale < 0x80 && this.at + most < this.#limit) {
      const length = this.#target.write(value, this.at + 1);
      this.#target[this.at] = length * scale;
      this.at += length + 1;
      return;
    }
    const length = Buffer.byteLength(value);
    this.unsigned(length * scale);
    if (this.#claim(length)) this.#target.write(value, this.at - length, length);
  }

  /** Leaves room for the length of what is written next. */
  open(): number {
    this.at++;
    return this.at;
  }

  /** Puts the length of what was written since `open` before it. */
  close(start: number): void {
    const length = this.at - start;
    let lengthBytes = 1;
    for (let rest = length; rest > 0x7f; rest = Math.floor(rest / 0x80)) lengthBytes++;
    const end = this.at + lengthBytes - 1;
    if (lengthBytes > 1 && end <= this.#limit) {
      this.#target.copyWithin(start + lengthBytes - 1, start, this.at);
    }
    this.at = start - 1;
    this.unsigned(length);
    this.at = end;
  }

  #unsigned32(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  #claim(length: number): boolean {
    this.at += length;
    return this.at <= this.#limit;
  }
}
