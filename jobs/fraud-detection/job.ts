/**
 * Fraud detection at MadHatter Corp.: reads the shop's transactions, judges each against what is
 * usual for its customer, lets a model decide on the suspicious ones, and raises alerts; beside it
 * adds up what was sold each minute. Every record of the input ends in exactly one place: judged and
 * counted, late, or in the dead letters.
 */
import { boundedOutOfOrderness, deadLetterSchema, job, param, tumblingWindows } from 'millrace';
import { fileSink, fileSource, jsonLines } from 'millrace/files';
import { isRaised, toAlert } from './alert.js';
import { evaluateUsers } from './evaluate-users.js';
import { MAX_OUT_OF_ORDERNESS_MS } from './event-time-order.js';
import { DEFAULT_SPLIT_BYTES, type OutputName } from './outputs.js';
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
      input: param.path({ help: 'file of transactions, one JSON object a line' }),
      output: param.path({
        help: 'directory for the alerts and the other outputs',
        default: './out/fraud-detection',
      }),
      splitBytes: param.integer({
        help: 'bytes of input that one subtask reads at a time',
        default: DEFAULT_SPLIT_BYTES,
        min: 1,
      }),
    },
    checkpoint: { intervalMs: 2_000, timeoutMs: 60_000, retained: 2 },
  },
  (env, { input, output, splitBytes }) => {
    const transactions = env.source(
      'transactions',
      fileSource({ path: input, format: jsonLines(transactionSchema), splitBytes }),
      {
        watermarks: boundedOutOfOrderness(
          (transaction) => transaction.timestamp,
          MAX_OUT_OF_ORDERNESS_MS,
        ),
      },
    );

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

    const directory = (name: OutputName): string => `${output}/${name}`;
    alerts.sinkTo(
      'write-alerts',
      fileSink({ path: directory('alerts'), format: jsonLines(alertSchema) }),
    );
    revenue.sinkTo(
      'write-revenue-per-minute',
      fileSink({
        path: directory('revenue-per-minute'),
        format: jsonLines(revenuePerMinuteSchema),
      }),
    );
    late.sinkTo(
      'write-late',
      fileSink({ path: directory('late'), format: jsonLines(transactionSchema) }),
    );
    transactions.deadLetters.sinkTo(
      'write-dead-letters',
      fileSink({ path: directory('dead-letters'), format: jsonLines(deadLetterSchema) }),
    );
  },
);
