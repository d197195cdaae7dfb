/**
 * Kills a worker in the middle of the demo's job and measures how long the job stood still: from the
 * kill until the first record of the attempt after it is seen in the tasks' metrics. These are reported
 * now and then and polled, so the figure errs high.
 */
import type { Clock } from '../../core/clock.js';
import type { DemoProgress } from './demo-progress.js';

/** Late enough that there is state and committed output to lose, early enough that much is left. */
const KILL_AT_SHARE = 0.4;
const CHECKPOINTS_BEFORE = 1;

/** What the kill needs of a worker process. */
export interface KillableWorker {
  readonly id: string | undefined;
  readonly name: string;
  readonly pid: number;
  kill(signal: 'SIGKILL'): void;
}

export class WorkerKill {
  readonly #cluster: { readonly workers: readonly KillableWorker[] };
  readonly #clock: Clock;
  readonly #transactions: number;
  #killedAtMs: number | undefined;
  #killedAttempt = 0;
  #recordsAtKill = 0;
  #recoveryMs: number | undefined;

  constructor(
    cluster: { readonly workers: readonly KillableWorker[] },
    clock: Clock,
    transactions: number,
  ) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#transactions = transactions;
  }

  get killed(): boolean {
    return this.#killedAtMs !== undefined;
  }

  /** undefined until the first record after the kill. */
  get recoveryMs(): number | undefined {
    return this.#recoveryMs;
  }

  /** Whether the job is standing still: figures are then asked for more often. */
  get recovering(): boolean {
    return this.killed && this.#recoveryMs === undefined;
  }

  /** @returns what to tell the viewer, when something happened */
  observe(progress: DemoProgress): string | undefined {
    if (this.#killedAtMs === undefined) return this.#killIfDue(progress);
    // Until tasks of the new attempt report, the figures are those of the old one: never lower.
    const { recordsRead } = progress;
    const fresh = recordsRead > 0 && recordsRead < this.#recordsAtKill;
    const resumed = progress.job.attempt > this.#killedAttempt && fresh;
    if (this.#recoveryMs !== undefined || !resumed) return undefined;
    this.#recoveryMs = Math.round(this.#clock.monotonic() - this.#killedAtMs);
    return `records flow again ${this.#recoveryMs} ms after the kill (attempt ${progress.job.attempt})`;
  }

  #killIfDue({ job, recordsRead, checkpointsCompleted }: DemoProgress): string | undefined {
    const due =
      job.status === 'RUNNING' &&
      recordsRead >= this.#transactions * KILL_AT_SHARE &&
      checkpointsCompleted >= CHECKPOINTS_BEFORE;
    if (!due) return undefined;
    const busy = new Set(
      job.vertices.flatMap((vertex) => vertex.subtasks.map((subtask) => subtask.workerId)),
    );
    const victim = this.#cluster.workers.find((worker) => busy.has(worker.id ?? null));
    if (victim === undefined) return undefined;
    this.#killedAtMs = this.#clock.monotonic();
    this.#killedAttempt = job.attempt;
    this.#recordsAtKill = recordsRead;
    victim.kill('SIGKILL');
    return `killed ${victim.name} (pid ${victim.pid}) with SIGKILL`;
  }
}
