/**
 * What a line of a file means. Both formats keep one record on one line, so that a file can be cut
 * at any newline; a format must never look beyond the line it is given.
 */
import type { Schema } from '../../api/schema.js';
import { isRecord, made, type OptionRule } from '../../core/option-check.js';

/** Turns lines into records. */
export interface LineDecoder<T> {
  /**
   * The record on a line, without its line break.
   * @throws FormatError when the line holds no record of the schema
   */
  readonly decode: (line: string) => T;
}

/** Turns records into lines. */
export interface LineEncoder<T> {
  /** The first line of every file with its line break; empty when the format has none. */
  readonly header: string;
  /**
   * The line of a record, with its line break.
   * @throws MillraceError SCHEMA_MISMATCH naming the field that the schema does not describe
   */
  readonly encode: (record: T) => string;
}

/** A format that can be written. */
export interface FileFormat<T> {
  readonly name: 'jsonLines' | 'csv';
  /** Undefined: whatever is written is taken as it is. */
  readonly schema?: Schema<T>;
  /** With its dot. */
  readonly extension: string;
  createEncoder(): LineEncoder<T>;
}

/** A format that can be read, too. */
export interface ReadableFormat<T> extends FileFormat<T> {
  readonly schema: Schema<T>;
  /** Whether the first line of a file names the columns. */
  readonly hasHeader: boolean;
  /**
   * @param header the first line of the file when `hasHeader`, else undefined
   * @throws FormatError when the header lacks a column
   */
  createDecoder(header: string | undefined): LineDecoder<T>;
}

/** @throws MillraceError PARAM_INVALID unless it is a ReadableFormat */
export const readFileFormat: OptionRule = formatWith('createDecoder');

/** @throws MillraceError PARAM_INVALID unless it is a FileFormat */
export const writtenFileFormat: OptionRule = formatWith('createEncoder');

function formatWith(method: 'createDecoder' | 'createEncoder'): OptionRule {
  return made(
    'a format of millrace/files: jsonLines(Schema) or csv(Schema)',
    'jsonLines(Schema)',
    // Formats of messages have the same functions, for bytes.
    (value) => isRecord(value) && typeof value[method] === 'function' && 'extension' in value,
  );
}
