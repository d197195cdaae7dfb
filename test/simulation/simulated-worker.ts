/**
 * A simulated worker: holds slots that run the product's own TaskSlot, and speaks with the
 * coordinator and its peers over the simulated network. It does what the worker's main thread does,
 * and no more: deploy, route, report, end.
 */
import { serializeError, toMillraceError } from '../../core/errors.js';
import type { Attempt } from '../../core/execution-state.js';
import { ChannelTable } from '../../core/channel-table.js';
import { createJobGraph } from '../../core/job-graph.js';
import type { Buffer as ChannelBuffer } from '../../worker/network/buffer.js';
import { memoryRuns } from '../../worker/state/memory-runs.js';
import { HeapKeyedStateBackend } from '../../worker/state/heap-keyed-state-backend.js';
import { TaskSlot, type SlotExchange } from '../../worker/task/task-slot.js';
import type { TaskReports } from '../../worker/task/task-environment.js';
import type { Cluster, Deployment, Peer, Session, WorkerCommand, WorkerReport } from './cluster.js';
import { SimulatedProcess } from './event-loop.js';
import { buildJob } from './simulated-job.js';
import { SimulatedCheckpointStorage } from './simulated-store.js';

interface RunningSlot {
  readonly deployment: Deployment;
  readonly process: SimulatedProcess;
  readonly slot: TaskSlot;
  /** What arrived before the slot was built. */
  readonly early: (() => void)[];
  built: boolean;
}

export class SimulatedWorker implements Peer {
  readonly process: SimulatedProcess;
  readonly #cluster: Cluster;
  readonly #slotCount: number;
  readonly #slots = new Map<number, RunningSlot>();
  /** Buffers of slots that peers know of before this worker does. */
  readonly #undeployed = new Map<string, ((slot: TaskSlot) => void)[]>();
  /** The coordinator that this worker's session is with. */
  session: Session | undefined;

  constructor(cluster: Cluster, id: string, slotCount: number) {
    this.#cluster = cluster;
    this.#slotCount = slotCount;
    this.process = new SimulatedProcess(id);
  }

  get id(): string {
    return this.process.id;
  }

  /** A session with the coordinator that leads now: also after the old one was lost. */
  register(): void {
    this.session = this.#cluster.leader;
    this.#report({ kind: 'register', freeSlots: this.#slotCount - this.#slots.size });
  }

  receive(command: WorkerCommand): void {
    switch (command.kind) {
      case 'deploy':
        return this.#deploy(command.deployment);
      case 'cancel':
        for (const running of [...this.#slots.values()]) {
          if (running.deployment.attempt.attempt <= command.attempt) this.#end(running);
        }
        return;
      case 'finish':
        for (const running of this.#slotsOf(command.attempt)) this.#finish(running);
        return;
      case 'trigger':
        for (const running of this.#slotsOf(command.attempt)) {
          this.#whenBuilt(running, () => running.slot.triggerCheckpoint(command.barrier));
        }
        return;
      case 'complete':
        for (const running of this.#slotsOf(command.attempt)) {
          this.#whenBuilt(running, () =>
            running.slot.notifyCheckpointComplete(command.checkpointId),
          );
        }
        return;
      case 'aborted':
        for (const running of this.#slotsOf(command.attempt)) {
          this.#whenBuilt(running, () =>
            running.slot.notifyCheckpointAborted(command.checkpointId),
          );
        }
        return;
    }
  }

  /** From a peer's slot. */
  onBuffer(attempt: Attempt, slice: number, channel: number, buffer: ChannelBuffer): void {
    this.#route(attempt, slice, (slot) => slot.onBuffer(channel, buffer));
  }

  onCredits(attempt: Attempt, slice: number, channel: number, count: number): void {
    this.#route(attempt, slice, (slot) => slot.onCredits(channel, count));
  }

  #route(attempt: Attempt, slice: number, deliver: (slot: TaskSlot) => void): void {
    const running = this.#slotsOf(attempt).find(({ deployment }) => deployment.slice === slice);
    if (running !== undefined) return this.#whenBuilt(running, () => deliver(running.slot));
    const key = slotKey(attempt, slice);
    const waiting = this.#undeployed.get(key);
    if (waiting === undefined) this.#undeployed.set(key, [deliver]);
    else waiting.push(deliver);
  }

  #slotsOf(attempt: Attempt): readonly RunningSlot[] {
    return [...this.#slots.values()].filter(
      ({ deployment }) =>
        deployment.attempt.attempt === attempt.attempt &&
        deployment.attempt.epoch === attempt.epoch,
    );
  }

  #whenBuilt(running: RunningSlot, action: () => void): void {
    if (running.built) this.#cluster.loop.schedule(0, running.process, action);
    else running.early.push(action);
  }

  #report(report: WorkerReport): void {
    if (this.session !== undefined) this.#cluster.report(this.id, this.session, report);
  }

  #deploy(deployment: Deployment): void {
    const { attempt, slice } = deployment;
    const { loop, store, mutation } = this.#cluster;
    const process = new SimulatedProcess(`${this.id}/${attempt.attempt}/${slice}`, this.process);
    const { graph, transformations } = buildJob(store, process, this.#cluster.hooks);
    const jobGraph = createJobGraph(graph, deployment.parallelism);
    const storage = new SimulatedCheckpointStorage(store, process);
    const restoredParallelism = deployment.restore?.manifest.vertices[0]?.parallelism;
    const defer = (callback: () => void): void => loop.schedule(0.05, process, callback);
    const slot = new TaskSlot({
      jobId: attempt.jobId,
      attempt: attempt.attempt,
      slice,
      graph: jobGraph,
      transformations,
      restore: deployment.restore,
      clock: loop.clockOf(process),
      storage: mutation.storage?.(storage, loop, process) ?? storage,
      reports: this.#reportsOf(attempt),
      exchange: this.#exchangeOf(deployment, jobGraph),
      scoring: { score: () => Promise.reject(new Error('the simulated job does not score')) },
      modulePathOf: (module) => module,
      createBackend: (options) => {
        const backend = new HeapKeyedStateBackend(options);
        return mutation.backend?.(backend, options, restoredParallelism) ?? backend;
      },
      runs: memoryRuns(defer),
      defer,
      ...(mutation.align === undefined ? {} : { align: mutation.align }),
    });
    const early = this.#undeployed.get(slotKey(attempt, slice)) ?? [];
    const running: RunningSlot = {
      deployment,
      process,
      slot,
      early: early.map((deliver) => () => deliver(slot)),
      built: false,
    };
    this.#slots.set(slice, running);
    loop.note(`${this.id} deploys slice ${slice} of attempt ${attempt.attempt}`);
    slot
      .build()
      .then(async () => {
        running.built = true;
        for (const action of running.early.splice(0)) action();
        await slot.open();
      })
      .catch((error: unknown) => {
        this.#report({
          kind: 'slotState',
          attempt,
          slice,
          released: false,
          failure: serializeError(toMillraceError(error)),
        });
      });
  }

  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** Ends the slot's thread, whatever it is doing. */
  #end(running: RunningSlot): void {
    running.process.kill();
    this.#slots.delete(running.deployment.slice);
    const { attempt, slice } = running.deployment;
    this.#cluster.loop.note(`${this.id} ends slice ${slice} of attempt ${attempt.attempt}`);
    this.#report({ kind: 'slotState', attempt, slice, released: true });
  }

  #finish(running: RunningSlot): void {
    const { attempt } = running.deployment;
    const { slot } = running;
    this.#cluster.loop.schedule(0, running.process, () => {
      void slot.close().then(() => {
        for (const { id } of slot.tasks) {
          this.#report({ kind: 'taskState', attempt, task: id, state: 'FINISHED' });
        }
        this.#end(running);
      });
    });
  }

  #reportsOf(attempt: Attempt): TaskReports {
    const report = (message: WorkerReport): void => this.#report(message);
    return {
      running: (task) => report({ kind: 'taskState', attempt, task, state: 'RUNNING' }),
      drained: (task) => report({ kind: 'taskState', attempt, task, state: 'DRAINED' }),
      failed: (task, error) =>
        report({
          kind: 'taskState',
          attempt,
          task,
          state: 'FAILED',
          failure: serializeError(error),
        }),
      acknowledged: (task, checkpointId, files, timings) =>
        report({ kind: 'acknowledged', attempt, task, checkpointId, files, timings }),
      declined: (task, checkpointId, error) =>
        report({ kind: 'declined', attempt, task, checkpointId, failure: serializeError(error) }),
      committed: (task, checkpointId) => report({ kind: 'committed', attempt, task, checkpointId }),
    };
  }

  #exchangeOf(deployment: Deployment, graph: ReturnType<typeof createJobGraph>): SlotExchange {
    const { attempt, slices } = deployment;
    const channels = new ChannelTable(graph);
    const peer = (slice: number): Peer | undefined =>
      this.#cluster.peer(slices[slice]?.workerId ?? '');
    return {
      send: (channel, buffer) => {
        const slice = channels.endsOf(channel)?.toSubtask ?? 0;
        const to = peer(slice);
        if (to === undefined) return;
        this.#cluster.network.send(`${attempt.attempt} data ${channel}`, to.process, () =>
          to.onBuffer(attempt, slice, channel, buffer),
        );
      },
      returnCredits: (channel, count) => {
        const slice = channels.endsOf(channel)?.fromSubtask ?? 0;
        const to = peer(slice);
        if (to === undefined) return;
        this.#cluster.network.send(`${attempt.attempt} credits ${channel}`, to.process, () =>
          to.onCredits(attempt, slice, channel, count),
        );
      },
      flush: () => undefined,
    };
  }
}

function slotKey(attempt: Attempt, slice: number): string {
  return `${attempt.epoch}/${attempt.attempt}/${slice}`;
}
