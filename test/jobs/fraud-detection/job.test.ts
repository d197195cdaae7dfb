import test from 'ava';
import { runJob } from 'millrace/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAX_OUT_OF_ORDERNESS_MS } from '../../../jobs/fraud-detection/event-time-order.js';
import fraudDetection from '../../../jobs/fraud-detection/job.js';
import { computeReference } from '../../../jobs/fraud-detection/reference.js';
import { writeTransactions } from '../../../jobs/fraud-detection/transactions.js';
import { verifyOutput } from '../../../jobs/fraud-detection/verify.js';

const TRANSACTIONS = 60_000;
const SPLIT_BYTES = 1_000_000;

let directory: string;
let input: string;

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-fraud-'));
  input = join(directory, 'transactions.ndjson');
  const labelsPath = join(directory, 'labels.ndjson');
  await writeTransactions({ path: input, labelsPath, transactions: TRANSACTIONS, seed: 21 });
});

test.after.always(() => rm(directory, { recursive: true, force: true }));

test('the graph names every output of the job', (t) => {
  const { graph } = fraudDetection.build({ input });
  t.deepEqual(
    graph.nodes.map(({ name }) => name),
    [
      'transactions',
      'evaluate-users',
      'score-candidates',
      'raised-alerts',
      'revenue-per-minute',
      'write-alerts',
      'write-revenue-per-minute',
      'write-late',
      'write-dead-letters',
    ],
  );
  // Every record travels by a schema's codec.
  t.true(graph.nodes.every(({ outputs }) => Object.values(outputs).every((of) => of !== null)));
});

for (const parallelism of [1, 3]) {
  test.serial(`with ${parallelism} slices it writes what the reference says`, async (t) => {
    const output = join(directory, `out-${parallelism}`);
    const { operators } = await runJob(fraudDetection, {
      params: { input, output, splitBytes: String(SPLIT_BYTES) },
      parallelism,
      moduleFolder: fileURLToPath(new URL('../../../jobs/fraud-detection/', import.meta.url)),
    });
    const reference = await computeReference({
      input,
      splitBytes: SPLIT_BYTES,
      maxOutOfOrdernessMs: MAX_OUT_OF_ORDERNESS_MS,
    });
    const { missing, duplicated, different, outputs } = await verifyOutput(output, reference);
    t.deepEqual({ missing, duplicated, different }, { missing: 0, duplicated: 0, different: 0 });
    t.true(outputs.alerts.found > 0 && outputs.late.found > 0);
    t.is(operators.get('write-late')?.recordsIn, outputs.late.found);
  });
}
