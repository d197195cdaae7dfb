/** Whether what a job names as the format of a key or value is one: its call is easily forgotten. */
import { MillraceError } from '../../core/errors.js';
import { isRecord, shown, wrong, type OptionRule } from '../option-check.js';

const EXPECTED =
  'a format of millrace/formats: json(Schema), avro({ ... }), protobuf({ ... }), text() or raw()';

/** @throws MillraceError PARAM_INVALID */
export const readFormat: OptionRule = (name, value) => check(name, value, 'createDecoder');

/** @throws MillraceError PARAM_INVALID */
export const writtenFormat: OptionRule = (name, value) => check(name, value, 'createEncoder');

function check(name: string, value: unknown, method: 'createDecoder' | 'createEncoder'): void {
  if (typeof value === 'function') {
    throw new MillraceError(
      'PARAM_INVALID',
      `${name} is a function; call it, as in json(Schema) or raw()`,
    );
  }
  if (!isRecord(value) || typeof value[method] !== 'function') {
    throw wrong(name, shown(value), EXPECTED);
  }
  // Formats of files have the same functions, for lines.
  if ('extension' in value) throw wrong(name, 'a format of files', EXPECTED);
}
