/**
 * Memory of a connection's large answers, used again once it is given back (answer assembler -> fetch answer ->
 * partition reader). Fresh memory for every answer is outside of the heap, and V8 collects the whole heap each time so
 * much of it has come up. It must never be given back while somebody still reads it.
 */

/** Below that an answer is not worth it. */
const REUSED_BYTES_MIN = 64 * 1024;
/** What a single large batch took is not kept. */
const REUSED_BYTES_MAX = 16 * 1024 * 1024;
/** So many sizes there are. */
const STEP_BYTES = 1024 * 1024;
/** One that is filled, beside those that are read. */
const FREE_MAX = 2;

export class AnswerMemory {
  readonly #free: ArrayBufferLike[] = [];

  /** What stood there before is still there. */
  take(bytes: number): Buffer {
    if (bytes < REUSED_BYTES_MIN) return Buffer.allocUnsafe(bytes);
    const found = this.#free.findIndex(({ byteLength }) => byteLength >= bytes);
    const [memory] = found < 0 ? [] : this.#free.splice(found, 1);
    if (memory !== undefined) return Buffer.from(memory, 0, bytes);
    // Too small for what comes now.
    this.#free.shift();
    return Buffer.allocUnsafeSlow(STEP_BYTES * Math.ceil(bytes / STEP_BYTES)).subarray(0, bytes);
  }

  /** Once, and by whoever reads it last. */
  giveBack(memory: ArrayBufferLike): void {
    const { byteLength } = memory;
    if (byteLength < REUSED_BYTES_MIN || byteLength > REUSED_BYTES_MAX) return;
    if (this.#free.length < FREE_MAX) this.#free.push(memory);
  }
}
