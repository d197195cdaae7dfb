/**
 * A payment of five fields, 100 bytes as JSON: what benchmarks of reading from Kafka read, as the text and as Avro,
 * whose fields stand in the bytes as they are. Made from an index alone, out of a transaction.
 */
import { t, type Infer } from 'millrace';
import { avro } from 'millrace/formats';
import { EPOCH_MS, transactionsOf, USERS } from './transactions.js';

export const Payment = t.record({
  id: t.string,
  user: t.string,
  price: t.float64,
  at: t.timestamp,
  method: t.string,
});
export type Payment = Infer<typeof Payment>;

export const avroPayments = avro({
  schema: Payment,
  avroSchema: {
    type: 'record',
    name: 'Payment',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'user', type: 'string' },
      { name: 'price', type: 'double' },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'method', type: 'string' },
    ],
  },
});

/** The function that makes payment `index`. */
export function paymentsOf(recordsPerMs: number): (index: number) => Payment {
  const transactionOf = transactionsOf({ users: USERS, recordsPerMs });
  return (index) => {
    const { transaction_id, user_id, price, timestamp, payment_method } = transactionOf(index);
    return { id: transaction_id, user: user_id, price, at: timestamp, method: payment_method };
  };
}

/** A number that depends on every field; small and exact, so that sums don't depend on order. */
export function paymentFingerprint({ id, user, price, at, method }: Payment): number {
  return (
    price * 8 +
    ((at - EPOCH_MS) & 0xffff) +
    id.charCodeAt(id.length - 1) * 3 +
    user.charCodeAt(user.length - 1) * 5 +
    method.length * 11
  );
}
