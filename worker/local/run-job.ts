/**
 * Runs a whole job in one thread, with the same tasks, chains, codecs and barriers as a cluster but no
 * processes: for tests and as the reference that a distributed run is compared with. Bounded jobs only.
 * When all tasks are drained it takes the final checkpoint, so that exactly-once sinks commit.
 */
import path from 'node:path';
import type { Job } from '../../api/job.js';
import type { Clock } from '../../core/clock.js';
import { MillraceError } from '../../core/errors.js';
import { channelTable, createJobGraph, type JobGraph } from '../../core/job-graph.js';
import type { Buffer as ChannelBuffer } from '../network/buffer.js';
import { memoryRuns } from '../state/memory-runs.js';
import { MemoryStateBackend } from '../state/memory-state-backend.js';
import { systemClock } from '../../process/system-clock.js';
import type { OperatorCounts } from '../task/operator-chain.js';
import type { TaskReports } from '../task/task-environment.js';
import { TaskSlot } from '../task/task-slot.js';
import { InThreadScoring } from './in-thread-scoring.js';
import { MemoryCheckpointStorage } from './memory-checkpoint-storage.js';

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

const FINAL_CHECKPOINT = 1;

/** Counts what every task has to report before the run may go on. */
class Progress implements TaskReports {
  #drained = 0;
  #acknowledged = 0;
  #committed = 0;
  readonly #tasks: number;
  readonly #on: {
    readonly drained: () => void;
    readonly acknowledged: () => void;
    readonly committed: () => void;
    readonly failed: (error: MillraceError) => void;
  };

  constructor(
    tasks: number,
    on: {
      readonly drained: () => void;
      readonly acknowledged: () => void;
      readonly committed: () => void;
      readonly failed: (error: MillraceError) => void;
    },
  ) {
    this.#tasks = tasks;
    this.#on = on;
  }

  running(): void {
    // Nothing waits for it here.
  }

  drained(): void {
    if (++this.#drained === this.#tasks) this.#on.drained();
  }

  acknowledged(): void {
    if (++this.#acknowledged === this.#tasks) this.#on.acknowledged();
  }

  committed(): void {
    if (++this.#committed === this.#tasks) this.#on.committed();
  }

  failed(_task: unknown, error: MillraceError): void {
    this.#on.failed(error);
  }

  declined(_task: unknown, _checkpointId: number, error: MillraceError): void {
    this.#on.failed(error);
  }
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
  const graph = createJobGraph(streamGraph, options.parallelism ?? 1);
  const slots: TaskSlot[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const tasks = graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0);
      const reports = new Progress(tasks, {
        drained: () => {
          for (const slot of slots) {
            slot.triggerCheckpoint({
              kind: 'barrier',
              checkpointId: FINAL_CHECKPOINT,
              prefix: 'final/',
              triggeredAtMs: (options.clock ?? systemClock).now(),
              stopAfter: true,
              alignmentTimeoutMs: null,
            });
          }
        },
        acknowledged: () => {
          for (const slot of slots) slot.notifyCheckpointComplete(FINAL_CHECKPOINT);
        },
        committed: resolve,
        failed: reject,
      });
      slots.push(...createSlots(job.name, graph, transformations, reports, options));
      startSlots(slots).catch(reject);
    });
    return { operators: sumCounts(slots) };
  } finally {
    for (const slot of slots) await slot.close();
  }
}

async function startSlots(slots: readonly TaskSlot[]): Promise<void> {
  for (const slot of slots) await slot.build();
  for (const slot of slots) await slot.open();
}

function createSlots(
  jobId: string,
  graph: JobGraph,
  transformations: ConstructorParameters<typeof TaskSlot>[0]['transformations'],
  reports: TaskReports,
  options: RunJobOptions,
): TaskSlot[] {
  const channels = channelTable(graph);
  const storage = new MemoryCheckpointStorage();
  const scoring = new InThreadScoring();
  const slots: TaskSlot[] = [];
  const exchange = {
    send: (channel: number, buffer: ChannelBuffer) =>
      slots[channels[channel]?.toSubtask ?? 0]?.onBuffer(channel, buffer),
    returnCredits: (channel: number, count: number) =>
      slots[channels[channel]?.fromSubtask ?? 0]?.onCredits(channel, count),
    flush: () => undefined,
  };
  for (let slice = 0; slice < graph.parallelism; slice++) {
    slots.push(
      new TaskSlot({
        jobId,
        attempt: 1,
        slice,
        graph,
        transformations,
        restore: undefined,
        clock: options.clock ?? systemClock,
        storage,
        reports,
        exchange,
        scoring,
        modulePathOf: (module) => path.resolve(options.moduleFolder ?? '.', module),
        createBackend: (backend) => new MemoryStateBackend(backend),
        runs: memoryRuns(setImmediate),
        defer: setImmediate,
      }),
    );
  }
  return slots;
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
