import test, { type ExecutionContext } from 'ava';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_OUT_OF_ORDERNESS_MS } from '../../../jobs/fraud-detection/event-time-order.js';
import { OUTPUT_NAMES, type OutputName } from '../../../jobs/fraud-detection/outputs.js';
import { computeReference, type Reference } from '../../../jobs/fraud-detection/reference.js';
import { writeTransactions } from '../../../jobs/fraud-detection/transactions.js';
import { verifyOutput, type Verification } from '../../../jobs/fraud-detection/verify.js';
import { temporaryFolder } from '../../temporary-folder.js';

type Lines = Record<OutputName, string[]>;

const INPUT = 'transactions.ndjson';
let reference: Reference;

test.before(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-fraud-'));
  const input = join(directory, INPUT);
  const labelsPath = join(directory, 'labels.ndjson');
  await writeTransactions({ path: input, labelsPath, transactions: 40_000, seed: 12 });
  reference = await computeReference({
    input,
    splitBytes: 1 << 20,
    maxOutOfOrdernessMs: MAX_OUT_OF_ORDERNESS_MS,
  });
  await rm(directory, { recursive: true });
});

/** Writes what the reference expects, changed as told, and verifies it. */
async function verifyChanged(
  t: ExecutionContext,
  change: (lines: Lines) => void,
): Promise<Verification> {
  const directory = await temporaryFolder(t);
  const linesOf = (name: OutputName): string[] => [...reference.outputs[name].values()].flat();
  const lines: Lines = {
    alerts: linesOf('alerts'),
    late: linesOf('late'),
    'dead-letters': linesOf('dead-letters').map((line) =>
      JSON.stringify({ origin: INPUT, reason: 'broken', ...(JSON.parse(line) as object) }),
    ),
    'revenue-per-minute': linesOf('revenue-per-minute'),
  };
  change(lines);
  for (const name of OUTPUT_NAMES) {
    const middle = Math.floor(lines[name].length / 2);
    await mkdir(join(directory, 'out', name), { recursive: true });
    const part = (file: string, of: readonly string[]): Promise<void> =>
      writeFile(join(directory, 'out', name, file), of.map((line) => `${line}\n`).join(''));
    await part('part-0.ndjson', lines[name].slice(middle));
    await part('part-1.ndjson', lines[name].slice(0, middle));
    await part('.part-2.ndjson.pending', ['left by an attempt that was killed']);
  }
  return verifyOutput(join(directory, 'out'), reference);
}

const differences = ({ missing, duplicated, different }: Verification): object => ({
  missing,
  duplicated,
  different,
});

test('the expected output in other files and another order is equal', async (t) => {
  const verification = await verifyChanged(t, () => undefined);
  t.deepEqual(differences(verification), { missing: 0, duplicated: 0, different: 0 });
  t.is(verification.found, verification.expected);
  t.true(OUTPUT_NAMES.every((name) => verification.outputs[name].found > 0));
  t.deepEqual([...reference.outputs.alerts.keys()].sort(), [...verification.alerted].sort());
});

for (const name of OUTPUT_NAMES) {
  test(`${name}: a dropped record is missing`, async (t) => {
    const verification = await verifyChanged(t, (lines) => lines[name].pop());
    t.deepEqual(differences(verification), { missing: 1, duplicated: 0, different: 0 });
    t.is(verification.outputs[name].missing, 1);
  });

  test(`${name}: a record written twice is duplicated`, async (t) => {
    const verification = await verifyChanged(t, (lines) => {
      lines[name].push(...lines[name].slice(0, 1));
    });
    t.deepEqual(differences(verification), { missing: 0, duplicated: 1, different: 0 });
    t.is(verification.outputs[name].duplicated, 1);
  });
}

test('an altered record is different, and not missing besides', async (t) => {
  const verification = await verifyChanged(t, ({ alerts }) => {
    alerts[0] = alerts[0]?.replace(/"score":[^,]+/, '"score":0.1') ?? '';
  });
  t.deepEqual(differences(verification), { missing: 0, duplicated: 0, different: 1 });
});

test('one record in the place of another is missing and duplicated', async (t) => {
  const verification = await verifyChanged(t, ({ alerts }) => {
    alerts[0] = alerts[1] ?? '';
  });
  t.deepEqual(differences(verification), { missing: 1, duplicated: 1, different: 0 });
});

test('two records that swapped their contents are both different', async (t) => {
  const verification = await verifyChanged(t, ({ alerts }) => {
    const [first = '', second = ''] = alerts;
    const idOf = (line: string): string => /"transaction_id":"([^"]+)"/.exec(line)?.[1] ?? '';
    const exchange = (line: string, from: string, to: string): string =>
      line.replace(`"transaction_id":"${from}"`, `"transaction_id":"${to}"`);
    alerts[0] = exchange(first, idOf(first), idOf(second));
    alerts[1] = exchange(second, idOf(second), idOf(first));
  });
  t.deepEqual(differences(verification), { missing: 0, duplicated: 0, different: 2 });
});

test('records that nobody expects, and torn lines, are different', async (t) => {
  const verification = await verifyChanged(t, ({ late, alerts }) => {
    late.push('{"transaction_id":"tx-made-up"}');
    alerts.push('{"transaction_id":"tx-1', '17');
  });
  t.deepEqual(differences(verification), { missing: 0, duplicated: 0, different: 3 });
});

test('no output at all is all missing', async (t) => {
  const verification = await verifyOutput(join(await temporaryFolder(t), 'nowhere'), reference);
  t.is(verification.missing, verification.expected);
  t.is(verification.found, 0);
});
