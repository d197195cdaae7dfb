/**
 * The input of fraud detection as a producer: makes up a day of transactions and writes it to a topic,
 * at a rate, keyed by customer, so that each customer's purchases stay in one partition and in order.
 */
import { job, param } from 'millrace';
import { json, text } from 'millrace/formats';
import { generatorSource } from 'millrace/generator';
import { kafkaSink } from 'millrace/kafka';
import { transactionSchema } from '../fraud-detection/schemas.js';
import { Day } from './day.js';

export default job(
  'transactions-to-kafka',
  {
    params: {
      brokers: param.string({ help: 'addresses HOST:PORT, with commas between them' }),
      topic: param.string({ help: 'topic to write to', default: 'transactions' }),
      transactions: param.integer({ help: 'how many', default: 1_000_000, min: 1 }),
      rate: param.number({ help: 'transactions a second; 0: without pause', default: 0, min: 0 }),
      seed: param.integer({ help: 'another one makes another day', default: 1 }),
      delivery: param.choice(['exactlyOnce', 'atLeastOnce'], {
        help: 'exactlyOnce shows transactions checkpoint by checkpoint, atLeastOnce at once',
        default: 'exactlyOnce',
      }),
    },
    // A day has one order.
    parallelism: 1,
    checkpoint: { intervalMs: 1_000 },
  },
  (env, { brokers, topic, transactions, rate, seed, delivery }) => {
    const day = new Day(transactions, seed);
    env
      .source(
        'day',
        generatorSource({
          schema: transactionSchema,
          generate: (index) => day.transaction(index),
          count: transactions,
          splits: 1,
          ...(rate === 0 ? {} : { ratePerSecond: rate }),
        }),
      )
      .sinkTo(
        'produce',
        kafkaSink({
          connection: { brokers: brokers.split(',') },
          topic,
          key: { of: ({ user_id }) => user_id, format: text() },
          value: json(transactionSchema),
          delivery,
        }),
      );
  },
);
