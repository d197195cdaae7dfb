/**
 * One section of a run while it is written: rows come in any order of buckets, and each bucket's rows
 * leave as chunks of their own. Builders are kept for the next bucket that needs one.
 */
import { NO_TIMESTAMP, type RecordBuilder, type RecordCodec } from '../../core/record-codec.js';
import type { ChunkEntry, ChunkList } from './run-file.js';

/** A chunk is closed at either; large enough for columns to pay, small with one open per bucket. */
const CHUNK_ROWS_MAX = 512;
const CHUNK_BYTES_MAX = 128 * 1024;
/** Rows that a builder makes room for at first: most buckets of a small change get a few. */
const CAPACITY_MIN = 16;

export class RunSection<Row> {
  readonly #codec: () => RecordCodec<Row>;
  readonly #open: (RecordBuilder<Row> | undefined)[] = [];
  readonly #idle: RecordBuilder<Row>[] = [];
  #chunks: ChunkEntry[] = [];

  /** @param codec asked for only when there is a row */
  constructor(codec: () => RecordCodec<Row>) {
    this.#codec = codec;
  }

  /** @throws MillraceError SCHEMA_MISMATCH, and nothing of the row is kept */
  append(bucket: number, row: Row, list: ChunkList): void {
    let builder = this.#open[bucket];
    if (builder === undefined) {
      builder = this.#idle.pop() ?? this.#codec().builder(CAPACITY_MIN);
      this.#open[bucket] = builder;
    }
    builder.append(row, NO_TIMESTAMP);
    if (builder.count >= CHUNK_ROWS_MAX || builder.byteEstimate >= CHUNK_BYTES_MAX) {
      this.#chunks.push(list.add(bucket, builder.finish()));
    }
  }

  close(bucket: number, list: ChunkList): void {
    const builder = this.#open[bucket];
    if (builder === undefined) return;
    this.#open[bucket] = undefined;
    if (builder.count > 0) this.#chunks.push(list.add(bucket, builder.finish()));
    this.#idle.push(builder);
  }

  /** Closes every bucket. @returns all chunks since the last call */
  take(list: ChunkList): readonly ChunkEntry[] {
    for (let bucket = 0; bucket < this.#open.length; bucket++) this.close(bucket, list);
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }
}
