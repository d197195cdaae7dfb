/**
 * The CSV format: one record a line, values converted by the schema. A quoted value may hold
 * anything but a line break, since a file must be cuttable at any of them.
 */
import { parse } from 'csv-parse/sync';
import { isSchema, type RecordSchema } from '../../core/schema.js';
import { FormatError } from '../formats/format.js';
import { checkOptions, fitting, flag, optional } from '../../core/option-check.js';
import type { LineDecoder, LineEncoder, ReadableFormat } from './file-format.js';
import { compileCsvCell, type CsvCell } from './csv-cell.js';

export interface CsvOptions {
  /** Whether the first line of each file names its columns; true by default. */
  readonly header?: boolean;
  /** One character, `,` by default. */
  readonly delimiter?: string;
}

const recordSchema = fitting(
  'a schema of records: t.record({ ... })',
  (value) => isSchema(value) && value.kind === 'record',
);

interface Column extends CsvCell {
  readonly name: string;
}

/**
 * One record a line, as RFC 4180 says except that a value can't hold a line break: a line with an
 * open quote is a dead letter. With a header, columns are found by name and others are ignored;
 * without, they stand in the schema's order. An empty value is an absent optional.
 * @param schema a record of scalars, literals and optionals of those. Timestamps are read from
 *   milliseconds or ISO 8601 with a zone; bytes are base64
 * @throws MillraceError SCHEMA_INVALID naming a field that no CSV value can hold; PARAM_INVALID
 */
export function csv<T>(schema: RecordSchema<T>, options: CsvOptions = {}): ReadableFormat<T> {
  recordSchema('csv: schema', schema);
  const given = checkOptions('csv', options, {
    header: optional(flag),
    delimiter: optional(
      fitting(
        'one character that is no quote or line break',
        (value) => typeof value === 'string' && value.length === 1 && !'"\r\n'.includes(value),
      ),
    ),
  });
  const { header: hasHeader = true, delimiter = ',' } = given;
  const columns = Object.entries(schema.fields).map(([name, field]) => ({
    name,
    ...compileCsvCell(name, field),
  }));
  return {
    name: 'csv',
    extension: '.csv',
    schema,
    hasHeader,
    createDecoder: (header) => new CsvDecoder<T>(columns, delimiter, header),
    createEncoder: () => new CsvEncoder<T>(columns, delimiter, hasHeader),
  };
}

class CsvDecoder<T> implements LineDecoder<T> {
  readonly #columns: readonly Column[];
  readonly #delimiter: string;
  /** Where each column of the schema stands in a line; -1: nowhere. */
  readonly #places: readonly number[];
  readonly #width: number;

  constructor(columns: readonly Column[], delimiter: string, header: string | undefined) {
    this.#columns = columns;
    this.#delimiter = delimiter;
    const names = header === undefined ? columns.map(({ name }) => name) : this.#cut(header);
    this.#width = names.length;
    this.#places = columns.map(({ name }) => names.indexOf(name));
    const missing = columns.filter(({ name, isOptional }) => !isOptional && !names.includes(name));
    if (missing.length > 0) {
      const wanted = missing.map(({ name }) => `'${name}'`).join(', ');
      throw new FormatError(`the header lacks ${wanted}`);
    }
  }

  decode(line: string): T {
    const values = this.#cut(line);
    if (values.length !== this.#width) {
      const found = `${String(values.length)} values`;
      throw new FormatError(`expected ${String(this.#width)} values, got ${found}`);
    }
    const record: Record<string, unknown> = {};
    for (let index = 0; index < this.#columns.length; index++) {
      const column = this.#columns[index];
      const text = values[this.#places[index] ?? -1];
      if (column === undefined || (column.isOptional && (text === undefined || text === '')))
        continue;
      record[column.name] = column.decode(text ?? '');
    }
    return record as T;
  }

  #cut(line: string): string[] {
    if (!line.includes('"')) return line.split(this.#delimiter);
    try {
      return parse(line, { delimiter: this.#delimiter, relax_column_count: true })[0] ?? [];
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new FormatError(`not CSV (a value can't hold a line break): ${message}`);
    }
  }
}

class CsvEncoder<T> implements LineEncoder<T> {
  readonly header: string;
  readonly #columns: readonly Column[];
  readonly #delimiter: string;

  constructor(columns: readonly Column[], delimiter: string, hasHeader: boolean) {
    this.#columns = columns;
    this.#delimiter = delimiter;
    this.header = hasHeader ? this.#join(columns.map(({ name }) => name)) : '';
  }

  encode(record: T): string {
    const fields = record as Readonly<Record<string, unknown>>;
    return this.#join(this.#columns.map(({ name, encode }) => encode(ownField(fields, name))));
  }

  #join(values: readonly string[]): string {
    const line = values.map((value) => this.#quote(value)).join(this.#delimiter);
    // An empty line is no record to any reader; a quoted empty value is.
    return `${line === '' ? '""' : line}\n`;
  }

  #quote(value: string): string {
    const isPlain = !value.includes(this.#delimiter) && !/["\r\n]|^\s|\s$/.test(value);
    return isPlain ? value : `"${value.replaceAll('"', '""')}"`;
  }
}

/** A name that every object inherits counts only when it is the record's own. */
function ownField(fields: Readonly<Record<string, unknown>>, name: string): unknown {
  return name in Object.prototype && !Object.hasOwn(fields, name) ? undefined : fields[name];
}
