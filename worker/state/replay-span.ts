/**
 * The rows of a bucket that a merge holds at a time, for a bucket, and even the map of one key, may be
 * larger than memory (journey of a run: run log -> merge -> run log). A bucket is replayed in as many
 * passes as it takes. Each holds the rows of some neighbouring chunks; those before them are written
 * already, and those after them only take away what they replace. So rows are written in the order
 * in which they were read. It must never depend on what chunks contain but for how much it is, so
 * that all passes count the same.
 */

/** What is decoded takes that many times the space of the chunk. */
const DECODED_SHARE = 2;
/** What a row takes beside its value: places in Maps, and objects of its own. */
const ROW_BYTES = 160;

export class ReplaySpan {
  readonly #bytesMax: number;
  /** Chunks of the bucket that this pass has met. */
  #met = 0;
  /** The first chunk that it holds, and the first that is too much; Infinity: not known yet. */
  #start = 0;
  #end = Infinity;
  /** Estimated memory of what it holds. */
  #bytes = 0;
  /** That the first chunk is of. */
  #run = 0;
  /** Whether the chunk at hand comes after those that are held. */
  isLater = false;

  /** @param bytesMax estimated; a chunk more may be held */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Goes to the next chunk. @returns whether this pass has no use for it
   * @param ignoresLater whether its rows, if they come later, take nothing away; asked with whether they
   * are of the run that the whole span is of, which says nothing twice
   */
  skips(run: number, ignoresLater: (inSameRun: boolean) => boolean): boolean {
    const position = this.#met++;
    if (position < this.#start) return true;
    if (position === this.#start) this.#run = run;
    this.isLater = position >= this.#end;
    return this.isLater && ignoresLater(run === this.#run);
  }

  /** The chunk at hand was read. */
  hold(rows: number, bytes: number): void {
    if (this.isLater) return;
    this.#bytes += rows * ROW_BYTES + bytes * DECODED_SHARE;
    if (this.#bytes >= this.#bytesMax) this.#end = this.#met;
  }

  /** To the next pass or, after the last one, to the first of another bucket. @returns whether it is a next one */
  advance(): boolean {
    const isNext = this.#end < this.#met;
    this.#start = isNext ? this.#end : 0;
    this.#end = Infinity;
    this.#bytes = 0;
    this.#met = 0;
    this.isLater = false;
    return isNext;
  }
}
