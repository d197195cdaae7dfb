/**
 * A task slot: one parallel slice of a job, all of its tasks in one thread. It schedules their turns
 * cooperatively and routes buffers and credits between tasks of the slot; what leads out of the slot
 * goes to the exchange. The same class runs in a worker thread, in the local runner and in the
 * simulation; only what is injected differs.
 */
import type { Transformation } from '../../api/transformation.js';
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import type { Clock } from '../../core/clock.js';
import { invariant } from '../../core/errors.js';
import type { JobGraph } from '../../core/job-graph.js';
import { keyGroupRange } from '../../core/key-group.js';
import type { ScoringService } from '../compute/scoring-service.js';
import type { AlignerEvent, AlignerState, AlignerStep } from '../network/barrier-aligner.js';
import type { Buffer, CheckpointBarrier } from '../network/buffer.js';
import type { InputGate } from '../network/input-gate.js';
import type { ResultSubpartition } from '../network/result-subpartition.js';
import type { KeyedStateBackend, KeyedStateBackendOptions } from '../state/keyed-state-backend.js';
import { ChannelCatalog } from './channel-catalog.js';
import { readRestoredChannels } from './restored-channels.js';
import type { RunServices } from '../state/run-services.js';
import { RunFetcher } from './run-fetcher.js';
import { readRestoredState } from './restored-state.js';
import type { StreamTask } from './stream-task.js';
import { buildTask, type BuiltTask } from './task-builder.js';
import type { CheckpointStorage, LocalRecovery, TaskReports } from './task-environment.js';

/** What leads out of the slot. */
export interface SlotExchange {
  send(channel: number, buffer: Buffer): void;
  returnCredits(channel: number, count: number): void;
  /** Called after a run of turns: hand over what was gathered. */
  flush(): void;
}

export interface RestoredCheckpoint {
  readonly manifest: CheckpointManifest;
  /** Whether later checkpoints of the job may name its files: it is the job's own, or was claimed. */
  readonly owned: boolean;
}

/** Runs that a slot was restored from. */
export interface RestoredBytes {
  /** Taken from copies on this machine. */
  readonly localBytes: number;
  readonly fetchedBytes: number;
}

export interface TaskSlotOptions {
  readonly jobId: string;
  readonly attempt: number;
  readonly slice: number;
  readonly graph: JobGraph;
  readonly transformations: ReadonlyMap<string, Transformation>;
  readonly restore: RestoredCheckpoint | undefined;
  readonly clock: Clock;
  readonly storage: CheckpointStorage;
  readonly reports: TaskReports;
  readonly exchange: SlotExchange;
  readonly scoring: ScoringService;
  readonly modulePathOf: (module: string) => string;
  readonly createBackend: (options: KeyedStateBackendOptions) => KeyedStateBackend;
  /** Where the slot's runs lie, and who merges them. */
  readonly runs: RunServices;
  /** Copies of checkpoint files that outlive the slot, if there are any. */
  readonly local?: LocalRecovery;
  /** Calls back soon, after whatever else the thread has to do (setImmediate). */
  readonly defer: (callback: () => void) => void;
  readonly align?: (state: AlignerState, event: AlignerEvent) => AlignerStep;
}

/** Turns of every task before the thread looks at its messages again. */
const TURNS_PER_RUN = 16;

export class TaskSlot {
  readonly #options: TaskSlotOptions;
  readonly #catalog: ChannelCatalog;
  readonly #tasks: StreamTask[] = [];
  readonly #gates = new Map<number, InputGate>();
  readonly #subpartitions = new Map<number, ResultSubpartition>();
  #scheduled = false;
  #closed = false;
  #cancelFlush: (() => void) | undefined;
  #cancelAlarm: (() => void) | undefined;

  constructor(options: TaskSlotOptions) {
    this.#options = options;
    this.#catalog = new ChannelCatalog(options.graph, options.transformations);
  }

  get tasks(): readonly StreamTask[] {
    return this.#tasks;
  }

  /**
   * Restores state and builds the slot's tasks; buffers may arrive once this resolves.
   * @returns where the bytes of its runs came from; undefined when the job starts afresh
   */
  async build(): Promise<RestoredBytes | undefined> {
    const { graph, slice, restore, storage, runs, local } = this.#options;
    const fetcher = new RunFetcher({
      checkpointId: restore?.manifest.checkpointId ?? 0,
      storage,
      runStorage: runs.storage,
      local,
    });
    for (const vertex of graph.vertices) {
      if (slice >= vertex.parallelism) continue;
      const { transformations } = this.#options;
      const restored =
        restore === undefined
          ? undefined
          : await readRestoredState(
              restore.manifest,
              vertex,
              slice,
              keyGroupRange(slice, vertex.parallelism, graph.maxParallelism),
              transformations,
              storage,
              fetcher,
            );
      const recovered =
        restore === undefined
          ? undefined
          : await readRestoredChannels(restore.manifest, vertex, slice, this.#catalog, storage);
      if (this.#closed) return undefined;
      const built = buildTask(this.#builderOptions(), vertex, slice, restored);
      if (recovered !== undefined) built.gate?.recover(recovered);
      this.#add(built);
    }
    if (restore === undefined) return undefined;
    return { localBytes: fetcher.localBytes, fetchedBytes: fetcher.fetchedBytes };
  }

  /** Opens the slot's tasks; each reports itself running. */
  async open(): Promise<void> {
    // Consumers first, so that nothing is sent to a task that is not open.
    for (const task of [...this.#tasks].reverse()) {
      try {
        await task.open();
      } catch (error) {
        task.fail(error);
        return;
      }
    }
  }

  /** A buffer from another slot. */
  onBuffer(channel: number, buffer: Buffer): void {
    const gate = this.#gates.get(channel);
    invariant(gate !== undefined, `channel ${channel} leads into slice ${this.#options.slice}`);
    gate.onBuffer(channel, buffer);
    this.wake();
  }

  /** Credits from a consumer in another slot. */
  onCredits(channel: number, count: number): void {
    const subpartition = this.#subpartitions.get(channel);
    invariant(
      subpartition !== undefined,
      `channel ${channel} starts in slice ${this.#options.slice}`,
    );
    subpartition.addCredits(count);
    this.wake();
  }

  /** Starts a checkpoint at the slot's sources. */
  triggerCheckpoint(barrier: CheckpointBarrier): void {
    for (const task of this.#tasks) {
      if (this.#isSource(task)) task.triggerCheckpoint(barrier);
    }
  }

  notifyCheckpointComplete(checkpointId: number): void {
    for (const task of this.#tasks) task.notifyCheckpointComplete(checkpointId);
  }

  notifyCheckpointAborted(checkpointId: number): void {
    for (const task of this.#tasks) task.notifyCheckpointAborted(checkpointId);
  }

  readonly wake = (): void => {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#options.defer(this.#run);
  };

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelFlush?.();
    this.#cancelAlarm?.();
    for (const task of this.#tasks) await task.close();
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    if (this.#closed) return;
    let worked = true;
    for (let turn = 0; worked && turn < TURNS_PER_RUN; turn++) {
      worked = false;
      // Consumers first: what is nearest to the end leaves before more comes in.
      for (let i = this.#tasks.length - 1; i >= 0; i--) {
        if (this.#tasks[i]?.turn() === true) worked = true;
      }
    }
    this.#options.exchange.flush();
    if (worked) this.wake();
    else this.#setAlarm();
    this.#scheduleFlush();
  };

  /** A chunk that stays open is sent after the buffer timeout at the latest. */
  #scheduleFlush(): void {
    if (this.#cancelFlush !== undefined) return;
    if (!this.#tasks.some((task) => task.hasOpenChunk)) return;
    const { clock, graph, exchange } = this.#options;
    this.#cancelFlush = clock.setTimer(graph.streamGraph.bufferTimeoutMs, () => {
      this.#cancelFlush = undefined;
      for (const task of this.#tasks) task.flush();
      exchange.flush();
      this.wake();
    });
  }

  /** Comes back when the next processing-time timer is due. */
  #setAlarm(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    let earliest = Infinity;
    for (const task of this.#tasks)
      earliest = Math.min(earliest, task.nextProcessingTime ?? Infinity);
    if (earliest === Infinity) return;
    const { clock } = this.#options;
    this.#cancelAlarm = clock.setTimer(Math.max(1, earliest - clock.now()), this.wake);
  }

  #isSource(task: StreamTask): boolean {
    return this.#options.graph.vertices.some(
      (vertex) => vertex.id === task.id.vertex && vertex.inputs.length === 0,
    );
  }

  #add(built: BuiltTask): void {
    this.#tasks.push(built.task);
    for (const subpartition of built.subpartitions) {
      this.#subpartitions.set(subpartition.channel, subpartition);
    }
    const { gate } = built;
    if (gate === undefined) return;
    for (const channel of gate.channelNumbers()) this.#gates.set(channel, gate);
  }

  #builderOptions(): Parameters<typeof buildTask>[0] {
    const { clock, storage, local, reports, exchange, slice, restore } = this.#options;
    return {
      ...this.#options,
      catalog: this.#catalog,
      restoredJobId: restore?.manifest.jobId,
      ownsRestored: restore?.owned ?? false,
      environment: { clock, storage, local, reports, wake: this.wake },
      isLocal: (_vertex, subtask) => subtask === slice,
      send: (channel, buffer) => {
        const gate = this.#gates.get(channel);
        if (gate === undefined) exchange.send(channel, buffer);
        else {
          gate.onBuffer(channel, buffer);
          this.wake();
        }
      },
      returnCredits: (channel, count) => {
        const subpartition = this.#subpartitions.get(channel);
        if (subpartition === undefined) exchange.returnCredits(channel, count);
        else {
          subpartition.addCredits(count);
          this.wake();
        }
      },
    };
  }
}
