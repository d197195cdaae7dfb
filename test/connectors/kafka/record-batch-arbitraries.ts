/** Random records for properties of the record-batch codec: each odd form that the format allows. */
import fc from 'fast-check';
import type { HeaderSpec, RecordSpec } from './batch-bytes.js';

const bytes: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 200 })
  .map((array) => Buffer.from(array));
const text = fc.string({ unit: 'binary', maxLength: 40 });

/** Null, empty, text that is not ASCII, any bytes, and now and then some that need a longer length. */
const field: fc.Arbitrary<Buffer | null> = fc.oneof(
  fc.constant(null),
  fc.constant(Buffer.alloc(0)),
  text.map((value) => Buffer.from(value)),
  bytes,
  fc.integer({ min: 8_000, max: 17_000 }).map((size) => Buffer.alloc(size, 'ä')),
);

const headers: fc.Arbitrary<HeaderSpec[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<HeaderSpec[]>([]) },
  fc.array(
    fc.record({ key: text, value: fc.oneof(fc.constant(null), bytes) }, { noNullPrototype: true }),
    { maxLength: 5 },
  ),
);

/** None, before 1970, around now, and far apart: their difference is still exact. */
const timestamp = fc.oneof(
  fc.constant(-1),
  fc.integer({ min: -100_000, max: 100_000 }),
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
);

export interface DraftRecord extends Omit<RecordSpec, 'offset'> {
  /** Offsets that compaction has removed before the record. */
  readonly gap: number;
}

const gap = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  fc.integer({ min: 1, max: 200 }),
  fc.integer({ min: 1, max: 50_000_000 }),
);

export const draftRecords: fc.Arbitrary<DraftRecord[]> = fc.array(
  fc.record({ key: field, value: field, timestamp, headers, gap }),
  { minLength: 1, maxLength: 12 },
);

/** The drafts in order from an offset, with their gaps. */
export function placeRecords(drafts: readonly DraftRecord[], baseOffset: number): RecordSpec[] {
  let offset = baseOffset - 1;
  return drafts.map(({ key, value, timestamp, headers, gap }) => {
    offset += 1 + gap;
    return { key, value, timestamp, headers, offset };
  });
}
