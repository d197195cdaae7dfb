/**
 * The writer of a Kafka sink whose records go out while the epoch runs: batches as they fill, or a few ms
 * after their first record. What a barrier means is for the output to say that it hands them to.
 */
import type { SinkContext, SinkWriter } from '../../api/sink.js';
import type { OutgoingBatch } from './batch-sender.js';
import type { KafkaCommittable } from './kafka-committable.js';
import type { RecordBatcher } from './record-batcher.js';
import type { SendBacklog } from './send-backlog.js';

/** Where finished batches go. */
export interface StreamingOutput {
  add(batch: OutgoingBatch): void;
  /** As that of a writer. */
  prepareCommit(checkpointId: number): Promise<readonly KafkaCommittable[]>;
  notifyCommitted?(committables: readonly KafkaCommittable[]): void;
  close(): Promise<void>;
}

export interface StreamingWriterOptions<T> {
  readonly createBatcher: (emit: (batch: OutgoingBatch) => void) => RecordBatcher<T>;
  readonly output: StreamingOutput;
  /** Of what the output has to send. */
  readonly backlog: SendBacklog;
  readonly clock: Pick<SinkContext['clock'], 'setTimer'>;
  readonly lingerMs: number;
}

export class StreamingWriter<T> implements SinkWriter<T, KafkaCommittable> {
  readonly #options: StreamingWriterOptions<T>;
  readonly #batcher: RecordBatcher<T>;
  #cancelLinger: (() => void) | undefined;

  constructor(options: StreamingWriterOptions<T>) {
    this.#options = options;
    this.#batcher = options.createBatcher((batch) => options.output.add(batch));
  }

  write(record: T, timestamp: number): void {
    this.#options.backlog.check();
    this.#batcher.write(record, timestamp);
    this.#cancelLinger ??= this.#options.clock.setTimer(this.#options.lingerMs, () => {
      this.#flush();
    });
  }

  whenWritable(): Promise<void> | undefined {
    return this.#options.backlog.whenWritable();
  }

  prepareCommit(checkpointId: number): Promise<readonly KafkaCommittable[]> {
    const { backlog, output } = this.#options;
    backlog.check();
    this.#flush();
    return output.prepareCommit(checkpointId);
  }

  notifyCommitted(committables: readonly KafkaCommittable[]): void {
    this.#options.output.notifyCommitted?.(committables);
  }

  close(): Promise<void> {
    this.#cancelLinger?.();
    return this.#options.output.close();
  }

  #flush(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    this.#batcher.flush();
  }
}
