/**
 * The simulated cluster and what befalls it: workers that are killed or stopped and come back,
 * coordinators that are killed or stopped and superseded, user code that throws, stores that fail,
 * notifications that get lost. All from one seed.
 */
import { parseManifest } from '../../core/checkpoint-manifest.js';
import type { CompletedCheckpoint } from '../../core/checkpoint-protocol.js';
import type { StateFile } from '../../core/state-file.js';
import type { Cluster, Peer, Session, WorkerCommand, WorkerReport } from './cluster.js';
import { EventLoop, SimulatedNetwork } from './event-loop.js';
import type { Mutation } from './mutants.js';
import { SimulatedCoordinator } from './simulated-coordinator.js';
import type { JobHooks } from './simulated-job.js';
import { SimulatedStore } from './simulated-store.js';
import { SimulatedWorker } from './simulated-worker.js';

const WORKERS = 3;
/** The simulated job has more subtasks than splits at the greatest. */
const PARALLELISM_MAX = 4;
/** A worker that leaves does not wait for longer. */
const LEAVE_TIMEOUT_MS = 60;
const HEARTBEAT_TIMEOUT_MS = 25;
/** Half of the runs have aligned checkpoints only. */
const ALIGNMENT_TIMEOUTS_MS = [null, null, null, 0, 3, 12] as const;
/** Longest pause of the sink in a run. */
const SINK_PAUSES_MS = [0, 15, 60] as const;
/** A run with fewer completed checkpoints proves little. */
export const CHECKPOINTS_MIN = 3;

const FAULTS = [
  'worker killed',
  'worker killed',
  'worker stopped',
  'worker stopped',
  'coordinator killed',
  'coordinator stopped',
  'user code throws',
] as const;
type Fault = (typeof FAULTS)[number];

interface PlannedFault {
  readonly fault: Fault;
  readonly step: number;
}

export class World implements Cluster {
  readonly loop: EventLoop;
  readonly network: SimulatedNetwork;
  readonly store: SimulatedStore;
  readonly mutation: Mutation;
  readonly hooks: JobHooks;
  coordinator: SimulatedCoordinator;
  /** Invariants that did not hold. */
  readonly problems: string[] = [];
  faults = 0;
  rescales = 0;
  readonly exactParallelism: boolean;
  completed = 0;
  savepoints = 0;
  lostNotifications = 0;
  /** Completed checkpoints with in-flight data. */
  unaligned = 0;
  /** Files of earlier checkpoints in completed ones. */
  namedAgain = 0;
  /** Most records that were read but not committed when something was hit. */
  inFlight = 0;
  readonly #workers = new Map<string, SimulatedWorker>();
  readonly #planned: PlannedFault[];
  readonly #read: number[] = [];
  #throwNext = false;
  #workerCount = 0;

  constructor(seed: number, mutation: Mutation) {
    this.mutation = mutation;
    this.loop = new EventLoop(seed);
    this.network = new SimulatedNetwork(this.loop);
    this.store = new SimulatedStore(this.loop);
    const { random } = this.loop;
    const pauseMsMax = random.pick(SINK_PAUSES_MS);
    this.hooks = {
      alignmentTimeoutMs: random.pick(ALIGNMENT_TIMEOUTS_MS),
      sinkPauseMs: () => Math.floor(random.next() * pauseMsMax),
      positionOf: mutation.positionOf ?? ((next) => next),
      onRead: (split, index) => {
        this.#read[split] = Math.max(this.#read[split] ?? 0, index + 1);
      },
      mayEnd: () => this.completed >= CHECKPOINTS_MIN - 1,
      onElement: () => {
        if (!this.#throwNext) return;
        this.#throwNext = false;
        throw new TypeError('simulated mistake');
      },
    };
    this.#planned = Array.from({ length: random.whole(1, 4) }, (_, index) => ({
      fault: random.pick(FAULTS),
      step: random.whole(60, index === 0 ? 400 : 1_500),
    })).sort((left, right) => left.step - right.step);
    this.exactParallelism = random.chance(0.2);
    for (let i = random.whole(0, 3); i > 0; i--) this.#planScaling(random.whole(20, 500));
    if (random.chance(0.3)) this.#planSavepoint(random.whole(30, 250));
    this.coordinator = new SimulatedCoordinator(this);
    for (let i = 0; i < WORKERS; i++) this.#addWorker(random.next() * 3);
    this.coordinator.start();
  }

  get leader(): Session {
    return this.coordinator;
  }

  get workerIds(): readonly string[] {
    return [...this.#workers.keys()];
  }

  peer(workerId: string): Peer | undefined {
    return this.#workers.get(workerId);
  }

  report(workerId: string, session: Session, report: WorkerReport): void {
    this.network.send(`${workerId} to ${session.process.id}`, session.process, () =>
      session.onReport(workerId, report),
    );
  }

  command(from: Session, workerId: string, command: WorkerCommand): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    this.network.send(`${from.process.id} to ${workerId}`, worker.process, () => {
      if (worker.session === from) worker.receive(command);
    });
  }

  onRescaled(): void {
    this.rescales++;
  }

  onStrayFile(reason: string): void {
    this.problems.push(reason);
  }

  onSavepoint(): void {
    this.savepoints++;
  }

  onNotificationLost(): void {
    this.lostNotifications++;
  }

  /** After every step: strikes when it is time, and first of all while records are in flight. */
  strike(): void {
    const [next] = this.#planned;
    if (next === undefined || this.loop.steps < next.step) return;
    const read = this.#read.reduce((sum, count) => sum + count, 0);
    const inFlight = read - this.store.output.committedCounts;
    const running = this.coordinator.state.execution.status === 'RUNNING';
    if (this.faults === 0 && (inFlight <= 0 || !running)) return;
    this.#planned.shift();
    this.faults++;
    this.inFlight = Math.max(this.inFlight, inFlight);
    this.loop.note(`### ${next.fault} with ${inFlight} records in flight`);
    this.#apply(next.fault);
  }

  onCompleted(completed: readonly CompletedCheckpoint[]): void {
    this.completed++;
    const newest = completed.at(-1)?.checkpointId;
    for (const { prefix, checkpointId, savepointId } of completed) {
      const bytes = this.store.files.get(`${prefix}manifest.json`);
      if (bytes === undefined) {
        this.problems.push(`checkpoint ${checkpointId} is retained without its manifest`);
        continue;
      }
      const { vertices } = parseManifest(Buffer.from(bytes).toString());
      const files = vertices.flatMap(({ tasks }) => tasks.flatMap((task) => task.files));
      if (checkpointId === newest && hasInFlight(files)) this.unaligned++;
      const named = files.filter(({ key }) => !key.startsWith(prefix));
      if (checkpointId === newest) this.namedAgain += named.length;
      if (savepointId !== undefined && named.length > 0) {
        this.problems.push(`savepoint ${savepointId} names ${named[0]?.key}`);
      }
      for (const { key } of files) {
        if (!this.store.files.has(key)) {
          this.problems.push(`checkpoint ${checkpointId} is retained without ${key}`);
        }
      }
    }
  }

  #apply(fault: Fault): void {
    switch (fault) {
      case 'worker killed':
        return this.#killWorker();
      case 'worker stopped':
        return this.#stopWorker();
      case 'coordinator killed':
        this.coordinator.process.kill();
        return this.#electAfter(20 + this.loop.random.next() * 60);
      case 'coordinator stopped': {
        const old = this.coordinator.process;
        old.pause();
        const electedMs = 20 + this.loop.random.next() * 40;
        this.#electAfter(electedMs);
        this.loop.schedule(electedMs + this.loop.random.next() * 80, undefined, () =>
          this.loop.resume(old),
        );
        return;
      }
      case 'user code throws':
        this.#throwNext = true;
        return;
    }
  }

  /** Rather one that has work to do. */
  #victim(): SimulatedWorker | undefined {
    const alive = [...this.#workers.values()].filter(({ process }) => process.state === 'alive');
    const used = new Set(this.coordinator.state.execution.slots.map(({ workerId }) => workerId));
    const busy = alive.filter(({ id }) => used.has(id));
    const candidates = busy.length > 0 ? busy : alive;
    return candidates.length === 0 ? undefined : this.loop.random.pick(candidates);
  }

  #killWorker(): void {
    const victim = this.#victim();
    if (victim !== undefined) this.#endWorker(victim);
  }

  /** Another one comes in its place. */
  #endWorker(victim: SimulatedWorker): void {
    victim.process.kill();
    this.#workers.delete(victim.id);
    const { session } = victim;
    if (session !== undefined) {
      // What it had sent still arrives, then the end of its connection.
      this.network.send(`${victim.id} to ${session.process.id}`, session.process, () =>
        session.loseWorker(victim.id, 'connection closed'),
      );
    }
    this.#addWorker(10 + this.loop.random.next() * 40);
  }

  /** Stopped beyond its heartbeat as a rule, then back with all that it still had to say. */
  #stopWorker(): void {
    const victim = this.#victim();
    if (victim === undefined) return;
    victim.process.pause();
    const { session } = victim;
    this.loop.schedule(HEARTBEAT_TIMEOUT_MS, session?.process, () => {
      if (victim.process.state === 'paused') session?.loseWorker(victim.id, 'no heartbeat');
    });
    this.loop.schedule(10 + this.loop.random.next() * 150, undefined, () => {
      this.loop.note(`${victim.id} goes on`);
      this.loop.resume(victim.process);
      this.loop.schedule(this.loop.random.next() * 20, victim.process, () => victim.register());
    });
  }

  #addWorker(delayMs: number): void {
    const worker = new SimulatedWorker(this, `w${++this.#workerCount}`, 1);
    this.#workers.set(worker.id, worker);
    this.loop.schedule(delayMs, worker.process, () => worker.register());
  }

  #electAfter(delayMs: number): void {
    this.loop.schedule(delayMs, undefined, () => {
      this.coordinator = new SimulatedCoordinator(this);
      this.loop.note(`${this.coordinator.process.id} takes over`);
      this.coordinator.start();
      for (const worker of this.#workers.values()) {
        this.loop.schedule(this.loop.random.next() * 10, worker.process, () => worker.register());
      }
    });
  }

  /** Another parallelism is wished for, a worker joins, or one leaves in good order. */
  #planScaling(atMs: number): void {
    const { random } = this.loop;
    const what = random.pick(['rescale', 'rescale', 'join', 'leave'] as const);
    const parallelism = random.whole(1, PARALLELISM_MAX);
    this.loop.schedule(atMs, undefined, () => {
      this.loop.note(`### ${what}`);
      if (what === 'join') this.#addWorker(0);
      else if (what === 'leave') this.#leave();
      else if (this.coordinator.process.state === 'alive') {
        this.coordinator.tell({ kind: 'rescaleRequested', parallelism });
      }
    });
  }

  /** Goes once nothing runs on it any more, or it has waited for long enough. */
  #leave(): void {
    const leaving = this.#victim();
    if (leaving?.session === undefined) return;
    const { session } = leaving;
    this.network.send(`${leaving.id} to ${session.process.id}`, session.process, () =>
      session.leave(leaving.id),
    );
    const untilMs = this.loop.nowMs + LEAVE_TIMEOUT_MS;
    const look = (): void => {
      if (leaving.process.state === 'dead') return;
      if (leaving.isEmpty || this.loop.nowMs >= untilMs) return this.#endWorker(leaving);
      this.loop.schedule(3, undefined, look);
    };
    this.loop.schedule(5, undefined, look);
  }

  #planSavepoint(atMs: number): void {
    this.loop.schedule(atMs, undefined, () => {
      if (this.coordinator.process.state !== 'alive') return;
      const request = { savepointId: `sp-${atMs}`, stopAfter: false };
      this.coordinator.tell({ kind: 'savepointRequested', request });
    });
  }
}

function hasInFlight(files: readonly StateFile[]): boolean {
  return files.some(({ kind }) => kind === 'channel');
}
