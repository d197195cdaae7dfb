/**
 * The producing end of one channel: gathers records into a chunk, sends it when there is a credit,
 * and holds at most a few closed chunks when there is none (journey of a record: record writer ->
 * result subpartition -> exchange server). A barrier may overtake what is held. It never blocks; the task asks `isFull` between batches.
 */
import type { RecordBuilder, RecordCodec } from '../../core/record-codec.js';
import {
  isInFlight,
  isRecords,
  type Buffer,
  type CheckpointBarrier,
  type InFlightBuffer,
  type RecordBatch,
  type StreamEvent,
} from './buffer.js';
import { BufferDebloater } from './buffer-debloater.js';
import {
  CHANNEL_CREDITS,
  CHUNK_BYTES_MAX,
  CHUNK_RECORDS_MIN,
  LOCAL_CHANNEL_CREDITS,
  SUBPARTITION_QUEUE_MAX,
} from './limits.js';
import { OutputStatus } from './output-status.js';

/** Where buffers go: the consumer's gate in the same slot, or the exchange. */
export type SendBuffer = (channel: number, buffer: Buffer) => void;

/** A barrier on its way out, and who wants to know what it had to overtake. */
interface WaitingBarrier {
  readonly barrier: CheckpointBarrier;
  readonly onSent: (overtaken: readonly InFlightBuffer[]) => void;
}

export class ResultSubpartition {
  readonly channel: number;
  readonly #send: SendBuffer;
  /** Encodes for another slot; undefined for a consumer in the same slot, which takes the records as they are. */
  readonly #codec: RecordCodec<unknown> | undefined;
  /** Made for the first record: many a channel never sees one, and there may be hundreds. */
  #builder: RecordBuilder<unknown> | undefined;
  readonly #queue: Buffer[] = [];
  #queuedRecords = 0;
  /** Queued behind records; replaced by a newer one, since its checkpoint is then given up. */
  #waiting: WaitingBarrier | undefined;
  #batch: RecordBatch | undefined;
  readonly #debloater: BufferDebloater;
  #chunkRecords: number;
  #status = new OutputStatus(1);
  /** Among the channels of the status. */
  #position = 0;
  #isFull = false;

  constructor(
    channel: number,
    send: SendBuffer,
    codec: RecordCodec<unknown> | undefined,
    monotonic: () => number,
  ) {
    this.channel = channel;
    this.#send = send;
    this.#codec = codec;
    this.#debloater = new BufferDebloater(
      monotonic,
      codec === undefined ? LOCAL_CHANNEL_CREDITS : CHANNEL_CREDITS,
    );
    this.#chunkRecords = this.#debloater.chunkRecords;
  }

  /** Keeps a status that it shares with other channels, from before the first record. */
  reportTo(status: OutputStatus, position: number): void {
    this.#status = status;
    this.#position = position;
  }

  /** True while the task should take no further input. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True when everything sent has been consumed, so there is nothing to wait for. */
  get isReceiverIdle(): boolean {
    return this.#debloater.inFlight === 0;
  }

  append(value: unknown, timestamp: number): void {
    if (this.#codec !== undefined) {
      const builder = (this.#builder ??= this.#codec.builder(CHUNK_RECORDS_MIN));
      builder.append(value, timestamp);
      const { count } = builder;
      if (count === 1) this.#status.open.add(this.#position);
      if (count >= this.#chunkRecords || builder.byteEstimate >= CHUNK_BYTES_MAX) this.flush();
      return;
    }
    let batch = this.#batch;
    if (batch === undefined) {
      batch = { kind: 'batch', values: [], timestamps: [] };
      this.#batch = batch;
      this.#status.open.add(this.#position);
    }
    batch.values.push(value);
    batch.timestamps.push(timestamp);
    if (batch.values.length >= this.#chunkRecords) this.flush();
  }

  /** Closes the open chunk, if any, and sends it when there is a credit. */
  flush(): void {
    const builder = this.#builder;
    const batch = this.#batch;
    if (builder !== undefined && builder.count > 0) {
      this.#status.open.delete(this.#position);
      this.#enqueue({ kind: 'chunk', bytes: builder.finish() });
    } else if (batch !== undefined) {
      this.#status.open.delete(this.#position);
      this.#batch = undefined;
      this.#enqueue(batch);
    }
  }

  /** Sends an event in order with the records before it. */
  emit(event: StreamEvent): void {
    this.flush();
    this.#enqueue(event);
  }

  /**
   * Sends a barrier in order, which is at once unless records wait for credits; then it may still be made to overtake
   * them. `onSent` is told once what it overtook, nothing as a rule; it takes what it keeps before it returns, since
   * the buffers go on their own way afterwards.
   */
  emitBarrier(
    barrier: CheckpointBarrier,
    onSent: (overtaken: readonly InFlightBuffer[]) => void,
  ): void {
    this.#waiting = { barrier, onSent };
    this.emit(barrier);
  }

  /** Sends the barrier of a checkpoint now, if it still waits. */
  overtake(checkpointId: number): void {
    const waiting = this.#waiting;
    if (waiting?.barrier.checkpointId !== checkpointId) return;
    this.#waiting = undefined;
    const at = this.#queue.indexOf(waiting.barrier);
    const overtaken = this.#queue.slice(0, at).filter(isInFlight);
    this.#queue.splice(at, 1);
    // The consumer need not wait again for what has been waited for here.
    this.#send(this.channel, { ...waiting.barrier, alignmentTimeoutMs: 0 });
    waiting.onSent(overtaken);
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
      if (buffer === this.#waiting?.barrier) {
        this.#waiting.onSent([]);
        this.#waiting = undefined;
      }
    }
    if (sent === this.#queue.length) this.#queue.length = 0;
    else if (sent > 0) this.#queue.splice(0, sent);
    const isFull = this.#queuedRecords >= SUBPARTITION_QUEUE_MAX;
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#status.full += isFull ? 1 : -1;
  }
}
