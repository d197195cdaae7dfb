/**
 * The job's own command: makes an input, and checks an output. It reads its arguments and prints;
 * everything else is done elsewhere.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { isMillraceError, MillraceError } from 'millrace';
import { MAX_OUT_OF_ORDERNESS_MS } from './event-time-order.js';
import { DEFAULT_SPLIT_BYTES } from './outputs.js';
import { computeReference } from './reference.js';
import { measureDetection, readLabels } from './reference/labels.js';
import { writeTransactions } from './transactions.js';
import { verifyTopics } from './verify-topics.js';
import { verifyOutput, type OutputDifference } from './verify.js';

const USAGE = `usage:
  main.js generate [--input FILE] [--labels FILE] [--transactions N] [--seed N]
  main.js verify   [--input FILE] [--labels FILE] [--output DIRECTORY] [--split-bytes N]
  main.js verify-topics [--records FILE] [--topic NAME] [--output-topics PREFIX] [--transactions N] [--seed N]`;

const options = {
  input: { type: 'string', default: 'transactions.ndjson' },
  labels: { type: 'string', default: 'transactions.labels.ndjson' },
  output: { type: 'string', default: './out/fraud-detection' },
  transactions: { type: 'string', default: '1000000' },
  seed: { type: 'string', default: '1' },
  records: { type: 'string', default: 'records.tsv' },
  topic: { type: 'string', default: 'transactions' },
  'output-topics': { type: 'string', default: 'fraud-' },
  'split-bytes': { type: 'string', default: String(DEFAULT_SPLIT_BYTES) },
} as const;

/** @returns the exit code: 0 done, 1 the output is wrong, 2 used wrongly */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const { input, labels, output } = values;
  switch (positionals.join(' ')) {
    case 'generate': {
      await mkdir(dirname(input), { recursive: true });
      await mkdir(dirname(labels), { recursive: true });
      const written = await writeTransactions({
        path: input,
        labelsPath: labels,
        transactions: wholeNumber('transactions', values.transactions, 1),
        seed: wholeNumber('seed', values.seed, 0),
      });
      print({ ...written, incidents: written.incidents.length });
      return 0;
    }
    case 'verify': {
      const reference = await computeReference({
        input,
        splitBytes: wholeNumber('split-bytes', values['split-bytes'], 1),
        maxOutOfOrdernessMs: MAX_OUT_OF_ORDERNESS_MS,
      });
      const { alerted, ...verification } = await verifyOutput(output, reference);
      print({ ...verification, ...measureDetection(alerted, await readLabels(labels)) });
      return exitCodeOf(verification);
    }
    case 'verify-topics': {
      const verification = await verifyTopics({
        records: values.records,
        topic: values.topic,
        outputTopics: values['output-topics'],
        transactions: wholeNumber('transactions', values.transactions, 1),
        seed: wholeNumber('seed', values.seed, 0),
      });
      print(verification);
      return exitCodeOf(verification);
    }
    default:
      throw new MillraceError('USAGE', 'no such command; give generate, verify or verify-topics');
  }
}

function exitCodeOf({ missing, duplicated, different }: OutputDifference): number {
  return missing + duplicated + different === 0 ? 0 : 1;
}

function wholeNumber(name: string, text: string, min: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && Number.isSafeInteger(value))) {
    throw new MillraceError(
      'USAGE',
      `--${name} is ${JSON.stringify(text)}; give a whole number from ${min} up`,
    );
  }
  return value;
}

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

/** What parseArgs refuses, and what `main` does. */
function isUsageError(error: unknown): boolean {
  if (isMillraceError(error)) return error.code === 'USAGE';
  return (
    error instanceof TypeError &&
    'code' in error &&
    String(error.code).startsWith('ERR_PARSE_ARGS_')
  );
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (isUsageError(error)) process.stderr.write(`${USAGE}\n`);
  process.exitCode = isUsageError(error) ? 2 : 1;
}
