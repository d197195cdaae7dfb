/**
 * A block of whole lines, cut into lines. Positions count bytes; text is made line by line, so that
 * a value that is kept never keeps its block in memory.
 */
import { isAscii, isUtf8 } from 'node:buffer';

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const BYTE_ORDER_MARK = '\uFEFF';

/** Whole lines; only the last line of a file may lack its break. */
export interface LineBlock {
  readonly bytes: Buffer;
  /** Where `bytes` begins in the file. */
  readonly position: number;
  /** Set when `bytes` is but the head of a line that is too long; the line ends before this byte. */
  readonly oversizedEnd?: number;
}

export class LineCursor {
  readonly #bytes: Buffer;
  readonly #base: number;
  readonly #isAscii: boolean;
  readonly #isUtf8: boolean;
  #at = 0;
  /** Without its line break and without a byte order mark. */
  line = '';
  /** Where `line` begins in the file. */
  position: number;
  /** Where the next line begins. */
  nextPosition: number;
  /** Length of the line without its newline. */
  byteLength = 0;

  constructor(block: LineBlock) {
    this.#bytes = block.bytes;
    this.#base = block.position;
    this.#isAscii = isAscii(block.bytes);
    this.#isUtf8 = this.#isAscii || isUtf8(block.bytes);
    this.position = block.position;
    this.nextPosition = block.position;
  }

  /** Moves to the next line; false when there is none. */
  advance(): boolean {
    const start = this.#at;
    const bytes = this.#bytes;
    if (start >= bytes.length) return false;
    const newline = bytes.indexOf(NEWLINE, start);
    const next = newline < 0 ? bytes.length : newline + 1;
    let end = newline < 0 ? bytes.length : newline;
    if (end > start && bytes[end - 1] === CARRIAGE_RETURN) end--;
    this.#at = next;
    this.byteLength = (newline < 0 ? next : newline) - start;
    this.position = this.#base + start;
    this.nextPosition = this.#base + next;
    this.line = bytes.toString(this.#isAscii ? 'latin1' : 'utf8', start, end);
    if (this.position === 0 && this.line.startsWith(BYTE_ORDER_MARK))
      this.line = this.line.slice(1);
    return true;
  }

  /** Whether the current line is UTF-8; if not, `line` has replacement characters. */
  isValidText(): boolean {
    if (this.#isUtf8) return true;
    return isUtf8(this.#bytes.subarray(this.position - this.#base, this.nextPosition - this.#base));
  }
}
