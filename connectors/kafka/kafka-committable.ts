/**
 * What an exactly-once Kafka sink keeps in a checkpoint: a finished record batch, and the transactional
 * id under which alone it may ever be committed. Whoever restores it commits it under that id, so that
 * no two can do it.
 */
import { t, type Schema } from '../../api/schema.js';

export interface KafkaCommittable {
  /** The epoch is that of this checkpoint. */
  readonly checkpointId: number;
  /** The job and the attempt that wrote it. */
  readonly jobId: string;
  readonly attempt: number;
  readonly transactionalId: string;
  /** Which partition of which topic says how far this id has come. */
  readonly markerTopic: string;
  readonly markerPartition: number;
  readonly topic: string;
  readonly partition: number;
  /** One whole batch without a producer's identity. */
  readonly batch: Uint8Array;
}

/** Who writes an epoch, and under what it will be committed. */
export type EpochIdentity = Omit<
  KafkaCommittable,
  'checkpointId' | 'topic' | 'partition' | 'batch'
>;

export const kafkaCommittableSchema: Schema<KafkaCommittable> = t.record({
  checkpointId: t.float64,
  jobId: t.string,
  attempt: t.int32,
  transactionalId: t.string,
  markerTopic: t.string,
  markerPartition: t.int32,
  topic: t.string,
  partition: t.int32,
  batch: t.bytes,
});
