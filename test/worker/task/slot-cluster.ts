/**
 * All slots of a job in one thread, joined by direct calls: what a coordinator and its workers are
 * to them, in the hands of a test. Nothing happens here that a test did not ask for.
 */
import type { Job } from '../../../api/job.js';
import { createManifest, type CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import type { MillraceError } from '../../../core/errors.js';
import { ChannelTable } from '../../../core/channel-table.js';
import { createJobGraph, type JobGraph } from '../../../core/job-graph.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import { int32Schema } from '../../../core/schema.js';
import type { StateFile } from '../../../core/state-file.js';
import type { ScoringRequest, ScoringService } from '../../../worker/compute/scoring-service.js';
import type { KeyedStateBackend } from '../../../worker/state/keyed-state-backend.js';
import { memoryRuns } from '../../../worker/state/memory-runs.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import type { CheckpointStorage, TaskId } from '../../../worker/task/task-environment.js';
import { TaskSlot } from '../../../worker/task/task-slot.js';
import { ManualClock } from '../../manual-clock.js';

/** What became of all tasks: true once every one of them has reported it. */
type Milestone = 'running' | 'drained' | `acknowledged ${number}` | `committed ${number}`;

interface AcknowledgedFiles {
  readonly task: TaskId;
  readonly files: readonly StateFile[];
}

export interface SlotClusterOptions {
  readonly job: Job;
  readonly parallelism: number;
  readonly storage: CheckpointStorage;
  readonly scoring: ScoringService;
  readonly restore?: CheckpointManifest;
  /** Whether the job owns what it is restored from; it does unless told. */
  readonly owned?: boolean;
}

export class SlotCluster {
  readonly clock = new ManualClock(1);
  readonly graph: JobGraph;
  readonly slots: readonly TaskSlot[];
  /** Of one operator, by subtask. */
  readonly backends = new Map<string, KeyedStateBackend[]>();
  readonly #tasks: number;
  readonly #reports = new Map<Milestone, number>();
  readonly #unaligned = new Set<number>();
  readonly #files = new Map<number, AcknowledgedFiles[]>();
  readonly #waiting: {
    readonly milestone: Milestone;
    readonly done: (error?: MillraceError) => void;
  }[] = [];
  #failure: MillraceError | undefined;

  constructor(options: SlotClusterOptions) {
    const { graph, transformations } = options.job.build({});
    this.graph = createJobGraph(graph, options.parallelism);
    this.#tasks = this.graph.vertices.reduce((sum, vertex) => sum + vertex.parallelism, 0);
    const channels = new ChannelTable(this.graph);
    this.slots = Array.from({ length: this.graph.parallelism }, (_, slice) => {
      const failed = (error: MillraceError): void => {
        this.#failure ??= error;
        for (const { done } of this.#waiting.splice(0)) done(error);
      };
      return new TaskSlot({
        jobId: 'job',
        attempt: 1,
        slice,
        graph: this.graph,
        transformations,
        restore:
          options.restore === undefined
            ? undefined
            : { manifest: options.restore, owned: options.owned ?? true },
        clock: this.clock,
        storage: options.storage,
        reports: {
          running: () => this.#reached('running'),
          drained: () => this.#reached('drained'),
          acknowledged: (task, checkpointId, files, { unaligned }) => {
            if (unaligned) this.#unaligned.add(checkpointId);
            const all = this.#files.get(checkpointId) ?? [];
            this.#files.set(checkpointId, [...all, { task, files }]);
            this.#reached(`acknowledged ${checkpointId}`);
          },
          committed: (_task, checkpointId) => this.#reached(`committed ${checkpointId}`),
          failed: (_task, error) => failed(error),
          declined: (_task, _checkpointId, error) => failed(error),
        },
        exchange: {
          send: (channel, buffer) =>
            this.slots[channels.endsOf(channel)?.toSubtask ?? 0]?.onBuffer(channel, buffer),
          returnCredits: (channel, count) =>
            this.slots[channels.endsOf(channel)?.fromSubtask ?? 0]?.onCredits(channel, count),
          flush: () => undefined,
        },
        scoring: options.scoring,
        modulePathOf: (module) => module,
        createBackend: (backendOptions) => {
          const backend = new HeapKeyedStateBackend(backendOptions);
          const all = this.backends.get(backendOptions.operator) ?? [];
          this.backends.set(backendOptions.operator, [...all, backend]);
          return backend;
        },
        runs: memoryRuns(setImmediate),
        // Time passes with the turns, so that watermarks are due and batches leave.
        defer: (callback) =>
          setImmediate(() => {
            this.clock.advance(1);
            callback();
          }),
      });
    });
  }

  /** Builds the slots, which restores their state, without opening any. */
  async build(): Promise<void> {
    for (const slot of this.slots) await slot.build();
  }

  async start(): Promise<void> {
    await this.build();
    for (const slot of this.slots) await slot.open();
    await this.reached('running');
  }

  /** Resolves once every task has reported it; rejects with what the first failing task said. */
  reached(milestone: Milestone): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else if (this.#reports.get(milestone) === this.#tasks) resolve();
      else {
        const done = (error?: MillraceError): void => {
          if (error === undefined) resolve();
          else reject(error);
        };
        this.#waiting.push({ milestone, done });
      }
    });
  }

  trigger(
    checkpointId: number,
    stopAfter = false,
    alignmentTimeoutMs: number | null = null,
    prefix = `chk-${checkpointId}/`,
  ): void {
    for (const slot of this.slots) {
      slot.triggerCheckpoint({
        kind: 'barrier',
        checkpointId,
        prefix,
        stopAfter,
        triggeredAtMs: this.clock.now(),
        alignmentTimeoutMs,
      });
    }
  }

  /** The completed checkpoint, once every task has acknowledged it. */
  async completed(checkpointId: number): Promise<CheckpointManifest> {
    await this.reached(`acknowledged ${checkpointId}`);
    const files = this.#files.get(checkpointId) ?? [];
    return createManifest({
      jobId: 'job',
      checkpointId,
      attempt: 1,
      epoch: 1,
      createdAt: 0,
      streamGraph: this.graph.streamGraph,
      vertices: this.graph.vertices.map(({ id, parallelism }) => ({
        vertex: id,
        parallelism,
        tasks: files
          .filter(({ task }) => task.vertex === id)
          .map(({ task, files: own }) => ({ subtask: task.subtask, files: own })),
      })),
    });
  }

  /** Whether a barrier of the checkpoint overtook in any task. */
  unaligned(checkpointId: number): boolean {
    return this.#unaligned.has(checkpointId);
  }

  async notify(checkpointId: number): Promise<void> {
    for (const slot of this.slots) slot.notifyCheckpointComplete(checkpointId);
    await this.reached(`committed ${checkpointId}`);
  }

  abort(checkpointId: number): void {
    for (const slot of this.slots) slot.notifyCheckpointAborted(checkpointId);
  }

  async checkpoint(checkpointId: number): Promise<CheckpointManifest> {
    this.trigger(checkpointId);
    return this.completed(checkpointId);
  }

  /** To the end of the input, with the last checkpoint that commits what is left. */
  async finish(checkpointId: number): Promise<void> {
    await this.reached('drained');
    await this.checkpoint(checkpointId);
    await this.notify(checkpointId);
    await this.close();
  }

  async close(): Promise<void> {
    for (const slot of this.slots) await slot.close();
  }

  #reached(milestone: Milestone): void {
    const count = (this.#reports.get(milestone) ?? 0) + 1;
    this.#reports.set(milestone, count);
    if (count < this.#tasks) return;
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.milestone === milestone) waiting.done();
      else this.#waiting.push(waiting);
    }
  }
}

const numbers = compileRecordCodec(int32Schema);

/** Doubles numbers; while it is held, calls wait. */
export class DoublingService implements ScoringService {
  readonly #held: (() => void)[] = [];
  readonly #called: (() => void)[] = [];
  #isHeld = false;

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const answer of this.#held.splice(0)) answer();
  }

  /** Resolves once a call waits. */
  async callWaits(): Promise<void> {
    if (this.#held.length === 0) await new Promise<void>((resolve) => this.#called.push(resolve));
  }

  async score({ chunk }: ScoringRequest): Promise<Uint8Array> {
    const { values, count } = numbers.decode(chunk, {
      values: [],
      timestamps: new Float64Array(0),
      count: 0,
    });
    if (this.#isHeld) {
      await new Promise<void>((resolve) => {
        this.#held.push(resolve);
        for (const seen of this.#called.splice(0)) seen();
      });
    }
    const doubled = values.slice(0, count).map((n) => n * 2);
    return numbers.encode(doubled, new Float64Array(count));
  }
}
