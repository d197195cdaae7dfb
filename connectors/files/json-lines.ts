/** The JSON-lines format: one JSON value a line. */
import type { Schema } from '../../api/schema.js';
import type { FileFormat, LineEncoder, ReadableFormat } from './file-format.js';
import { JsonParser } from '../formats/json-parser.js';
import { JsonWriter, writeUntypedJson } from '../formats/json-writer.js';
import { optional, schema as schemaRule } from '../../core/option-check.js';

const NAME = 'jsonLines';
const EXTENSION = '.ndjson';

/**
 * One JSON value a line. Fields stand in the schema's order; fields that it does not name are
 * dropped, null stands for an absent optional, and
 * - float64: a number; NaN and the infinities as the strings "NaN", "Infinity", "-Infinity"
 * - int64: a number where JavaScript holds it exactly (up to 2^53), else a string of digits
 * - timestamp: milliseconds since the epoch; read from ISO 8601 text with a zone as well
 * - bytes: base64; map: an object
 *
 * Without a schema (for sinks only) a value is written as it is, by the same rules.
 * @throws MillraceError PARAM_INVALID for what is no schema
 */
export function jsonLines<T>(schema: Schema<T>): ReadableFormat<T>;
export function jsonLines<T>(): FileFormat<T>;
export function jsonLines<T>(schema?: Schema<T>): ReadableFormat<T> | FileFormat<T> {
  optional(schemaRule)('jsonLines: schema', schema);
  if (schema === undefined) {
    return { name: NAME, extension: EXTENSION, createEncoder: () => linesOf(writeUntypedJson) };
  }
  return {
    name: NAME,
    extension: EXTENSION,
    schema,
    hasHeader: false,
    createDecoder: () => {
      const parser = new JsonParser(schema, 'the line');
      return { decode: (line) => parser.parse(line) };
    },
    createEncoder: () => {
      const writer = new JsonWriter(schema);
      return linesOf((record) => writer.stringify(record));
    },
  };
}

function linesOf<T>(stringify: (record: T) => string): LineEncoder<T> {
  return { header: '', encode: (record) => `${stringify(record)}\n` };
}
