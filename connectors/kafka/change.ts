/**
 * A change of a table that a topic keeps: the records of the topic are the changes, and the last one of
 * a key is what the table holds of it.
 */
import { t, type Schema } from '../../api/schema.js';

export type Change<K, V> =
  | { readonly op: 'upsert'; readonly key: K; readonly value: V }
  /** A tombstone: in Kafka a key with a null value. */
  | { readonly op: 'delete'; readonly key: K };

/** For operators that put out changes: `output: changeSchema(t.string, Account)`. */
export function changeSchema<K, V>(key: Schema<K>, value: Schema<V>): Schema<Change<K, V>> {
  return t.union('op', { upsert: t.record({ key, value }), delete: t.record({ key }) });
}
