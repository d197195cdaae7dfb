/** JSON from a topic, one-minute sum and count of each user, JSON into a topic, exactly once. */
import { job, param } from 'millrace';
import { json } from 'millrace/formats';
import { kafkaSink, kafkaSource } from 'millrace/kafka';
import { outputTrace } from './output-trace.js';
import { Transaction } from './transactions.js';
import { ascending, totalsOf } from './window-pipeline.js';
import { UserTotal } from './window-tally.js';

export default job(
  'bench-kafka-job',
  {
    checkpoint: { intervalMs: 2_000 },
    params: {
      folder: param.string({ help: 'where the trace goes' }),
      brokers: param.string({ help: 'address of the broker' }),
      input: param.string({ help: 'topic to read to its end' }),
      output: param.string({ help: 'topic to write to' }),
    },
  },
  (env, { folder, brokers, input, output }) => {
    const connection = { brokers: [brokers] };
    const traced = outputTrace(folder);
    const transactions = env.source(
      'transactions',
      kafkaSource({
        connection,
        topics: input,
        value: json(Transaction),
        boundedAt: 'latest',
      }),
      { watermarks: ascending },
    );
    totalsOf(transactions)
      .map(
        'trace',
        (total) => {
          traced(total.count);
          return total;
        },
        { output: UserTotal },
      )
      .sinkTo('to-kafka', kafkaSink({ connection, topic: output, value: json(UserTotal) }));
  },
);
