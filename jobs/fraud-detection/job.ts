/**
 * Fraud detection at MadHatter Corp.: reads the shop's transactions, judges each against what is
 * usual for its customer, lets a model decide on the suspicious ones, and raises alerts; beside it
 * adds up what was sold each minute. Every record of the input ends in exactly one place: judged and
 * counted, late, or in the dead letters.
 */
import { boundedOutOfOrderness, deadLetterSchema, job, param, tumblingWindows } from 'millrace';
import { isRaised, toAlert } from './alert.js';
import { fileConnections, kafkaConnections } from './connections.js';
import { evaluateUsers } from './evaluate-users.js';
import { MAX_OUT_OF_ORDERNESS_MS } from './event-time-order.js';
import { DEFAULT_SPLIT_BYTES } from './outputs.js';
import { MINUTE_MS, revenuePerMinute } from './revenue.js';
import {
  alertSchema,
  featuresSchema,
  revenuePerMinuteSchema,
  scoreSchema,
  transactionSchema,
} from './schemas.js';

export default job(
  'fraud-detection',
  {
    params: {
      source: param.choice(['files', 'kafka'], {
        help: 'where transactions come from and outputs go to',
        default: 'files',
      }),
      input: param.path({
        help: 'source=files: file of transactions, one JSON object a line',
        default: './transactions.ndjson',
      }),
      output: param.path({
        help: 'source=files: directory for the alerts and the other outputs',
        default: './out/fraud-detection',
      }),
      splitBytes: param.integer({
        help: 'source=files: bytes of input that one subtask reads at a time',
        default: DEFAULT_SPLIT_BYTES,
        min: 1,
      }),
      brokers: param.optionalString({
        help: 'source=kafka: addresses HOST:PORT, with commas between them',
      }),
      topic: param.string({
        help: 'source=kafka: topic of transactions, in JSON',
        default: 'transactions',
      }),
      outputTopics: param.string({
        help: 'source=kafka: how the names of the output topics begin',
        default: 'fraud-',
      }),
      bounded: param.boolean({
        help: 'source=kafka: end at what the topic holds when the job starts',
        default: false,
      }),
    },
    checkpoint: { intervalMs: 2_000, timeoutMs: 60_000, retained: 2 },
  },
  (env, { source, ...params }) => {
    const connections = source === 'files' ? fileConnections(params) : kafkaConnections(params);
    const transactions = env.source('transactions', connections.transactions, {
      watermarks: boundedOutOfOrderness(
        (transaction) => transaction.timestamp,
        MAX_OUT_OF_ORDERNESS_MS,
      ),
    });

    const candidates = transactions
      .keyBy((transaction) => transaction.user_id)
      .process('evaluate-users', evaluateUsers);

    const alerts = candidates
      .score('score-candidates', {
        module: './model.js',
        input: featuresSchema,
        result: scoreSchema,
        output: alertSchema,
        select: (candidate) => candidate.features,
        combine: toAlert,
      })
      .filter('raised-alerts', isRaised);

    const revenue = transactions
      .keyBy((transaction) => transaction.payment_method)
      .window(tumblingWindows(MINUTE_MS))
      .aggregate('revenue-per-minute', revenuePerMinute);

    const late = transactions.late.union(candidates.sideOutput('late'));

    alerts.sinkTo('write-alerts', connections.sink('alerts', alertSchema));
    revenue.sinkTo(
      'write-revenue-per-minute',
      connections.sink('revenue-per-minute', revenuePerMinuteSchema),
    );
    late.sinkTo('write-late', connections.sink('late', transactionSchema));
    transactions.deadLetters.sinkTo(
      'write-dead-letters',
      connections.sink('dead-letters', deadLetterSchema),
    );
  },
);
