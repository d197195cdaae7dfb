/**
 * Replays one seed and prints its event log:
 *   node dist/test/references/replay.js --seed N [--steps N] [--mutant NAME]
 */
import { parseArgs } from 'node:util';
import { COLLECTOR_MUTANT_NAMES } from './collector-mutants.js';
import { runSnapshotHistory } from './snapshot-world.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    steps: { type: 'string', default: '200' },
    mutant: { type: 'string' },
  },
});
const seed = Number(values.seed);
const mutant = COLLECTOR_MUTANT_NAMES.find((name) => name === values.mutant);
if (!Number.isInteger(seed) || (values.mutant !== undefined && mutant === undefined)) {
  console.error(
    `usage: replay.js --seed N [--steps N] [--mutant ${COLLECTOR_MUTANT_NAMES.join('|')}]`,
  );
  process.exitCode = 2;
} else {
  const { log, problems, ...figures } = await runSnapshotHistory(
    seed,
    Number(values.steps),
    mutant,
  );
  for (const line of log) console.log(line);
  console.log(JSON.stringify(figures));
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
