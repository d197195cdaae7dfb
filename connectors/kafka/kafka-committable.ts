/**
 * What an exactly-once Kafka sink keeps in a checkpoint: a finished record batch and the transactional id
 * under which alone it may ever be committed; or, when records went to the brokers while the epoch ran,
 * the transaction that waits for its end. Whoever restores it commits it as what it says, so that no two
 * can do it.
 */
import { t, type Schema } from '../../api/schema.js';
import type { TopicPartition } from './kafka-request.js';

/** Of which epoch it is, and where it is told that this is committed. */
interface Epoch {
  /** The epoch is that of this checkpoint. */
  readonly checkpointId: number;
  /** The job and the attempt that wrote it. */
  readonly jobId: string;
  readonly attempt: number;
  readonly transactionalId: string;
  /** Which partition of which topic says how far this id has come. */
  readonly markerTopic: string;
  readonly markerPartition: number;
}

/** A batch that no broker has seen yet. */
export interface BatchCommittable extends Epoch {
  readonly kind: 'batch';
  readonly topic: string;
  readonly partition: number;
  /** One whole batch without a producer's identity. */
  readonly batch: Uint8Array;
}

/** A transaction that holds all of an epoch and its marker, and lacks only its end. */
export interface TransactionCommittable extends Epoch {
  readonly kind: 'transaction';
  /** As whom alone it can be ended: no other transaction ever has the same. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly markerKey: string;
  readonly markerOffset: number;
  /** Where its records are. */
  readonly partitions: readonly TopicPartition[];
}

export type KafkaCommittable = BatchCommittable | TransactionCommittable;

/** Who writes an epoch, and under what it will be committed. */
export type EpochIdentity = Omit<Epoch, 'checkpointId'>;

const epoch = {
  checkpointId: t.float64,
  jobId: t.string,
  attempt: t.int32,
  transactionalId: t.string,
  markerTopic: t.string,
  markerPartition: t.int32,
};

export const kafkaCommittableSchema: Schema<KafkaCommittable> = t.union('kind', {
  batch: t.record({ ...epoch, topic: t.string, partition: t.int32, batch: t.bytes }),
  transaction: t.record({
    ...epoch,
    producerId: t.int64,
    producerEpoch: t.int32,
    markerKey: t.string,
    markerOffset: t.float64,
    partitions: t.array(t.record({ topic: t.string, partition: t.int32 })),
  }),
});
