/**
 * The memory that runs are written in: pieces of one size, used again once they are stored. New memory
 * for each run would lie beside the heap until the collector has gone through all of it, and V8 lets
 * it begin for every 64 MB of that; one block for a whole run would be copied as it grows. It must
 * never give out memory that somebody still reads.
 */

/** Chunks of rows may lie across several. Smaller ones would come from glibc's arenas, and rend them. */
const PIECE_BYTES = 128 * 1024;
/** What two runs of a checkpoint take: one to write into while another is stored. */
const SPARES_MAX = 64;
/** Where memory is what counts. */
export const FEW_SPARES = 8;

export class RunBuffers {
  readonly #spares: Uint8Array[] = [];
  readonly #sparesMax: number;

  /** @param sparesMax pieces that are kept for later at most */
  constructor(sparesMax = SPARES_MAX) {
    this.#sparesMax = sparesMax;
  }

  /** Of any contents; the taker's until it is given back. */
  take(): Uint8Array {
    return this.#spares.pop() ?? new Uint8Array(PIECE_BYTES);
  }

  /** @param pieces what was taken; the last of a run may be cut off */
  give(pieces: readonly Uint8Array[]): void {
    for (const { buffer } of pieces) {
      if (this.#spares.length < this.#sparesMax) this.#spares.push(new Uint8Array(buffer));
    }
  }
}
