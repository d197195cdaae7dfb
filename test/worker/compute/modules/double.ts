/** A sound scoring module: an asynchronous one, so that both forms of `score` are met. */
import type { Scored, Transaction } from '../scoring-fixture.js';

export async function score(records: readonly Transaction[]): Promise<readonly Scored[]> {
  await Promise.resolve();
  return records.map(({ id, price }) => ({ id, risk: price * 2 }));
}
