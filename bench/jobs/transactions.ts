/**
 * The 7-field transaction of about 100 bytes that all benchmarks send, made from an index alone. Text
 * comes out of tables, so that making a record costs little beside what is measured. A record can be
 * traced back to its index, which is how a tally proves that nothing is missing or doubled.
 */
import { t, type Infer } from 'millrace';

export const Transaction = t.record({
  transaction_id: t.string,
  user_id: t.string,
  product_id: t.string,
  price: t.float64,
  timestamp: t.timestamp,
  payment_method: t.string,
  geolocation: t.string,
});
export type Transaction = Infer<typeof Transaction>;

export const USERS = 100_000;
/** Event time of record 0, ms: a whole minute. */
export const EPOCH_MS = 1_700_000_040_000;
/** Splits of every generator: the stride at which a split walks through the index. A power of two. */
export const SPLITS = 8;

const ID_BLOCK = 10_000;
/** Users come in this stride, so that neighbours in the stream are strangers. Products of it stay below 2^31: a remainder of more would be a division of floats. */
const STRIDE = 2003;

const table = (count: number, make: (index: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, index) => make(index));
const idTails = table(ID_BLOCK, (i) => String(i).padStart(4, '0'));
const products = table(5000, (i) => `product-${String(i).padStart(5, '0')}`);
const methods = ['credit-card', 'paypal', 'wallet', 'bank-transfer'];
const places = table(1021, (i) => `${(48 + i / 997).toFixed(5)},${(11 + i / 883).toFixed(5)}`);

let idBlock = -1;
let idHead = '';

/** 12 characters: V8 copies so short a text at once, and keeps a longer one as a tree to be flattened later. */
function transactionId(index: number): string {
  const block = Math.floor(index / ID_BLOCK);
  if (block !== idBlock) {
    idBlock = block;
    idHead = `tx${String(block).padStart(6, '0')}`;
  }
  return idHead + (idTails[index % ID_BLOCK] ?? '');
}

/**
 * How records choose their users: in a round; at random, after a round in which each comes once; some
 * much more often than others.
 */
export const DRAWS = ['cycle', 'uniform', 'zipf'] as const;
export type Draw = (typeof DRAWS)[number];

/** 1 / (1 - exponent), of the exponent of 0.99 that benchmarks of stores use. */
const ZIPF_POWER = 100;

/** Numbers below 2^32 that look random, one for each index. */
function scattered(index: number): number {
  let h = Math.imul(index ^ (index >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** By products alone: `**` may differ in its last bit from what a peer's library makes of it. */
function hundredthPower(x: number): number {
  const x4 = x * x * (x * x);
  const x16 = x4 * x4 * (x4 * x4);
  const x32 = x16 * x16;
  return x32 * x32 * x32 * x4;
}

/** The user of record `index`, as a number below `users`. */
function drawOf(draw: Draw, users: number): (index: number) => number {
  switch (draw) {
    case 'cycle':
      return (index) => ((index % users) * STRIDE) % users;
    case 'uniform':
      return (index) => (index < users ? (index * STRIDE) % users : scattered(index) % users);
    case 'zipf': {
      // The integral of the density in the place of its sum: near enough from the second rank on.
      const width = Math.round((users ** (1 / ZIPF_POWER) - 1) * 1e9) / 1e9;
      return (index) => {
        const rank = Math.floor(hundredthPower(1 + (scattered(index) / 2 ** 32) * width));
        // Neighbours in rank are strangers.
        return (Math.min(users, rank) * STRIDE) % users;
      };
    }
  }
}

export interface TransactionsOptions {
  /** Distinct users. */
  readonly users: number;
  /** `cycle` unless told: record i is of user (i * 2003) % users. */
  readonly draw?: Draw;
  /** Event time of record i is EPOCH_MS + floor(i / recordsPerMs). */
  readonly recordsPerMs: number;
}

/** The function that makes record `index`; it keeps its tables and nothing of its records. */
export function transactionsOf(options: TransactionsOptions): (index: number) => Transaction {
  const { users, recordsPerMs, draw = 'cycle' } = options;
  const userOf = drawOf(draw, users);
  // Made when they first come: a million at once would be a quarter of a second before the first record.
  const userIds = new Array<string | undefined>(users).fill(undefined);
  const userId = (user: number): string =>
    (userIds[user] ??= `user-${String(user).padStart(7, '0')}`);
  return (index) => ({
    transaction_id: transactionId(index),
    user_id: userId(userOf(index)),
    product_id: products[((index % products.length) * 31) % products.length] ?? '',
    price: (((index % 9973) * 13) % 9973) / 4,
    timestamp: EPOCH_MS + Math.floor(index / recordsPerMs),
    payment_method: methods[index & 3] ?? '',
    geolocation: places[index % places.length] ?? '',
  });
}

/** The map before the exchange: one field changes. */
export function withTax(record: Transaction): Transaction {
  return {
    transaction_id: record.transaction_id,
    user_id: record.user_id,
    product_id: record.product_id,
    price: record.price * 1.25,
    timestamp: record.timestamp,
    payment_method: record.payment_method,
    geolocation: record.geolocation,
  };
}

/** The map behind the exchange: one field changes. */
export function withFee(record: Transaction): Transaction {
  return {
    transaction_id: record.transaction_id,
    user_id: record.user_id,
    product_id: record.product_id,
    price: record.price + 0.5,
    timestamp: record.timestamp,
    payment_method: record.payment_method,
    geolocation: record.geolocation,
  };
}

/** A number that depends on every field of the record; small and exact, so that sums don't depend on order. */
export function fingerprint(record: Transaction): number {
  const { transaction_id, user_id, product_id, payment_method, geolocation } = record;
  return (
    record.price * 8 +
    ((record.timestamp - EPOCH_MS) & 0xffff) +
    transaction_id.charCodeAt(transaction_id.length - 1) * 3 +
    user_id.charCodeAt(user_id.length - 1) * 5 +
    product_id.charCodeAt(product_id.length - 1) * 7 +
    payment_method.length * 11 +
    geolocation.charCodeAt(geolocation.length - 1) * 13
  );
}
