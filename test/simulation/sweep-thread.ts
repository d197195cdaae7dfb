/** Runs some seeds in a thread of its own: every `stride`-th one from `first`, as long as asked. */
import { parentPort, workerData } from 'node:worker_threads';
import type { MutantName } from './mutants.js';
import { runSimulation, type SimulationResult } from './simulation.js';

export interface SweepRequest {
  readonly first: number;
  readonly last: number;
  readonly stride: number;
  readonly mutant?: MutantName;
  /** Stop at the first seed whose output is wrong. */
  readonly untilCaught: boolean;
}

export interface SweepOutcome {
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly problems: readonly string[] }[];
  readonly totals: Omit<SimulationResult, 'problems' | 'log'>;
}

/** Stops early after so many failures: the first ones tell enough. */
const FAILURES_MAX = 5;

const request = workerData as SweepRequest;
const failures: { seed: number; problems: readonly string[] }[] = [];
let totals: SweepOutcome['totals'] = {
  steps: 0,
  faults: 0,
  checkpoints: 0,
  savepoints: 0,
  attempts: 0,
  rescales: 0,
  lostNotifications: 0,
  inFlight: 0,
  unaligned: 0,
  namedAgain: 0,
};
let seeds = 0;
for (let seed = request.first; seed <= request.last; seed += request.stride) {
  const result = await runSimulation(seed, request.mutant);
  seeds++;
  totals = {
    steps: totals.steps + result.steps,
    faults: totals.faults + result.faults,
    checkpoints: totals.checkpoints + result.checkpoints,
    savepoints: totals.savepoints + result.savepoints,
    attempts: totals.attempts + result.attempts,
    rescales: totals.rescales + result.rescales,
    lostNotifications: totals.lostNotifications + result.lostNotifications,
    inFlight: totals.inFlight + result.inFlight,
    unaligned: totals.unaligned + result.unaligned,
    namedAgain: totals.namedAgain + result.namedAgain,
  };
  // A vacuous run says nothing about a mutant; of the product it is a failure like any other.
  const problems = request.untilCaught
    ? result.problems.filter((problem) => !problem.startsWith('vacuous'))
    : result.problems;
  if (problems.length === 0) continue;
  failures.push({ seed, problems: problems.slice(0, 5) });
  if (request.untilCaught || failures.length >= FAILURES_MAX) break;
}
const outcome: SweepOutcome = { seeds, failures, totals };
parentPort?.postMessage(outcome);
