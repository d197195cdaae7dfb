/**
 * The producing end of one channel: gathers records into a chunk, sends it when there is a credit,
 * and holds at most a few closed chunks when there is none (journey of a record: record writer ->
 * result subpartition -> exchange server). It never blocks; the task asks `isFull` between batches.
 */
import type { RecordBuilder } from '../../core/record-codec.js';
import { isRecords, type Buffer, type RecordBatch, type StreamEvent } from './buffer.js';
import { BufferDebloater } from './buffer-debloater.js';
import { CHUNK_BYTES_MAX, SUBPARTITION_QUEUE_MAX } from './limits.js';

/** Where buffers go: the consumer's gate in the same slot, or the exchange. */
export type SendBuffer = (channel: number, buffer: Buffer) => void;

export class ResultSubpartition {
  readonly channel: number;
  readonly #send: SendBuffer;
  /** Encodes for another slot; undefined for a consumer in the same slot, which takes the records as they are. */
  readonly #builder: RecordBuilder<unknown> | undefined;
  readonly #queue: Buffer[] = [];
  #queuedRecords = 0;
  #batch: RecordBatch | undefined;
  readonly #debloater: BufferDebloater;
  #chunkRecords: number;

  constructor(
    channel: number,
    send: SendBuffer,
    builder: RecordBuilder<unknown> | undefined,
    monotonic: () => number,
  ) {
    this.channel = channel;
    this.#send = send;
    this.#builder = builder;
    this.#debloater = new BufferDebloater(monotonic);
    this.#chunkRecords = this.#debloater.chunkRecords;
  }

  /** True while the task should take no further input. */
  get isFull(): boolean {
    return this.#queuedRecords >= SUBPARTITION_QUEUE_MAX;
  }

  /** True when everything sent has been consumed, so there is nothing to wait for. */
  get isReceiverIdle(): boolean {
    return this.#debloater.inFlight === 0;
  }

  get hasOpenChunk(): boolean {
    return this.#builder === undefined ? this.#batch !== undefined : this.#builder.count > 0;
  }

  append(value: unknown, timestamp: number): void {
    const builder = this.#builder;
    if (builder !== undefined) {
      builder.append(value, timestamp);
      if (builder.count >= this.#chunkRecords || builder.byteEstimate >= CHUNK_BYTES_MAX) {
        this.flush();
      }
      return;
    }
    let batch = this.#batch;
    if (batch === undefined) {
      batch = { kind: 'batch', values: [], timestamps: [] };
      this.#batch = batch;
    }
    batch.values.push(value);
    batch.timestamps.push(timestamp);
    if (batch.values.length >= this.#chunkRecords) this.flush();
  }

  /** Closes the open chunk, if any, and sends it when there is a credit. */
  flush(): void {
    if (this.#builder !== undefined) {
      if (this.#builder.count > 0) this.#enqueue({ kind: 'chunk', bytes: this.#builder.finish() });
    } else if (this.#batch !== undefined) {
      const batch = this.#batch;
      this.#batch = undefined;
      this.#enqueue(batch);
    }
  }

  /** Sends an event in order with the records before it. */
  emit(event: StreamEvent): void {
    this.flush();
    this.#enqueue(event);
  }

  addCredits(count: number): void {
    this.#debloater.consumed(count);
    this.#chunkRecords = this.#debloater.chunkRecords;
    this.#drain();
  }

  #enqueue(buffer: Buffer): void {
    this.#queue.push(buffer);
    if (isRecords(buffer)) this.#queuedRecords++;
    this.#drain();
  }

  #drain(): void {
    let sent = 0;
    for (const buffer of this.#queue) {
      if (isRecords(buffer)) {
        if (!this.#debloater.admits()) break;
        this.#debloater.sent();
        this.#queuedRecords--;
      }
      sent++;
      this.#send(this.channel, buffer);
    }
    if (sent === this.#queue.length) this.#queue.length = 0;
    else if (sent > 0) this.#queue.splice(0, sent);
  }
}
