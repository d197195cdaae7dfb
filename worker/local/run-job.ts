/**
 * Runs a whole job in one thread, with the same tasks, chains, codecs and barriers as a cluster but no
 * processes: for tests and as the reference that a distributed run is compared with. Bounded jobs only.
 * When all tasks are drained it takes the final checkpoint, so that exactly-once sinks commit.
 */
import type { Job } from '../../api/job.js';
import type { Clock } from '../../core/clock.js';
import { MillraceError } from '../../core/errors.js';
import { createJobGraph } from '../../core/job-graph.js';
import { systemClock } from '../../process/system-clock.js';
import type { OperatorCounts } from '../task/operator-chain.js';
import type { TaskSlot } from '../task/task-slot.js';
import { LocalSlots } from './local-slots.js';

export interface RunJobOptions {
  readonly params?: Readonly<Record<string, string>>;
  /** Slices, all in this thread; 1 unless told. */
  readonly parallelism?: number;
  /** Folder that scoring modules are relative to; they must be runnable JavaScript. */
  readonly moduleFolder?: string;
  readonly clock?: Clock;
}

export interface RunJobResult {
  /** Counts of every operator, summed over its subtasks. */
  readonly operators: ReadonlyMap<string, Omit<OperatorCounts, 'operator'>>;
}

/**
 * Resolves when every record is processed and committed.
 * @throws MillraceError whatever the job failed with; JOB_INVALID for an unbounded source
 */
export async function runJob(job: Job, options: RunJobOptions = {}): Promise<RunJobResult> {
  const { graph: streamGraph, transformations } = job.build(options.params ?? {});
  for (const { functions, node } of transformations.values()) {
    if (functions.kind === 'source' && !functions.source.bounded) {
      throw new MillraceError(
        'JOB_INVALID',
        `source "${node.name}" never ends, so runJob would not either; give it an end or submit the job to a cluster`,
      );
    }
  }
  const slots = new LocalSlots({
    jobId: job.name,
    graph: createJobGraph(streamGraph, options.parallelism ?? 1),
    transformations,
    clock: options.clock ?? systemClock,
    moduleFolder: options.moduleFolder ?? '.',
    defer: setImmediate,
  });
  try {
    // A task may fail before the others have even started.
    await Promise.all([slots.start(), slots.drained()]);
    await slots.checkpoint({ stopAfter: true });
    return { operators: sumCounts(slots.slots) };
  } finally {
    await slots.close();
  }
}

function sumCounts(slots: readonly TaskSlot[]): Map<string, Omit<OperatorCounts, 'operator'>> {
  const sums = new Map<
    string,
    { recordsIn: number; recordsOut: number; sideOutputs: Record<string, number> }
  >();
  for (const counts of slots.flatMap((slot) => slot.tasks.flatMap((task) => task.chain.counts()))) {
    const sum = sums.get(counts.operator) ?? { recordsIn: 0, recordsOut: 0, sideOutputs: {} };
    sum.recordsIn += counts.recordsIn;
    sum.recordsOut += counts.recordsOut;
    for (const [output, count] of Object.entries(counts.sideOutputs)) {
      sum.sideOutputs[output] = (sum.sideOutputs[output] ?? 0) + count;
    }
    sums.set(counts.operator, sum);
  }
  return sums;
}
