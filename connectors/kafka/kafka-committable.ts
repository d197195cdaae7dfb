/**
 * What an exactly-once Kafka sink keeps in a checkpoint: a finished record batch, and the transactional
 * id under which alone it may ever be committed. Whoever restores it commits it under that id, so that
 * no two can do it.
 */
import { t, type Schema } from '../../api/schema.js';

export interface KafkaCommittable {
  /** The epoch is that of this checkpoint. */
  readonly checkpointId: number;
  /** The job that wrote it. */
  readonly jobId: string;
  readonly transactionalId: string;
  /** Partition of the marker topic that says how far this id has come. */
  readonly markerPartition: number;
  readonly topic: string;
  readonly partition: number;
  /** One whole batch without a producer's identity. */
  readonly batch: Uint8Array;
}

export const kafkaCommittableSchema: Schema<KafkaCommittable> = t.record({
  checkpointId: t.float64,
  jobId: t.string,
  transactionalId: t.string,
  markerPartition: t.int32,
  topic: t.string,
  partition: t.int32,
  batch: t.bytes,
});
