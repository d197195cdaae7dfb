/**
 * One column of a CSV file: text to a value of the schema and back. A value with a line break is
 * refused when written, because it could not be read again.
 */
import { MillraceError } from '../../core/errors.js';
import type { Schema } from '../../core/schema.js';
import { describeSchema } from '../../core/schema-text.js';
import { validate } from '../../core/schema-validate.js';
import { FormatError } from '../formats/format.js';
import { parseIsoTimestamp } from '../formats/iso-timestamp.js';

export interface CsvCell {
  readonly isOptional: boolean;
  /** @throws FormatError when the text stands for no value of the schema */
  readonly decode: (text: string) => unknown;
  /** @throws MillraceError SCHEMA_MISMATCH */
  readonly encode: (value: unknown) => string;
}

/** What the schemas of cells describe. */
type CellValue = string | number | bigint | boolean | Uint8Array | undefined;

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^-?Infinity$|^NaN$/;
const INTEGER = /^[+-]?\d+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** @throws MillraceError SCHEMA_INVALID when no text can stand for the schema's values */
export function compileCsvCell(name: string, schema: Schema): CsvCell {
  const isOptional = schema.kind === 'optional';
  const inner = schema.kind === 'optional' ? schema.value : schema;
  const parse = parserOf(inner);
  if (parse === undefined) {
    throw new MillraceError(
      'SCHEMA_INVALID',
      `csv: field '${name}' is ${describeSchema(inner)}, which no CSV value holds; ` +
        'flatten it, or use jsonLines',
    );
  }
  return {
    isOptional,
    decode(text) {
      const value = parse(text);
      const problem = validate(inner, value === undefined ? text : value, name);
      if (problem !== undefined) throw new FormatError(problem);
      return value;
    },
    encode(value) {
      const problem = validate(schema, value, name);
      if (problem !== undefined) throw mismatch(problem);
      const text = textOf(value as CellValue);
      if (/[\r\n]/.test(text)) throw mismatch(`field '${name}' holds a line break`);
      return text;
    },
  };
}

/** From text to a value, undefined when the text does not look like one. */
function parserOf(schema: Schema): ((text: string) => unknown) | undefined {
  switch (schema.kind) {
    case 'string':
      return (text) => text;
    case 'literal':
      return (text) => schema.values.find((value) => value === text);
    case 'float64':
      return (text) => (FLOAT.test(text) ? Number(text) : undefined);
    case 'int32':
      return (text) => (INTEGER.test(text) ? Number(text) : undefined);
    case 'int64':
      return (text) => (INTEGER.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined);
    case 'timestamp':
      return (text) => (INTEGER.test(text) ? Number(text) : parseIsoTimestamp(text));
    case 'boolean':
      return (text) => (text === 'true' ? true : text === 'false' ? false : undefined);
    case 'bytes':
      return (text) =>
        BASE64.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
    default:
      return undefined;
  }
}

function textOf(value: CellValue): string {
  if (value === undefined) return '';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return String(value);
}

function mismatch(problem: string): MillraceError {
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `can't write a record as CSV: ${problem}; correct the job, or use jsonLines`,
  );
}
