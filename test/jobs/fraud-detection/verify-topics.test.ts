import test, { type ExecutionContext } from 'ava';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_OUT_OF_ORDERNESS_MS } from '../../../jobs/fraud-detection/event-time-order.js';
import { TransactionGenerator } from '../../../jobs/fraud-detection/generator/transaction-generator.js';
import { OUTPUT_NAMES } from '../../../jobs/fraud-detection/outputs.js';
import { ReferenceComputation } from '../../../jobs/fraud-detection/reference.js';
import { PartitionLateness } from '../../../jobs/fraud-detection/reference/partition-lateness.js';
import {
  verifyTopics,
  type TopicVerification,
} from '../../../jobs/fraud-detection/verify-topics.js';
import { temporaryFolder } from '../../temporary-folder.js';

const TRANSACTIONS = 12_000;
const SEED = 3;
const PARTITIONS = 3;

/** What the topics hold when all went well: values by topic, the input's by partition as well. */
async function rightTopics(): Promise<Map<string, string[]>> {
  const generator = new TransactionGenerator(TRANSACTIONS, SEED);
  const computation = new ReferenceComputation();
  const lateness = new PartitionLateness(MAX_OUT_OF_ORDERNESS_MS);
  const topics = new Map<string, string[]>([['in', []]]);
  for (let one = generator.next(); one !== undefined; one = generator.next()) {
    const { transaction } = one;
    const partition = partitionOf(transaction.user_id);
    const line = JSON.stringify(transaction);
    topics.get('in')?.push(line);
    computation.add(line, 0, (timestamp) => lateness.isLate(partition, timestamp));
  }
  const { outputs } = await computation.finish();
  for (const name of OUTPUT_NAMES) topics.set(`out-${name}`, [...outputs[name].values()].flat());
  return topics;
}

function partitionOf(user: string): number {
  return Number(user.slice(-1)) % PARTITIONS;
}

let right: ReadonlyMap<string, readonly string[]>;

test.before(async () => {
  right = await rightTopics();
});

async function verifyChanged(
  t: ExecutionContext,
  change: (topics: Map<string, string[]>) => void,
): Promise<TopicVerification> {
  const topics = new Map([...right].map(([topic, values]) => [topic, [...values]]));
  change(topics);
  const lines = [...topics].flatMap(([topic, values]) =>
    values.map((value, offset) => {
      const user = /"user_id":"([^"]+)"/.exec(value)?.[1] ?? '0';
      const base64 = Buffer.from(value).toString('base64');
      return `${topic}\t${partitionOf(user)}\t${offset}\t0\t-\t${base64}\t\n`;
    }),
  );
  const records = join(await temporaryFolder(t), 'topics.tsv');
  await writeFile(records, lines.join(''));
  const options = { topic: 'in', outputTopics: 'out-', transactions: TRANSACTIONS, seed: SEED };
  return verifyTopics({ records, ...options });
}

const differences = ({ missing, duplicated, different }: TopicVerification): object => ({
  missing,
  duplicated,
  different,
});

test('what follows from the input is right, and frauds are found in it', async (t) => {
  const verification = await verifyChanged(t, () => undefined);
  t.deepEqual(differences(verification), { missing: 0, duplicated: 0, different: 0 });
  t.is(verification.input.found, TRANSACTIONS);
  t.true(verification.outputs.late.found > 0);
  t.true(verification.outputs.alerts.found > 0);
  t.true(verification.caught > 0);
});

test('records of an output that are missing, twice or altered are found', async (t) => {
  const verification = await verifyChanged(t, (topics) => {
    const minutes = topics.get('out-revenue-per-minute') ?? [];
    const [lost, twice = '', altered = ''] = minutes;
    t.truthy(lost);
    minutes.splice(0, 3, twice, twice, altered.replace('"revenue_cents":', '"revenue_cents":1'));
  });
  t.deepEqual(differences(verification), { missing: 1, duplicated: 1, different: 1 });
});

test('so are those of the input', async (t) => {
  const verification = await verifyChanged(t, (topics) => {
    const input = topics.get('in') ?? [];
    const twice = input.at(-1) ?? '';
    input.push(twice, 'no transaction');
  });
  t.like(verification.input, { missing: 0, duplicated: 1, different: 1 });
});

test('a file that is no reading of topics is refused', async (t) => {
  const records = join(await temporaryFolder(t), 'topics.tsv');
  await writeFile(records, 'something else\n');
  const options = { records, topic: 'in', outputTopics: 'out-', transactions: 1, seed: 1 };
  await t.throwsAsync(verifyTopics(options), { message: /^INPUT_INVALID: .* at byte 0; / });
});
