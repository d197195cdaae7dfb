/** The keys of a batch of records that is about to come, for whoever looks them up together. */
import type { Key } from '../../core/key-codec.js';

/** As many as there are up to the first record that has none, which fails when it is its turn. */
export function keysOf(
  values: readonly unknown[],
  count: number,
  selectKey: (record: unknown) => Key,
): readonly Key[] {
  const keys: Key[] = [];
  try {
    for (let i = 0; i < count; i++) keys.push(selectKey(values[i]));
  } catch {
    // User code: the record itself will say why.
  }
  return keys;
}
