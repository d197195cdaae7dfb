/** 1,000 seeds of the product, and each planted mutant until it is caught. SEEDS sets another number. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { MUTANT_NAMES, type MutantName } from './mutants.js';
import { runSimulation } from './simulation.js';
import type { SweepOutcome, SweepRequest } from './sweep-thread.js';

/** A minute of work on two idle cores. */
const TIMEOUT_MS = 15 * 60_000;
const SEEDS = Number(process.env['SEEDS'] ?? 1_000);

function sweep(request: SweepRequest): Promise<SweepOutcome> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./sweep-thread.js', import.meta.url), {
      workerData: request,
    });
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

function replayCommand(seed: number, mutant?: MutantName): string {
  const suffix = mutant === undefined ? '' : ` --mutant ${mutant}`;
  return `node dist/test/simulation/replay.js --seed ${seed}${suffix}`;
}

function failOn(t: ExecutionContext, outcome: SweepOutcome): void {
  for (const { seed, problems } of outcome.failures) {
    t.fail(`${replayCommand(seed)}\n  ${problems.join('\n  ')}`);
  }
}

test.serial('the committed output is exactly the reference, whatever happens', async (t) => {
  t.timeout(TIMEOUT_MS);
  const threads = Math.min(4, availableParallelism());
  const outcomes = await Promise.all(
    Array.from({ length: threads }, (_, index) =>
      sweep({ first: 1 + index, last: SEEDS, stride: threads, untilCaught: false }),
    ),
  );
  for (const outcome of outcomes) failOn(t, outcome);
  const sum = (of: (outcome: SweepOutcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const seeds = sum((outcome) => outcome.seeds);
  t.true(sum(({ totals }) => totals.faults) >= 2 * seeds, 'two faults a seed');
  t.true(sum(({ totals }) => totals.attempts) >= 2 * seeds, 'a restart a seed');
  t.true(sum(({ totals }) => totals.lostNotifications) >= seeds / 2, 'notifications were lost');
  t.true(sum(({ totals }) => totals.savepoints) > 0, 'savepoints were taken');
  t.true(sum(({ totals }) => totals.unaligned) >= seeds / 10, 'barriers overtook records');
  t.true(sum(({ totals }) => totals.namedAgain) >= seeds, 'files were named again');
  t.true(sum(({ totals }) => totals.rescales) >= seeds / 3, 'jobs were rescaled');
  t.log(
    `${seeds} seeds, ${sum(({ totals }) => totals.faults)} faults, ` +
      `${sum(({ totals }) => totals.attempts)} attempts, ` +
      `${sum(({ totals }) => totals.checkpoints)} checkpoints ` +
      `(${sum(({ totals }) => totals.unaligned)} with in-flight data, ` +
      `${sum(({ totals }) => totals.namedAgain)} files named again), ` +
      `${sum(({ totals }) => totals.rescales)} rescales, ` +
      `${sum(({ totals }) => totals.steps)} steps`,
  );
});

for (const mutant of MUTANT_NAMES) {
  test.serial(`the mutant "${mutant}" is caught`, async (t) => {
    t.timeout(TIMEOUT_MS);
    const request = { first: 1, last: 1_000, stride: 1, mutant, untilCaught: true };
    const [caught] = (await sweep(request)).failures;
    t.truthy(caught, `1,000 seeds can't tell "${mutant}" from the product`);
    if (caught === undefined) return;
    t.log(`${replayCommand(caught.seed, mutant)}: ${caught.problems[0] ?? ''}`);
  });
}

test.serial('one seed has one history', async (t) => {
  for (const seed of [3, 17]) {
    const first = await runSimulation(seed);
    const second = await runSimulation(seed);
    t.deepEqual(second.log, first.log, replayCommand(seed));
    t.deepEqual(second, first);
  }
});
