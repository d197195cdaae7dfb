/** What the static types of schemas accept and refuse; compiling this file is the test. */
import { t, type Infer } from '../../api/schema.js';

type Equal<A, B> =
  (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false;
const same = <A, B>(equal: Equal<A, B>): boolean => equal;

const Geo = t.record({ lat: t.float64, lon: t.float64 });
const Order = t.record({
  id: t.string,
  price: t.float64,
  pieces: t.int32,
  total: t.int64,
  paid: t.boolean,
  at: t.timestamp,
  raw: t.bytes,
  tags: t.array(t.string),
  counts: t.map(t.int32),
  note: t.optional(t.string),
  method: t.literal('card', 'cash'),
  geo: Geo,
});
export const Event = t.union('kind', { order: Order, ping: t.record({ from: t.string }) });

same<
  Infer<typeof Order>,
  {
    id: string;
    price: number;
    pieces: number;
    total: bigint;
    paid: boolean;
    at: number;
    raw: Uint8Array;
    tags: readonly string[];
    counts: ReadonlyMap<string, number>;
    method: 'card' | 'cash';
    geo: { lat: number; lon: number };
    note?: string;
  }
>(true);
same<t.infer<typeof Geo>, Infer<typeof Geo>>(true);
export const maybes = t.array(t.optional(t.int32));
same<Infer<typeof maybes>, readonly (number | undefined)[]>(true);

export function describeEvent(event: Infer<typeof Event>): string {
  switch (event.kind) {
    case 'order':
      return event.method;
    case 'ping':
      return event.from;
  }
}

export const ping: Infer<typeof Event> = {
  kind: 'ping',
  from: 'x',
  // @ts-expect-error: a ping has no method
  method: 'card',
};
export const geo: Infer<typeof Geo> = { lat: 1, lon: 2 };
// @ts-expect-error: lon is missing
export const noLon: Infer<typeof Geo> = { lat: 1 };
// @ts-expect-error: a literal takes only its values
export const method: Infer<typeof Order>['method'] = 'cheque';
// @ts-expect-error: a field is a schema, not a type name
t.record({ a: 'string' });
// @ts-expect-error: a variant is a record
t.union('kind', { a: t.string });
// @ts-expect-error: a literal needs a value
t.literal();
