/**
 * JSON text to records of one schema: by the scanner, and by `JSON.parse` what the scanner gives up.
 * When it often does, it is compiled anew for the order of keys and the blanks that such a record has.
 * Whichever way a record is read it must come out the same.
 */
import { isUtf8 } from 'node:buffer';
import type { Schema } from '../../core/schema.js';
import { FormatError } from './format.js';
import { compileJsonConverter } from './json-converter.js';
import {
  compileScanner,
  scannerSource,
  type JsonLayout,
  type JsonScanner,
} from './json-scanner.js';

/** Records read slowly before the scanner is compiled anew; doubled each time it was looked at. */
const GIVEN_UP_MIN = 8;
/** Texts that are not tried at all after many in a row beyond ASCII, which the trial makes dearer. */
const UNTRIED_MAX = 64;
const TEXT_BYTES_MIN = 4096;
/** Longer text is read slowly: that bounds the memory for its bytes. */
const TEXT_LENGTH_MAX = 256 * 1024;
/** UTF-16 units become at most as many bytes each. */
const BYTES_PER_UNIT = 3;

const SPACED = /^\{"(?:[^"\\]|\\.)*": /;

export class JsonParser<T> {
  readonly #schema: Schema<T>;
  readonly #convert: (value: unknown) => T;
  #source: string | undefined;
  #scan: JsonScanner<T> | undefined;
  #givenUp = 0;
  #givenUpMax = GIVEN_UP_MIN;
  /** Texts that are still to be read slowly; twice as many after the next beyond ASCII. */
  #untried = 0;
  #untriedNext = 1;
  /** Of the batch that `begin` was given. */
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Of the text that is parsed. */
  #textBytes: Buffer = Buffer.alloc(0);
  #textView = this.#view;

  /** @param whole what messages call the value itself: `the line` */
  constructor(schema: Schema<T>, whole: string) {
    this.#schema = schema;
    this.#convert = compileJsonConverter(schema, whole);
    this.#compile({ sample: undefined, isSpaced: false });
  }

  /** @throws FormatError */
  parse(text: string): T {
    const scan = this.#scan;
    const { length } = text;
    if (scan === undefined || length > TEXT_LENGTH_MAX) return this.#convert(valueOf(text));
    if (this.#untried > 0) {
      this.#untried--;
      return this.#convert(valueOf(text));
    }
    if (this.#textBytes.length <= length * BYTES_PER_UNIT) this.#makeRoom(length);
    const bytes = this.#textBytes;
    if (bytes.write(text) !== length) {
      this.#untried = this.#untriedNext;
      this.#untriedNext = Math.min(UNTRIED_MAX, this.#untriedNext * 2);
      return this.#convert(valueOf(text));
    }
    // As many bytes as units: it is ASCII, and byte k is unit k.
    this.#untriedNext = 1;
    return scan(bytes, this.#textView, 0, length, text) ?? this.#readGivenUp(text);
  }

  /** The bytes that `decode` is about, until the next call. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  /** @throws FormatError */
  decode(start: number, end: number): T {
    const bytes = this.#bytes;
    // Text of this record alone, because a string that is cut out of a text keeps all of it alive.
    const text = bytes.toString('latin1', start, end);
    const record = this.#scan?.(bytes, this.#view, start, end, text);
    if (record !== undefined) return record;
    if (!isUtf8(bytes.subarray(start, end))) throw new FormatError('not UTF-8');
    return this.#readGivenUp(bytes.toString('utf8', start, end));
  }

  #readGivenUp(text: string): T {
    const value = valueOf(text);
    const record = this.#convert(value);
    if (++this.#givenUp >= this.#givenUpMax) {
      this.#givenUp = 0;
      this.#givenUpMax *= 2;
      this.#compile({ sample: value, isSpaced: SPACED.test(text) });
    }
    return record;
  }

  #compile(layout: JsonLayout): void {
    const source = scannerSource(this.#schema, layout);
    if (source === this.#source || source === undefined) return;
    this.#source = source;
    this.#scan = compileScanner(source);
  }

  #makeRoom(length: number): void {
    const room = Math.max(TEXT_BYTES_MIN, 2 ** Math.ceil(Math.log2((length + 1) * BYTES_PER_UNIT)));
    this.#textBytes = Buffer.allocUnsafeSlow(room);
    this.#textView = viewOf(this.#textBytes);
  }
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
