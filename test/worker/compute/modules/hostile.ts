/** A scoring module that does whatever the id of a record tells it to do wrong. */
import type { Scored, Transaction } from '../scoring-fixture.js';

export function score(records: readonly Transaction[]): readonly Scored[] | Promise<never> {
  const orders = new Set(records.map(({ id }) => id));
  if (orders.has('hang')) for (;;);
  if (orders.has('wait')) return new Promise(() => undefined);
  if (orders.has('exit')) process.exit(3);
  if (orders.has('throw') || records.some(({ price }) => price < 0))
    throw new TypeError('no model for this currency');
  if (orders.has('only together') && records.length > 1) throw new RangeError('batch too diverse');
  if (orders.has('too few')) return [];
  if (orders.has('no array')) return undefined as unknown as readonly Scored[];
  return records.map(({ id, price }) => ({
    id,
    risk: id === 'unfit' ? (`${String(price)}` as unknown as number) : price,
  }));
}
