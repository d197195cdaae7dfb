/**
 * One seeded run of the product's protocol: the job decider and the task slots are the real ones,
 * everything around them is simulated. The oracle: the job is FINISHED, and what readers of the
 * output see equals a single-threaded computation of the same input exactly. A run in which nothing
 * was at stake counts as failed. Not covered: gRPC, threads, real disks.
 */
import { isTerminalJobStatus } from '../../core/execution-state.js';
import { MUTANTS, type MutantName } from './mutants.js';
import { referenceOutput } from './simulated-job.js';
import { CHECKPOINTS_MIN, World } from './world.js';

/** A run that needs more than this hangs; the longest honest one takes a small part of it. */
const LIMITS = { steps: 40_000, ms: 30_000 };

export interface SimulationResult {
  /** Empty: output and state are exactly what they must be. */
  readonly problems: readonly string[];
  readonly log: readonly string[];
  readonly steps: number;
  readonly faults: number;
  readonly checkpoints: number;
  readonly savepoints: number;
  readonly attempts: number;
  readonly rescales: number;
  readonly lostNotifications: number;
  readonly inFlight: number;
  /** Completed checkpoints with in-flight data. */
  readonly unaligned: number;
  /** Files of earlier checkpoints in completed ones. */
  readonly namedAgain: number;
}

export async function runSimulation(seed: number, mutant?: MutantName): Promise<SimulationResult> {
  const world = new World(seed, mutant === undefined ? {} : MUTANTS[mutant]());
  const { loop, store } = world;
  await loop.run(
    () => isTerminalJobStatus(store.status),
    LIMITS,
    () => world.strike(),
  );
  return {
    problems: [...world.problems, ...checkOutput(world), ...checkStakes(world)],
    log: loop.log,
    steps: loop.steps,
    faults: world.faults,
    checkpoints: world.completed,
    savepoints: world.savepoints,
    attempts: store.attempt,
    rescales: world.rescales,
    lostNotifications: world.lostNotifications,
    inFlight: world.inFlight,
    unaligned: world.unaligned,
    namedAgain: world.namedAgain,
  };
}

function checkOutput({ store, coordinator, loop }: World): readonly string[] {
  const problems: string[] = [];
  if (store.status !== 'FINISHED') {
    const { status, terminalFailure } = coordinator.state.execution;
    const reason = terminalFailure?.message ?? `${loop.steps} steps, ${loop.nowMs.toFixed(0)} ms`;
    problems.push(`the job is ${status}, not FINISHED (${reason})`);
  }
  const actual = countLines(store.output.lines());
  const expected = countLines(referenceOutput());
  for (const line of new Set([...actual.keys(), ...expected.keys()])) {
    const difference = (actual.get(line) ?? 0) - (expected.get(line) ?? 0);
    if (difference !== 0)
      problems.push(`${line}: ${Math.abs(difference)} too ${difference < 0 ? 'few' : 'many'}`);
  }
  return problems;
}

function checkStakes({ faults, completed, inFlight }: World): readonly string[] {
  const problems: string[] = [];
  if (faults === 0) problems.push('vacuous: nothing was hit');
  if (completed < CHECKPOINTS_MIN) problems.push(`vacuous: ${completed} checkpoints completed`);
  if (inFlight === 0) problems.push('vacuous: nothing was in flight');
  return problems;
}

function countLines(lines: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
