/** JSON as a format of Kafka's keys and values, and as a pair of functions for text in a job's own hands. */
import type { Schema } from '../../api/schema.js';
import type { Format } from './format.js';
import { JsonParser } from './json-parser.js';
import { compileJsonWriter, type JsonWriter } from './json-writer.js';

/** UTF-16 units become at most as many bytes each. */
const BYTES_PER_UNIT = 3;

export interface JsonFormat<T> extends Format<T> {
  /**
   * The record that the text stands for. Its strings may keep the text in memory.
   * @throws FormatError saying what is wrong, by field
   */
  readonly parse: (text: string) => T;
  /**
   * The record's text.
   * @throws MillraceError SCHEMA_MISMATCH naming the field that the schema does not describe
   */
  readonly stringify: (record: T) => string;
}

/**
 * JSON by a schema, twice to three times as fast as `JSON.parse`. Fields are written in the schema's
 * order and read in any; those that the schema does not name are dropped, null stands for an absent
 * optional, and
 * - float64: a number; NaN and the infinities as the strings "NaN", "Infinity", "-Infinity"
 * - int64: a number where JavaScript holds it exactly (up to 2^53), else a string of digits
 * - timestamp: milliseconds since the epoch; read from ISO 8601 text with a zone as well
 * - bytes: base64; map: an object
 *
 * The functions are compiled when first used.
 */
export function json<T>(schema: Schema<T>): JsonFormat<T> {
  let parser: JsonParser<T> | undefined;
  let write: JsonWriter<T> | undefined;
  return {
    name: 'json',
    schema,
    parse: (text) => (parser ??= new JsonParser(schema, 'the value')).parse(text),
    stringify: (record) => (write ??= compileJsonWriter(schema))(record),
    createDecoder: ({ subject }) => new JsonParser(schema, subject),
    createEncoder: () => {
      const stringify = compileJsonWriter(schema);
      return Promise.resolve({
        encode: (record: T, target: Buffer, start: number) => {
          const text = stringify(record);
          const isRoomy = text.length * BYTES_PER_UNIT <= target.length - start;
          return isRoomy ? start + target.write(text, start) : -1;
        },
      });
    },
  };
}
