/**
 * Records in Confluent's wire format: a byte 0, the id of the writer's schema (4 bytes, big-endian), the
 * record. The reader of each id is made once and kept; one that can't be made is kept as well, so that
 * its records are dead letters without a request each.
 */
import { FormatError, SchemaMissing, type Decoder } from './format.js';

export const FRAME_BYTES = 5;
const MAGIC = 0;
const READERS_MAX = 1000;

/** Reads the record in bytes [start, end) of the batch. */
export type ReadBody<T> = (start: number, end: number) => T;

export interface FramedDecoderOptions<T> {
  /** The batch that positions point into from now on. */
  readonly begin: (bytes: Buffer) => void;
  /** Makes the reader of an id. @throws FormatError when its records can't be read, ever */
  readonly open: (id: number) => Promise<ReadBody<T>>;
}

/** What stands before each record with the schema of this id. */
export function framePrefix(id: number): Buffer {
  const prefix = Buffer.alloc(FRAME_BYTES, MAGIC);
  prefix.writeInt32BE(id, 1);
  return prefix;
}

/** The id of the schema. @throws FormatError when there is no frame */
export function readFrame(bytes: Buffer, start: number, end: number): number {
  if (end - start >= FRAME_BYTES && bytes[start] === MAGIC) return bytes.readInt32BE(start + 1);
  const found = bytes.toString('hex', start, Math.min(end, start + FRAME_BYTES));
  throw new FormatError(
    `a record of a schema registry begins with 00 and an id of 4 bytes, this one with ${found || 'nothing'}`,
  );
}

export class FramedDecoder<T> implements Decoder<T> {
  readonly #options: FramedDecoderOptions<T>;
  readonly #readers = new Map<number, ReadBody<T>>();
  #bytes: Buffer = Buffer.alloc(0);
  #id = -1;
  #read: ReadBody<T> | undefined;

  constructor(options: FramedDecoderOptions<T>) {
    this.#options = options;
  }

  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#options.begin(bytes);
  }

  decode(start: number, end: number): T {
    const id = readFrame(this.#bytes, start, end);
    if (id !== this.#id || this.#read === undefined) {
      const read = this.#readers.get(id);
      if (read === undefined) throw new SchemaMissing(() => this.#load(id));
      this.#id = id;
      this.#read = read;
    }
    return this.#read(start + FRAME_BYTES, end);
  }

  async #load(id: number): Promise<void> {
    const read = await this.#options.open(id).catch((error: unknown): ReadBody<T> => {
      if (!(error instanceof FormatError)) throw error;
      const { message } = error;
      return () => {
        throw new FormatError(message);
      };
    });
    const [oldest] = this.#readers.keys();
    if (this.#readers.size >= READERS_MAX && oldest !== undefined) this.#readers.delete(oldest);
    this.#readers.set(id, read);
  }
}
