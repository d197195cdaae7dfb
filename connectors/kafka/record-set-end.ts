/**
 * Where the whole batches of a record set end, told from their headers alone, so that the next fetch can
 * go out before this one is decoded. What is wrong with a batch is found by who decodes it.
 */
import { FIELD, LENGTH_PREFIX_BYTES } from './record-batch-header.js';

/** Where a fetch begins. */
export interface FetchPosition {
  readonly offset: number;
  /** Of the batch before; undefined: not known. */
  readonly leaderEpoch: number | undefined;
}

/** @returns the position behind the last whole batch; `from` when there is none */
export function recordSetEnd(recordSet: Buffer, from: FetchPosition): FetchPosition {
  let end = from;
  for (let position = 0; position + FIELD.records <= recordSet.length;) {
    const size = LENGTH_PREFIX_BYTES + recordSet.readInt32BE(position + FIELD.length);
    if (size < FIELD.records || position + size > recordSet.length) break;
    const baseOffset = Number(recordSet.readBigInt64BE(position + FIELD.baseOffset));
    const lastOffset = baseOffset + recordSet.readInt32BE(position + FIELD.lastOffsetDelta);
    const leaderEpoch = recordSet.readInt32BE(position + FIELD.partitionLeaderEpoch);
    end = { offset: lastOffset + 1, leaderEpoch };
    position += size;
  }
  return end;
}
