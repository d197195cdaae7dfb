/**
 * Where the whole batches of a record set end, told from their headers alone, so that the next fetch can
 * go out before this one is decoded. What is wrong with a batch is found by who decodes it.
 */
import { FIELD, LENGTH_PREFIX_BYTES } from './record-batch-header.js';

/** @returns the offset behind the last whole batch; `fetchOffset` when there is none */
export function recordSetEnd(recordSet: Buffer, fetchOffset: number): number {
  let end = fetchOffset;
  for (let position = 0; position + FIELD.records <= recordSet.length;) {
    const size = LENGTH_PREFIX_BYTES + recordSet.readInt32BE(position + FIELD.length);
    if (size < FIELD.records || position + size > recordSet.length) break;
    const baseOffset = Number(recordSet.readBigInt64BE(position + FIELD.baseOffset));
    end = baseOffset + recordSet.readInt32BE(position + FIELD.lastOffsetDelta) + 1;
    position += size;
  }
  return end;
}
