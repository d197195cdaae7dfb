import test from 'ava';
import { SeededRandom } from '../simulation/event-loop.js';
import { SEED } from '../integration/seed.js';
import { kafkaAvailability } from '../services/kafka-installation.js';
import { FAULT_KINDS, killsOf, planFaults } from './kafka-faults.js';
import { judge, rowOf } from './kafka-ledger.js';
import { runKafkaCampaign } from './kafka.js';

/** Three to four minutes. */
const KILLS = 25;

const found = kafkaAvailability();
if (found.available) testCampaign();
else test.skip(`the Kafka campaign did not run: ${found.reason}`, (t) => t.pass());

function testCampaign(): void {
  const command = `npm run campaign:kafka -- --kills ${KILLS} --seed ${SEED}`;
  test.serial(`from Kafka to Kafka exactly once, under ${KILLS} kills: ${command}`, async (t) => {
    const report = await runKafkaCampaign({
      kills: KILLS,
      seed: SEED,
      tell: (line) => t.log(line),
    });
    const { lost, duplicated, control, kills, records } = report;
    t.deepEqual({ lost, duplicated }, { lost: 0, duplicated: 0 });
    t.true(control.duplicated > 0, 'the judge sees duplicates where there are some');
    t.true(kills >= KILLS);
    t.true(records > 0);
    t.log(JSON.stringify(report));
  });
}

test('a plan has the kills that were asked for, of every kind, and depends on its seed alone', (t) => {
  const planned = planFaults(200, new SeededRandom(7));
  const kills = planned.reduce((sum, fault) => sum + killsOf(fault), 0);
  t.true(kills === 200 || kills === 201);
  t.deepEqual([...new Set(planned.map(({ kind }) => kind))].sort(), [...FAULT_KINDS].sort());
  t.deepEqual(planned, planFaults(200, new SeededRandom(7)));
  t.notDeepEqual(planned, planFaults(200, new SeededRandom(8)));
});

test('the judge counts what is missing, what is there twice, and what is wrong as both', (t) => {
  const rows = [1, 2, 3].map((n) => ({ account: 'a', at: 10 * n, n }));
  const expected = new Map(rows.map((row) => [rowOf(row), 1]));
  const [first, second, third] = rows.map((row) => JSON.stringify(row)) as [string, string, string];
  t.deepEqual(judge(expected, [third, first, second]), { lost: 0, duplicated: 0 });
  t.deepEqual(judge(expected, [first, second]), { lost: 1, duplicated: 0 });
  t.deepEqual(judge(expected, [first, second, third, first]), { lost: 0, duplicated: 1 });
  const wrong = JSON.stringify({ account: 'a', at: 30, n: 4 });
  t.deepEqual(judge(expected, [first, second, wrong]), { lost: 1, duplicated: 1 });
});
