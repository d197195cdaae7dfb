/**
 * One slot of a job that has as many subtasks as one likes. All subtasks of a keyed exchange are alike, so what
 * the slot sends to subtask k stands for what subtask k would send to it: its own buffers come back on the
 * channel from there. The slot has all its channels and has the thread to itself, as in a cluster; the other
 * slots cost nothing. For jobs of one hash edge whose operators keep no state.
 */
import type { BuiltJob } from '../api/job.js';
import type { Clock } from '../core/clock.js';
import { channelOf, createJobGraph } from '../core/job-graph.js';
import { TaskProgress } from '../worker/local/task-progress.js';
import { MemoryCheckpointStorage } from '../worker/local/memory-checkpoint-storage.js';
import { InThreadScoring } from '../worker/local/in-thread-scoring.js';
import { isRecords, type Buffer as ChannelBuffer } from '../worker/network/buffer.js';
import { memoryRuns } from '../worker/state/memory-runs.js';
import { HeapKeyedStateBackend } from '../worker/state/heap-keyed-state-backend.js';
import { TaskSlot } from '../worker/task/task-slot.js';

export class MirroredSubtask {
  /** Chunks that left the slot. */
  chunks = 0;
  readonly #slot: TaskSlot;
  readonly #progress: TaskProgress;
  readonly #clock: Clock;
  #checkpoints = 0;
  #channels: number[] = [];
  #buffers: ChannelBuffer[] = [];
  readonly #credits = new Map<number, number>();

  constructor({ graph: streamGraph, transformations }: BuiltJob, subtasks: number, clock: Clock) {
    const graph = createJobGraph(streamGraph, subtasks);
    const [edge] = graph.edges;
    if (edge === undefined || graph.edges.length !== 1) throw new Error('the job has one exchange');
    const [producer, consumer] = [new Map<number, number>(), new Map<number, number>()];
    for (let other = 1; other < subtasks; other++) {
      const [to, from] = [channelOf(edge, subtasks, 0, other), channelOf(edge, subtasks, other, 0)];
      consumer.set(to, from);
      producer.set(from, to);
    }
    this.#clock = clock;
    this.#progress = new TaskProgress(graph.vertices.length);
    this.#slot = new TaskSlot({
      jobId: 'mirrored',
      attempt: 1,
      slice: 0,
      graph,
      transformations,
      restore: undefined,
      clock,
      storage: new MemoryCheckpointStorage(),
      reports: this.#progress,
      exchange: {
        send: (channel, buffer) => {
          if (isRecords(buffer)) this.chunks++;
          this.#channels.push(consumer.get(channel) ?? channel);
          this.#buffers.push(buffer);
        },
        returnCredits: (channel, count) => {
          const to = producer.get(channel) ?? channel;
          this.#credits.set(to, (this.#credits.get(to) ?? 0) + count);
        },
        flush: () => this.#flush(),
      },
      scoring: new InThreadScoring(),
      modulePathOf: (module) => module,
      createBackend: (options) => new HeapKeyedStateBackend(options),
      runs: memoryRuns(setImmediate),
      defer: setImmediate,
    });
  }

  async start(): Promise<void> {
    await this.#slot.build();
    await this.#slot.open();
  }

  drained(): Promise<void> {
    return this.#progress.all('drained');
  }

  async checkpoint({ stopAfter }: { readonly stopAfter: boolean }): Promise<void> {
    const checkpointId = ++this.#checkpoints;
    this.#slot.triggerCheckpoint({
      kind: 'barrier',
      checkpointId,
      prefix: `chk-${checkpointId}/`,
      triggeredAtMs: this.#clock.now(),
      stopAfter,
      alignmentTimeoutMs: null,
    });
    await this.#progress.all('acknowledged');
    this.#slot.notifyCheckpointComplete(checkpointId);
    await this.#progress.all('committed');
  }

  close(): Promise<void> {
    return this.#slot.close();
  }

  /** Hands over what was gathered since the last time, after the run of turns that calls it. */
  #flush(): void {
    if (this.#buffers.length === 0 && this.#credits.size === 0) return;
    const [channels, buffers, credits] = [this.#channels, this.#buffers, [...this.#credits]];
    this.#channels = [];
    this.#buffers = [];
    this.#credits.clear();
    setImmediate(() => {
      buffers.forEach((buffer, i) => this.#slot.onBuffer(channels[i] ?? 0, buffer));
      for (const [channel, count] of credits) this.#slot.onCredits(channel, count);
    });
  }
}
