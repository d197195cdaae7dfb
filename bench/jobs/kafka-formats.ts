/** Transactions as Avro, whose fields stand in the bytes as they are: about half of their JSON text. */
import { avro } from 'millrace/formats';
import { Transaction } from './transactions.js';

export const avroTransactions = avro({
  schema: Transaction,
  avroSchema: {
    type: 'record',
    name: 'Transaction',
    fields: [
      { name: 'transaction_id', type: 'string' },
      { name: 'user_id', type: 'string' },
      { name: 'product_id', type: 'string' },
      { name: 'price', type: 'double' },
      { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'payment_method', type: 'string' },
      { name: 'geolocation', type: 'string' },
    ],
  },
});
