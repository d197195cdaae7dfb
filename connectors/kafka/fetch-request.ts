/**
 * Reads records (Fetch 13). Record sets come back as bytes, for the record-set reader to decode; topics
 * are asked for by id, so that a topic made anew never passes for the old one.
 */
import type { AbortedTransaction } from './aborted-transactions.js';
import { groupBy, type KafkaRequest } from './kafka-request.js';
import type { IsolationLevel } from './record-set-reader.js';

export interface FetchPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly fetchOffset: number;
  /** Leader epoch of the batch before the offset; undefined: not known, and a log that was cut there is not seen. */
  readonly leaderEpoch?: number | undefined;
  /** A first batch that is larger comes all the same. */
  readonly bytesMax: number;
}

export interface FetchOptions {
  readonly isolation: IsolationLevel;
  /** How long the broker may wait for something to give, ms. */
  readonly maxWaitMs: number;
  /** Of the whole answer. */
  readonly bytesMax: number;
}

export interface FetchedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly errorCode: number;
  /** -1 on errors; offsets below are committed to all replicas. */
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly abortedTransactions: readonly AbortedTransaction[];
  /** Batches, the last of which may be cut; shares memory with the other partitions' of the answer. */
  readonly recordSet: Buffer;
  /** Up to here the log is the one that was read; behind are other records than before. Undefined: it is the same. */
  readonly divergedAt: number | undefined;
}

export interface FetchAnswer {
  /** Of the whole; 0: none. */
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
  /** To be called once when all record sets have been read: their memory is written again. */
  readonly giveBack: () => void;
}

/** Of an answer that is under way when the broker's wait ends. */
const ANSWER_MS = 10_000;
const NO_BYTES = Buffer.alloc(0);
/** Number of the field that tells where a log and its reader part. */
const DIVERGING_EPOCH = 0;

export function fetchRequest(
  partitions: readonly FetchPartition[],
  options: FetchOptions,
): KafkaRequest<FetchAnswer> {
  return {
    apiKey: 1,
    apiName: 'Fetch',
    apiVersion: 13,
    flexible: true,
    timeoutMs: options.maxWaitMs + ANSWER_MS,
    write: (writer) => {
      writer.int32(-1).int32(options.maxWaitMs).int32(1).int32(options.bytesMax);
      writer.int8(options.isolation === 'read_committed' ? 1 : 0);
      // No session: each request says all.
      writer.int32(0).int32(-1);
      const topics = groupBy(partitions, ({ topicId }) => topicId);
      writer.array([...topics], ([topicId, entries]) => {
        writer.uuid(topicId);
        writer.array(entries, ({ partition, fetchOffset, leaderEpoch = -1, bytesMax }) => {
          writer.int32(partition).int32(-1).int64(fetchOffset).int32(leaderEpoch);
          writer.int64(-1).int32(bytesMax);
          writer.tags();
        });
        writer.tags();
      });
      writer.array([], () => undefined);
      writer.string('').tags();
    },
    read: (reader, throttle, giveBack) => {
      throttle(reader.int32());
      const errorCode = reader.int16();
      reader.int32();
      const fetched = reader.array(() => {
        const topicId = reader.uuid();
        const entries = reader.array((): FetchedPartition => {
          const partition = reader.int32();
          const partitionError = reader.int16();
          const highWatermark = reader.int64();
          const lastStableOffset = reader.int64();
          const logStartOffset = reader.int64();
          const abortedTransactions = reader.array(() => {
            const aborted = { producerId: reader.bigint64(), firstOffset: reader.int64() };
            reader.tags();
            return aborted;
          });
          reader.int32();
          const recordSet = reader.nullableBytes() ?? NO_BYTES;
          let divergedAt: number | undefined;
          reader.tags((tag) => {
            if (tag !== DIVERGING_EPOCH) return;
            reader.int32();
            divergedAt = reader.int64();
          });
          return {
            topicId,
            partition,
            errorCode: partitionError,
            highWatermark,
            lastStableOffset,
            logStartOffset,
            abortedTransactions,
            recordSet,
            divergedAt,
          };
        });
        reader.tags();
        return entries;
      });
      return { errorCode, partitions: fetched.flat(), giveBack };
    },
  };
}
