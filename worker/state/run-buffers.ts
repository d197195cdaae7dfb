/**
 * The memory that runs are written in, used again once a run is stored. New memory for each run would
 * lie beside the heap until the collector has gone through all of it, and V8 lets it begin for every
 * 64 MB of that: a checkpoint of all state would set it off several times. It must never give out
 * memory that somebody still reads.
 */

/** The first of a run; it grows to what the largest took. */
const BYTES_MIN = 64 * 1024;
/** One to write into while another is stored. */
const SPARES_MAX = 2;

export class RunBuffers {
  readonly #spares: ArrayBuffer[] = [];

  /** Of any contents; the taker's until it is given back. */
  take(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#spares.pop() ?? new ArrayBuffer(BYTES_MIN));
  }

  /** @param bytes what was taken, or a part of it */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (this.#spares.length < SPARES_MAX) this.#spares.push(buffer);
  }
}
