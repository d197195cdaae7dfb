/**
 * A table's change out of a Kafka record (record columns -> change decoder -> source output). A record
 * without a key changes no row: it must never pass for one.
 */
import { FormatError, type Decoder } from '../formats/format.js';
import type { Change } from './change.js';
import type { RecordColumns } from './record-columns.js';
import { decodeKey, NO_COLUMNS, type RecordDecoder } from './record-decoder.js';

export class ChangeDecoder<K, V> implements RecordDecoder<Change<K, V>> {
  readonly #key: Decoder<K>;
  readonly #value: Decoder<V>;
  #columns = NO_COLUMNS;

  constructor(key: Decoder<K>, value: Decoder<V>) {
    this.#key = key;
    this.#value = value;
  }

  begin(columns: RecordColumns): void {
    this.#columns = columns;
    this.#key.begin(columns.bytes);
    this.#value.begin(columns.bytes);
  }

  has(): boolean {
    return true;
  }

  decode(index: number): Change<K, V> {
    const { keyStarts, keyEnds, valueStarts, valueEnds } = this.#columns;
    const keyStart = keyStarts[index] ?? -1;
    if (keyStart < 0) throw new FormatError('the key is null, so that it changes no row');
    const key = decodeKey(this.#key, keyStart, keyEnds[index] ?? 0);
    const valueStart = valueStarts[index] ?? -1;
    if (valueStart < 0) return { op: 'delete', key };
    return { op: 'upsert', key, value: this.#value.decode(valueStart, valueEnds[index] ?? 0) };
  }
}
