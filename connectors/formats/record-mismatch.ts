/** Records that can't be written: found by generated code, told in words. */
import type { Schema } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import { describeValue } from '../../core/schema-text.js';
import { validate } from '../../core/schema-validate.js';

/** Thrown as soon as a check against our schema fails; `mismatchOf` then finds the words. */
export class MismatchSignal extends Error {}

/** What to throw for what a writer of `format` threw. */
export function mismatchOf(
  format: string,
  schema: Schema,
  record: unknown,
  error: unknown,
): unknown {
  if (!(error instanceof MismatchSignal)) return error;
  return mismatch(format, validate(schema, record) ?? 'the record changed while it was written');
}

/** Where the schema describes the value, but the format can't hold it. */
export function misfit(path: string, expected: string, value: unknown): never {
  const field = path === '' ? '' : `field '${path}': `;
  throw mismatch('the format', `${field}expected ${expected}, got ${describeValue(value)}`);
}

function mismatch(format: string, problem: string): MillraceError {
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `can't write a record as ${format}: ${problem}; correct the job or the format's schema`,
  );
}
