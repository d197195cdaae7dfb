/** Whether what a job names as the format of a key or value is one. */
import { isRecord, made, type OptionRule } from '../../core/option-check.js';

/** @throws MillraceError PARAM_INVALID */
export const readFormat: OptionRule = formatWith('createDecoder');

/** @throws MillraceError PARAM_INVALID */
export const writtenFormat: OptionRule = formatWith('createEncoder');

function formatWith(method: 'createDecoder' | 'createEncoder'): OptionRule {
  return made(
    'a format of millrace/formats: json(Schema), avro({ ... }), protobuf({ ... }), text() or raw()',
    'json(Schema) or raw()',
    // Formats of files have the same functions, for lines.
    (value) => isRecord(value) && typeof value[method] === 'function' && !('extension' in value),
  );
}
