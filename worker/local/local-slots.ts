/**
 * All slots of a job in one thread, with the same tasks, chains, codecs and barriers as a cluster but
 * no processes. State and checkpoint files are kept in memory. Whoever runs it decides when a
 * checkpoint is taken.
 */
import path from 'node:path';
import type { BuiltJob } from '../../api/job.js';
import type { Clock } from '../../core/clock.js';
import { ChannelTable } from '../../core/channel-table.js';
import type { JobGraph } from '../../core/job-graph.js';
import type { Buffer as ChannelBuffer } from '../network/buffer.js';
import { memoryRuns } from '../state/memory-runs.js';
import { HeapKeyedStateBackend } from '../state/heap-keyed-state-backend.js';
import { TaskSlot } from '../task/task-slot.js';
import { InThreadScoring } from './in-thread-scoring.js';
import { MemoryCheckpointStorage } from './memory-checkpoint-storage.js';
import { TaskProgress } from './task-progress.js';

export interface LocalSlotsOptions {
  readonly jobId: string;
  readonly graph: JobGraph;
  readonly transformations: BuiltJob['transformations'];
  readonly clock: Clock;
  /** Folder that scoring modules are relative to; they must be runnable JavaScript. */
  readonly moduleFolder: string;
  /** Calls back soon, after whatever else the thread has to do (setImmediate). */
  readonly defer: (callback: () => void) => void;
}

export class LocalSlots {
  readonly slots: readonly TaskSlot[];
  readonly #options: LocalSlotsOptions;
  readonly #progress: TaskProgress;
  #checkpoints = 0;

  constructor(options: LocalSlotsOptions) {
    this.#options = options;
    const { vertices, parallelism } = options.graph;
    this.#progress = new TaskProgress(
      vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0),
    );
    const { jobId, graph, transformations, clock, moduleFolder, defer } = options;
    const channels = new ChannelTable(graph);
    const slots: TaskSlot[] = [];
    const common = {
      jobId,
      attempt: 1,
      graph,
      transformations,
      restore: undefined,
      clock,
      storage: new MemoryCheckpointStorage(),
      reports: this.#progress,
      exchange: {
        send: (channel: number, buffer: ChannelBuffer) =>
          slots[channels.endsOf(channel)?.toSubtask ?? 0]?.onBuffer(channel, buffer),
        returnCredits: (channel: number, count: number) =>
          slots[channels.endsOf(channel)?.fromSubtask ?? 0]?.onCredits(channel, count),
        flush: () => undefined,
      },
      scoring: new InThreadScoring(),
      modulePathOf: (module: string) => path.resolve(moduleFolder, module),
      defer,
    };
    for (let slice = 0; slice < parallelism; slice++) {
      slots.push(
        new TaskSlot({
          ...common,
          slice,
          createBackend: (backend) => new HeapKeyedStateBackend(backend),
          runs: memoryRuns(defer),
        }),
      );
    }
    this.slots = slots;
  }

  /** Builds all tasks, then opens them; records flow once this resolves. */
  async start(): Promise<void> {
    for (const slot of this.slots) await slot.build();
    for (const slot of this.slots) await slot.open();
  }

  /** Resolves when every record is processed. @throws MillraceError whatever a task failed with */
  drained(): Promise<void> {
    return this.#progress.all('drained');
  }

  /**
   * Takes a checkpoint; resolves when every task has acknowledged it and committed.
   * @throws MillraceError whatever a task failed with
   */
  async checkpoint({ stopAfter }: { readonly stopAfter: boolean }): Promise<void> {
    const checkpointId = ++this.#checkpoints;
    for (const slot of this.slots) {
      slot.triggerCheckpoint({
        kind: 'barrier',
        checkpointId,
        prefix: `chk-${checkpointId}/`,
        triggeredAtMs: this.#options.clock.now(),
        stopAfter,
        alignmentTimeoutMs: null,
      });
    }
    await this.#progress.all('acknowledged');
    for (const slot of this.slots) slot.notifyCheckpointComplete(checkpointId);
    await this.#progress.all('committed');
  }

  async close(): Promise<void> {
    for (const slot of this.slots) await slot.close();
  }
}
