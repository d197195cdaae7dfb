/**
 * Reads what a coordinator keeps in the meta store: JSON that was written by this version or another,
 * under a key that names it in messages. It must never let half a document through.
 */
import { MillraceError } from '../core/errors.js';
import { JsonReader, JsonShapeError } from '../core/json-reader.js';

/** @throws MillraceError STORAGE_CORRUPT naming the key and the field */
export function readStoredDocument<T>(
  key: string,
  text: string,
  read: (reader: JsonReader) => T,
): T {
  try {
    return read(new JsonReader(JSON.parse(text), key));
  } catch (error) {
    if (!(error instanceof JsonShapeError) && !(error instanceof SyntaxError)) throw error;
    throw new MillraceError(
      'STORAGE_CORRUPT',
      `${key} can't be read (${error.message}); use the version of millrace that wrote it`,
      { cause: error },
    );
  }
}
