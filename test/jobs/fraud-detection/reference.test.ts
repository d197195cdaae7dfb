import test from 'ava';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_OUT_OF_ORDERNESS_MS } from '../../../jobs/fraud-detection/event-time-order.js';
import { computeReference, type Reference } from '../../../jobs/fraud-detection/reference.js';
import { measureDetection, readLabels } from '../../../jobs/fraud-detection/reference/labels.js';
import { readLines } from '../../../jobs/fraud-detection/reference/line-reader.js';
import { SplitLateness } from '../../../jobs/fraud-detection/reference/split-lateness.js';
import { writeTransactions } from '../../../jobs/fraud-detection/transactions.js';
import { NOON, sampleTransaction } from './sample-transaction.js';

const SPLIT_BYTES = 1 << 20;

function reference(input: string, splitBytes = SPLIT_BYTES): Promise<Reference> {
  return computeReference({ input, splitBytes, maxOutOfOrdernessMs: MAX_OUT_OF_ORDERNESS_MS });
}

let directory: string;
let input: string;
let labels: string;

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-fraud-'));
  input = join(directory, 'transactions.ndjson');
  labels = join(directory, 'labels.ndjson');
  await writeTransactions({ path: input, labelsPath: labels, transactions: 60_000, seed: 11 });
});

test.after.always(() => rm(directory, { recursive: true, force: true }));

test('every line ends in one place: judged and counted, late, or a dead letter', async (t) => {
  const { transactions, outputs } = await reference(input);
  t.is(transactions + outputs['dead-letters'].size, 60_000);
  const counted = [...outputs['revenue-per-minute'].values()].flat().reduce((sum, content) => {
    const minute = JSON.parse(content) as { transactions: number };
    return sum + minute.transactions;
  }, 0);
  t.is(counted + outputs.late.size, transactions);
  t.true(outputs.late.size > 0);
});

test('how the file is cut changes nothing when every late record is far behind', async (t) => {
  const whole = await reference(input, Number.MAX_SAFE_INTEGER);
  for (const splitBytes of [10_007, 65_536, 1 << 20]) {
    t.deepEqual(await reference(input, splitBytes), whole);
  }
});

test('most planted frauds are caught and most alerts are right', async (t) => {
  const { outputs } = await reference(input);
  const detection = measureDetection(new Set(outputs.alerts.keys()), await readLabels(labels));
  t.true(detection.plantedFrauds > 10);
  t.true(detection.recall > 0.8, `recall ${detection.recall}`);
  t.true(detection.precision > 0.8, `precision ${detection.precision}`);
});

test('the order of lines within the bound changes nothing', async (t) => {
  const lines = (await readFile(input)).toString('latin1').trimEnd().split('\n');
  const good = lines.filter((_, index) => index % 100 < 40);
  const swapped = [...good];
  for (let index = 0; index + 3 < swapped.length; index += 4) {
    // Four lines are about as many seconds here: well within the bound.
    swapped.splice(index, 4, ...good.slice(index, index + 4).reverse());
  }
  const write = async (name: string, text: readonly string[]): Promise<Reference['outputs']> => {
    const path = join(directory, name);
    await writeFile(path, Buffer.from(`${text.join('\n')}\n`, 'latin1'));
    return (await reference(path, Number.MAX_SAFE_INTEGER)).outputs;
  };
  const [one, other] = [await write('good', good), await write('swapped', swapped)];
  t.deepEqual(new Map([...one.alerts].sort()), new Map([...other.alerts].sort()));
  t.deepEqual(
    new Map([...one['revenue-per-minute']].sort()),
    new Map([...other['revenue-per-minute']].sort()),
  );
});

test('a record exactly at its watermark is late, one ms ahead of it is not', (t) => {
  const lateness = new SplitLateness(1000, 30_000);
  t.false(lateness.isLate(0, NOON));
  t.true(lateness.isLate(100, NOON - 30_001));
  t.false(lateness.isLate(200, NOON - 30_000));
});

test('a split knows the 64 KiB before it and nothing earlier', (t) => {
  const splitBytes = 100_000;
  const late = (earlier: number): boolean => {
    const lateness = new SplitLateness(splitBytes, 30_000);
    lateness.isLate(earlier, NOON);
    return lateness.isLate(splitBytes, NOON - 60_000);
  };
  t.true(late(splitBytes - 65_536));
  t.false(late(splitBytes - 65_537));
});

test('a split shorter than the look-back sees several splits before it', (t) => {
  const lateness = new SplitLateness(100, 30_000);
  lateness.isLate(0, NOON);
  lateness.isLate(150, NOON - 1000);
  t.true(lateness.isLate(2_050, NOON - 60_000));
});

test('lines keep their byte positions through blank lines, CRLF and a missing last line feed', async (t) => {
  const path = join(directory, 'lines');
  await writeFile(path, 'é\n\nab\r\n\r\nlast');
  const lines: [string, number][] = [];
  await readLines(path, (line, position) => lines.push([line, position]));
  t.deepEqual(lines, [
    ['é', 0],
    ['ab', 4],
    ['last', 10],
  ]);
});

test('a line longer than a block is read whole', async (t) => {
  const path = join(directory, 'long-line');
  const long = 'x'.repeat(3_000_000);
  await writeFile(path, `a\n${long}\nb\n`);
  const lines: [number, number][] = [];
  await readLines(path, (line, position) => lines.push([line.length, position]));
  t.deepEqual(lines, [
    [1, 0],
    [3_000_000, 2],
    [1, 3_000_003],
  ]);
});

test('equal times are judged in the order of their ids', async (t) => {
  const burst = Array.from({ length: 14 }, (_, index) =>
    sampleTransaction({ transaction_id: `tx-${index}`, price: 1 + index }),
  );
  const write = async (name: string, of: typeof burst): Promise<Reference> => {
    const path = join(directory, name);
    await writeFile(path, of.map((one) => `${JSON.stringify(one)}\n`).join(''));
    return reference(path);
  };
  const forwards = await write('forwards', burst);
  t.deepEqual(await write('backwards', [...burst].reverse()), forwards);
  t.true(forwards.outputs.alerts.size > 0);
});
