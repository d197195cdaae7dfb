/**
 * The writer of an exactly-once Kafka sink: an epoch's batches stay here until the barrier, and then go
 * into the checkpoint. It never talks to a broker: what it keeps becomes visible by the committer alone.
 */
import type { SinkWriter } from '../../api/sink.js';
import { MillraceError } from '../../core/errors.js';
import type { OutgoingBatch } from './batch-sender.js';
import type { Compression } from './compression.js';
import type { BatchCommittable, EpochIdentity } from './kafka-committable.js';
import { compressBatch } from './record-batch-builder.js';
import type { RecordBatcher } from './record-batcher.js';
import { SendBacklog } from './send-backlog.js';

export interface EpochWriterOptions<T> {
  readonly createBatcher: (emit: (batch: OutgoingBatch) => void) => RecordBatcher<T>;
  readonly compression: Compression;
  /** Of one epoch, compressed. */
  readonly epochBytesMax: number;
  readonly identity: EpochIdentity;
}

/** Batches that wait to be compressed. */
const COMPRESSING_BYTES_MAX = 16 * 1024 * 1024;

export class EpochWriter<T> implements SinkWriter<T, BatchCommittable> {
  readonly #options: EpochWriterOptions<T>;
  readonly #batcher: RecordBatcher<T>;
  readonly #compressing = new SendBacklog(COMPRESSING_BYTES_MAX);
  #epoch = new Epoch();

  constructor(options: EpochWriterOptions<T>) {
    this.#options = options;
    this.#batcher = options.createBatcher((batch) => this.#keep(batch));
  }

  write(record: T, timestamp: number): void {
    this.#compressing.check();
    this.#batcher.write(record, timestamp);
    const { epochBytesMax } = this.#options;
    if (this.#epoch.bytes <= epochBytesMax) return;
    throw new MillraceError(
      'OUTPUT_FAILED',
      `the sink holds more than ${epochBytesMax} bytes for one checkpoint; ` +
        'shorten checkpoint.intervalMs, raise the parallelism, or raise epochBytesMax',
    );
  }

  whenWritable(): Promise<void> | undefined {
    return this.#compressing.whenWritable();
  }

  async prepareCommit(checkpointId: number): Promise<readonly BatchCommittable[]> {
    this.#batcher.flush();
    const { batches } = this.#epoch;
    this.#epoch = new Epoch();
    const finished = await Promise.all(batches);
    const { identity } = this.#options;
    return finished.map((batch) => ({ kind: 'batch', checkpointId, ...identity, ...batch }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #keep(outgoing: OutgoingBatch): void {
    const { compression } = this.#options;
    const epoch = this.#epoch;
    if (compression === 'none') {
      epoch.batches.push(Promise.resolve(outgoing));
      epoch.bytes += outgoing.batch.length;
      return;
    }
    const compressing = this.#compress(outgoing, compression, epoch);
    // It is told of at the barrier, or at the next record.
    compressing.catch((error: unknown) => {
      this.#compressing.fail(error);
    });
    epoch.batches.push(compressing);
  }

  async #compress(
    outgoing: OutgoingBatch,
    compression: Compression,
    epoch: Epoch,
  ): Promise<OutgoingBatch> {
    const { length } = outgoing.batch;
    this.#compressing.add(length);
    const batch = await compressed(outgoing.batch, compression);
    this.#compressing.remove(length);
    epoch.bytes += batch.length;
    return { ...outgoing, batch };
  }
}

/** What was written since the last barrier. */
class Epoch {
  readonly batches: Promise<OutgoingBatch>[] = [];
  bytes = 0;
}

/** Compressed, unless that makes it larger: it has the largest size already. */
export async function compressed(batch: Buffer, compression: Compression): Promise<Buffer> {
  const smaller = await compressBatch(batch, compression);
  return smaller.length < batch.length ? smaller : batch;
}
