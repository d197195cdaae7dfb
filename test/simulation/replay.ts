/**
 * Replays one seed and prints its event log:
 *   node dist/test/simulation/replay.js --seed N [--mutant NAME]
 */
import { parseArgs } from 'node:util';
import { MUTANT_NAMES } from './mutants.js';
import { runSimulation } from './simulation.js';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, mutant: { type: 'string' } },
});
const seed = Number(values.seed);
const mutant = MUTANT_NAMES.find((name) => name === values.mutant);
if (!Number.isInteger(seed) || (values.mutant !== undefined && mutant === undefined)) {
  console.error(`usage: replay.js --seed N [--mutant ${MUTANT_NAMES.join('|')}]`);
  process.exitCode = 2;
} else {
  const { log, problems, ...figures } = await runSimulation(seed, mutant);
  for (const line of log) console.log(line);
  console.log(JSON.stringify(figures));
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
