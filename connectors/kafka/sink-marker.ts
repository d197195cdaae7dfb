/**
 * How far a transactional id has come, as a record of the marker topic: written in the transaction that
 * it tells of, so that both are there or neither. And how those ids are named.
 */
import { MillraceError } from '../../core/errors.js';
import { murmur2 } from './murmur2.js';
import { RecordBatchBuilder } from './record-batch-builder.js';

export interface SinkMarker {
  /** Epochs of this checkpoint and all before it are committed; -1: none is. */
  readonly checkpointId: number;
  /** Who wrote it last: only that job, and one restored from it, goes on with this id. */
  readonly jobId: string;
  readonly attempt: number;
  /** Id and epoch of the producer that wrote it: no two that ever lived have the same. */
  readonly producer: string;
  /** The greatest of the jobs that wrote it. */
  readonly parallelism: number;
}

/** Which transactional id a subtask writes under. */
export interface SinkIdentity {
  readonly prefix: string;
  readonly jobId: string;
  readonly operator: string;
  readonly subtask: number;
}

const MARKER_BYTES_MAX = 64 * 1024;

/** `millrace/4c1f9a02d7e3b856/to-kafka/0` */
export function transactionalIdOf({ prefix, jobId, operator, subtask }: SinkIdentity): string {
  return `${prefix}/${jobId}/${operator}/${subtask}`;
}

/** Neighbouring subtasks are in different partitions, so that they don't wait for each other. */
export function markerPartitionOf(identity: SinkIdentity, partitions: number): number {
  const { jobId, operator, subtask } = identity;
  const first = murmur2(Buffer.from(`${jobId}/${operator}`)) & 0x7fffffff;
  return (first + subtask) % partitions;
}

/** As the one record of a batch. */
export function markerBatch(nowMs: number, key: string, marker: SinkMarker): Buffer {
  const builder = new RecordBatchBuilder({ batchBytesMax: MARKER_BYTES_MAX });
  builder.append(nowMs, Buffer.from(key), Buffer.from(JSON.stringify(marker)));
  return builder.build();
}

/** @throws MillraceError OUTPUT_CONFLICT when it is no marker */
export function decodeMarker(bytes: Uint8Array, place: string): SinkMarker {
  try {
    const marker = JSON.parse(Buffer.from(bytes).toString()) as Partial<SinkMarker> | null;
    const { checkpointId, jobId, attempt, producer, parallelism } = marker ?? {};
    if (
      typeof checkpointId === 'number' &&
      typeof jobId === 'string' &&
      typeof attempt === 'number' &&
      typeof producer === 'string' &&
      typeof parallelism === 'number'
    ) {
      return { checkpointId, jobId, attempt, producer, parallelism };
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new MillraceError(
    'OUTPUT_CONFLICT',
    `${place} holds what is no marker of a sink, so nobody knows what is committed; ` +
      'give the sinks a markerTopic that nobody else writes to',
  );
}
