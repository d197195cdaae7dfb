import test from 'ava';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { INCIDENT_KINDS } from '../../../jobs/fraud-detection/generator/incidents.js';
import {
  DISORDER_MAX_MS,
  LATE_BY_MS,
  TransactionGenerator,
} from '../../../jobs/fraud-detection/generator/transaction-generator.js';
import { readLabels } from '../../../jobs/fraud-detection/reference/labels.js';
import { parseTransaction } from '../../../jobs/fraud-detection/reference/parse-transaction.js';
import { writeTransactions } from '../../../jobs/fraud-detection/transactions.js';
import { temporaryFolder } from '../../temporary-folder.js';

const COUNT = 40_000;

function write(
  directory: string,
  name: string,
  seed: number,
  transactions = COUNT,
): ReturnType<typeof writeTransactions> {
  return writeTransactions({
    path: join(directory, name),
    labelsPath: join(directory, `${name}.labels`),
    transactions,
    seed,
  });
}

test('one seed gives one file, another seed another', async (t) => {
  const directory = await temporaryFolder(t);
  await Promise.all([write(directory, 'a', 1), write(directory, 'b', 1), write(directory, 'c', 2)]);
  const read = (name: string): Promise<Buffer> => readFile(join(directory, name));
  t.true((await read('a')).equals(await read('b')));
  t.true((await read('a.labels')).equals(await read('b.labels')));
  t.false((await read('a')).equals(await read('c')));
});

test('the file has as many lines as were asked for, and only the counted ones are bad', async (t) => {
  const directory = await temporaryFolder(t);
  const written = await write(directory, 'a', 3);
  const bytes = await readFile(join(directory, 'a'));
  t.is(bytes.length, written.bytes);
  const lines = bytes.toString('utf8').split('\n');
  t.is(lines.pop(), '');
  t.is(lines.length, COUNT);
  t.is(lines.filter((line) => parseTransaction(line) === undefined).length, written.badLines);
  t.true(written.badLines > 0);
});

test('each good line is the same transaction in JSON', async (t) => {
  const directory = await temporaryFolder(t);
  await write(directory, 'a', 4);
  const lines = (await readFile(join(directory, 'a'), 'utf8')).split('\n');
  const generator = new TransactionGenerator(COUNT, 4);
  for (const line of lines.slice(0, 2000)) {
    const made = generator.next()?.transaction;
    const parsed = parseTransaction(line);
    if (parsed !== undefined) t.deepEqual(parsed, made);
  }
});

test('the labels name transactions that stand in the file, of every kind', async (t) => {
  const directory = await temporaryFolder(t);
  const written = await write(directory, 'a', 5, 5 * COUNT);
  const labels = await readLabels(join(directory, 'a.labels'));
  t.deepEqual(labels, [...written.incidents]);
  t.deepEqual([...new Set(labels.map(({ kind }) => kind))].sort(), [...INCIDENT_KINDS].sort());
  const ids = new Set(
    (await readFile(join(directory, 'a'), 'utf8'))
      .split('\n')
      .map((line) => parseTransaction(line)?.transaction_id),
  );
  t.true(labels.every(({ transaction_ids }) => transaction_ids.every((id) => ids.has(id))));
});

test('disorder is bounded, except for the few that are really late', (t) => {
  const generator = new TransactionGenerator(COUNT, 6);
  let maxTimestamp = -Infinity;
  let late = 0;
  for (let one = generator.next(); one !== undefined; one = generator.next()) {
    const behindMs = maxTimestamp - one.transaction.timestamp;
    if (one.late) {
      late += 1;
      t.true(one.planted || behindMs <= LATE_BY_MS);
    } else {
      t.true(behindMs <= DISORDER_MAX_MS);
      maxTimestamp = Math.max(maxTimestamp, one.transaction.timestamp);
    }
  }
  t.true(late > 0 && late < COUNT / 500);
});

test('activity is skewed: a tenth of the customers makes over a third of the transactions', (t) => {
  const generator = new TransactionGenerator(COUNT, 7);
  const perUser = new Map<string, number>();
  for (let one = generator.next(); one !== undefined; one = generator.next()) {
    const { user_id } = one.transaction;
    perUser.set(user_id, (perUser.get(user_id) ?? 0) + 1);
  }
  const counts = [...perUser.values()].sort((a, b) => b - a);
  const busiest = counts.slice(0, counts.length / 10).reduce((sum, count) => sum + count, 0);
  t.true(busiest > COUNT / 3);
});
