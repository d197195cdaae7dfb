/**
 * A table's change out of a Kafka record (record columns -> change decoder -> source output). A record
 * without a key changes no row: it must never pass for one.
 */
import { FormatError } from '../formats/format.js';
import type { Change } from './change.js';
import { KeyValueDecoder } from './record-decoder.js';

export class ChangeDecoder<K, V> extends KeyValueDecoder<K, V, Change<K, V>> {
  decode(index: number): Change<K, V> {
    if (!this.hasKey(index)) throw new FormatError('the key is null, so that it changes no row');
    const key = this.key(index);
    return this.hasValue(index)
      ? { op: 'upsert', key, value: this.value(index) }
      : { op: 'delete', key };
  }
}
