/**
 * Turns a sink's records into record batches: chooses topic and partition, encodes straight into the
 * partition's batch, and hands each batch out when it is large enough or asked for. Knows nothing of
 * brokers or epochs.
 */
import { NO_TIMESTAMP } from '../../core/record-codec.js';
import { MillraceError } from '../../core/errors.js';
import type { Encoder } from '../formats/format.js';
import type { OutgoingBatch } from './batch-sender.js';
import type { KafkaHeader } from './kafka-record.js';
import { partitionOfKey } from './murmur2.js';
import { RecordBatchBuilder } from './record-batch-builder.js';
import { MalformedBytes } from './record-batch-error.js';
import type { RecordHeader } from './record-columns.js';
import type { TopicPlan } from './topic-plan.js';

/** How a record becomes a Kafka record; all of it is called for each record, in its order. */
export interface RecordMapping<T> {
  readonly topic: (record: T) => string;
  /** The key; null: none. */
  readonly key: ((record: T) => unknown) | undefined;
  /** Whether only the key is written, which deletes it in a compacted topic. */
  readonly tombstone: ((record: T) => boolean) | undefined;
  /** Undefined: by the hash of the key, and without a key wherever a batch is being filled. */
  readonly partitioner: ((record: T, partitions: number) => number) | undefined;
  /** Milliseconds; undefined: the record's event time, or now. */
  readonly timestamp: ((record: T, eventTimestamp: number) => number) | undefined;
  readonly headers: ((record: T) => readonly KafkaHeader[]) | undefined;
}

/** A topic with the encoders of its records. */
export interface TopicTarget<T> {
  readonly plan: TopicPlan;
  readonly value: Encoder<T>;
  readonly key: Encoder<unknown> | undefined;
}

export interface RecordBatcherOptions<T> {
  readonly mapping: RecordMapping<T>;
  readonly targets: readonly TopicTarget<T>[];
  /** A batch of this size is handed out. */
  readonly batchBytes: number;
  /** Where records without a key go first, so that not all subtasks begin with the same. */
  readonly firstPartition: number;
  readonly now: () => number;
  readonly emit: (batch: OutgoingBatch) => void;
}

interface Target<T> extends TopicTarget<T> {
  readonly builders: (RecordBatchBuilder | undefined)[];
  /** Where records without a key go, until a batch of it is full. */
  sticky: number;
}

const KEY_ROOM_BYTES = 256;
const KEY_BYTES_MAX = 16 * 1024 * 1024;

export class RecordBatcher<T> {
  readonly #options: RecordBatcherOptions<T>;
  readonly #targets: ReadonlyMap<string, Target<T>>;
  #keyRoom = Buffer.allocUnsafe(KEY_ROOM_BYTES);

  constructor(options: RecordBatcherOptions<T>) {
    this.#options = options;
    this.#targets = new Map(
      options.targets.map((target) => {
        const sticky = options.firstPartition % target.plan.partitions;
        return [target.plan.topic, { ...target, builders: [], sticky }];
      }),
    );
  }

  /** @throws MillraceError OUTPUT_FAILED, SCHEMA_MISMATCH, and what the job's functions throw */
  write(record: T, eventTimestamp: number): void {
    const target = this.#targetOf(record);
    const key = this.#keyOf(record, target);
    const partition = this.#partitionOf(record, key, target);
    const builder = (target.builders[partition] ??= new RecordBatchBuilder(target.plan));
    try {
      if (!this.#append(builder, record, eventTimestamp, key, target)) {
        this.#emit(target, partition, builder);
        this.#append(builder, record, eventTimestamp, key, target);
      }
    } catch (error) {
      throw error instanceof MalformedBytes ? tooLarge(error, target.plan) : error;
    }
    if (builder.sizeBytes >= this.#options.batchBytes) this.#emit(target, partition, builder);
  }

  /** Hands out all that was begun. */
  flush(): void {
    for (const target of this.#targets.values()) {
      for (const [partition, builder] of target.builders.entries()) {
        if (builder !== undefined && builder.count > 0) this.#emit(target, partition, builder);
      }
    }
  }

  #append(
    builder: RecordBatchBuilder,
    record: T,
    eventTimestamp: number,
    key: Buffer | null,
    target: Target<T>,
  ): boolean {
    const { tombstone, headers } = this.#options.mapping;
    builder.begin(this.#timestampOf(record, eventTimestamp));
    builder.writeBytes(key);
    if (tombstone?.(record) === true) {
      if (key === null) throw noKey(target.plan, 'a record that deletes its key');
      builder.writeBytes(null);
    } else {
      builder.writeEncoded(target.value, record);
    }
    return builder.end(headers?.(record).map(headerOf));
  }

  #emit(target: Target<T>, partition: number, builder: RecordBatchBuilder): void {
    const { plan } = target;
    if (target.sticky === partition) target.sticky = (partition + 1) % plan.partitions;
    this.#options.emit({ topic: plan.topic, partition, batch: builder.build() });
  }

  #targetOf(record: T): Target<T> {
    const topic = this.#options.mapping.topic(record);
    const target = this.#targets.get(topic);
    if (target !== undefined) return target;
    throw new MillraceError(
      'OUTPUT_FAILED',
      `a record goes to topic "${topic}", which the sink does not know; add it to topic.names`,
    );
  }

  #keyOf(record: T, { plan, key: encoder }: Target<T>): Buffer | null {
    const key = encoder === undefined ? null : (this.#options.mapping.key?.(record) ?? null);
    if (key !== null && encoder !== undefined) return this.#encodeKey(encoder, key, plan);
    if (plan.isCompacted) throw noKey(plan, 'a record of a compacted topic');
    return null;
  }

  /** Into memory of our own: where it goes depends on it. */
  #encodeKey(encoder: Encoder<unknown>, key: unknown, plan: TopicPlan): Buffer {
    for (;;) {
      const end = encoder.encode(key, this.#keyRoom, 0);
      if (end >= 0) return this.#keyRoom.subarray(0, end);
      if (this.#keyRoom.length >= KEY_BYTES_MAX) {
        throw new MillraceError(
          'OUTPUT_FAILED',
          `the key of a record for topic "${plan.topic}" has more than ${KEY_BYTES_MAX} bytes; ` +
            'choose a smaller one',
        );
      }
      this.#keyRoom = Buffer.allocUnsafe(2 * this.#keyRoom.length);
    }
  }

  #partitionOf(record: T, key: Buffer | null, { plan, sticky }: Target<T>): number {
    const { partitioner } = this.#options.mapping;
    if (partitioner === undefined) {
      return key === null ? sticky : partitionOfKey(key, plan.partitions);
    }
    const partition = partitioner(record, plan.partitions);
    if (Number.isInteger(partition) && partition >= 0 && partition < plan.partitions) {
      return partition;
    }
    throw new MillraceError(
      'OUTPUT_FAILED',
      `the partitioner gives partition ${partition} of topic "${plan.topic}", which has ` +
        `${plan.partitions}; give a whole number from 0 to ${plan.partitions - 1}`,
    );
  }

  #timestampOf(record: T, eventTimestamp: number): number {
    const { mapping, now } = this.#options;
    if (mapping.timestamp === undefined) {
      return eventTimestamp === NO_TIMESTAMP ? now() : Math.floor(eventTimestamp);
    }
    const timestamp = mapping.timestamp(record, eventTimestamp);
    if (Number.isSafeInteger(timestamp)) return timestamp;
    throw new MillraceError(
      'OUTPUT_FAILED',
      `the sink's timestamp of a record is ${timestamp}; give whole milliseconds`,
    );
  }
}

function headerOf({ key, value }: KafkaHeader): RecordHeader {
  return { key, value: value ?? null };
}

function noKey({ topic }: TopicPlan, what: string): MillraceError {
  return new MillraceError(
    'OUTPUT_FAILED',
    `${what} has no key (topic "${topic}"); give the sink a key that is never null`,
  );
}

function tooLarge(error: MalformedBytes, { topic, batchBytesMax }: TopicPlan): MillraceError {
  return new MillraceError(
    'OUTPUT_FAILED',
    `topic "${topic}" takes batches of at most ${batchBytesMax} bytes: ${error.message}; ` +
      "raise the topic's max.message.bytes, or make the record smaller",
    { cause: error },
  );
}
