/** Text from a topic into another, through one map: as soon as possible, or checkpoint by checkpoint. */
import { job, param } from 'millrace';
import { json } from 'millrace/formats';
import { kafkaSink, kafkaSource } from 'millrace/kafka';
import { TimedTransaction } from './timed-transaction.js';

export const EXACTLY_ONCE_INTERVAL_MS = 1_000;

export default job(
  'bench-kafka-latency',
  {
    checkpoint: { intervalMs: EXACTLY_ONCE_INTERVAL_MS },
    params: {
      brokers: param.string({ help: 'address of the broker' }),
      input: param.string({ help: 'topic to read' }),
      output: param.string({ help: 'topic to write to' }),
      delivery: param.choice(['atLeastOnce', 'exactlyOnce'], { help: 'how often' }),
      transaction: param.choice(['atCheckpoint', 'streaming'], { help: 'when exactly once' }),
      compression: param.choice(['none', 'lz4'], { help: 'of what is written' }),
    },
  },
  (env, { brokers, input, output, ...sink }) => {
    const connection = { brokers: [brokers] };
    const value = json(TimedTransaction);
    env
      .source('transactions', kafkaSource({ connection, topics: input, value }))
      .map('with-fee', (record) => ({ ...record, price: record.price + 0.5 }), {
        output: TimedTransaction,
      })
      .sinkTo('to-kafka', kafkaSink({ connection, topic: output, value, ...sink }));
  },
);
