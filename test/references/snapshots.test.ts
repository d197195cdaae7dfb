/**
 * Random histories of snapshots: every retained one is whole after every change, and nothing is left
 * over. SEEDS sets another number of histories, each of 200 steps.
 */
import test from 'ava';
import { COLLECTOR_MUTANT_NAMES, type CollectorMutant } from './collector-mutants.js';
import { runSnapshotHistory, type SnapshotHistory } from './snapshot-world.js';

const SEEDS = Number(process.env['SEEDS'] ?? 4);
const STEPS = 200;
/** The slowest mutant to be caught needs a few. */
const MUTANT_SEEDS_MAX = 30;

function replayCommand(seed: number, mutant?: CollectorMutant): string {
  const suffix = mutant === undefined ? '' : ` --mutant ${mutant}`;
  return `node dist/test/references/replay.js --seed ${seed}${suffix}`;
}

test.serial('each retained checkpoint and savepoint is whole at every moment', async (t) => {
  t.timeout(180_000);
  const histories: SnapshotHistory[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const history = await runSnapshotHistory(seed, STEPS);
    histories.push(history);
    t.deepEqual(history.problems, [], replayCommand(seed));
  }
  const sum = (of: (history: SnapshotHistory) => number): number =>
    histories.reduce((total, history) => total + of(history), 0);
  t.true(sum(({ completed }) => completed) >= 100 * SEEDS, 'checkpoints were completed');
  t.true(sum(({ reused }) => reused) >= 1_000 * SEEDS, 'files were named again');
  t.true(sum(({ shared }) => shared) >= 20 * SEEDS, 'and by several that were retained');
  t.true(sum(({ claims }) => claims) >= 3 * SEEDS, 'some were claimed');
  t.true(sum(({ disposals }) => disposals) >= 3 * SEEDS, 'and disposed of');
  t.true(sum(({ crashes }) => crashes) >= 20 * SEEDS, 'coordinators died');
  t.log(
    `${SEEDS} histories, ${sum(({ completed }) => completed)} snapshots, ` +
      `${sum(({ claims }) => claims)} claims, ${sum(({ disposals }) => disposals)} disposals, ` +
      `${sum(({ refusals }) => refusals)} refusals, ${sum(({ crashes }) => crashes)} crashes, ` +
      `${sum(({ deleted }) => deleted)} files deleted`,
  );
});

for (const mutant of COLLECTOR_MUTANT_NAMES) {
  test.serial(`the mutant "${mutant}" is caught`, async (t) => {
    t.timeout(180_000);
    for (let seed = 1; seed <= MUTANT_SEEDS_MAX; seed++) {
      const [problem] = (await runSnapshotHistory(seed, STEPS, mutant)).problems;
      if (problem === undefined) continue;
      t.log(`${replayCommand(seed, mutant)}: ${problem}`);
      return t.pass();
    }
    t.fail(`${MUTANT_SEEDS_MAX} seeds can't tell "${mutant}" from the product`);
  });
}

test.serial('one seed has one history', async (t) => {
  const first = await runSnapshotHistory(7, 60);
  t.deepEqual(await runSnapshotHistory(7, 60), first, replayCommand(7));
});
