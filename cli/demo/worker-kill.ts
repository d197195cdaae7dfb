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
/** Below this an input may be read before the first checkpoint: the kill comes once the tasks run. */
const SMALL_INPUT_MAX = 200_000;

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
  #recordsLeft = 0;
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

  /** Whether a moment is about to pass that must be seen: figures are then asked for more often. */
  get urgent(): boolean {
    if (this.killed) return this.#recoveryMs === undefined;
    return this.#transactions <= SMALL_INPUT_MAX;
  }

  /** @returns what to tell the viewer, when something happened */
  observe(progress: DemoProgress): string | undefined {
    if (this.#killedAtMs === undefined) return this.#killIfDue(progress);
    if (this.#recoveryMs !== undefined) return undefined;
    const { job, recordsRead } = progress;
    // Until tasks of the new attempt report, the figures are those that the old one left.
    if (job.attempt <= this.#killedAttempt || job.status === 'RESTARTING') {
      this.#recordsLeft = recordsRead;
      return undefined;
    }
    if (recordsRead === 0 || recordsRead === this.#recordsLeft) return undefined;
    this.#recoveryMs = Math.round(this.#clock.monotonic() - this.#killedAtMs);
    return `records flow again ${this.#recoveryMs} ms after the kill (attempt ${progress.job.attempt})`;
  }

  #killIfDue({ job, recordsRead, checkpointsCompleted }: DemoProgress): string | undefined {
    const due =
      this.#transactions <= SMALL_INPUT_MAX
        ? job.vertices.every(({ subtasks }) => subtasks.every(({ state }) => state === 'RUNNING'))
        : recordsRead >= this.#transactions * KILL_AT_SHARE &&
          checkpointsCompleted >= CHECKPOINTS_BEFORE;
    if (job.status !== 'RUNNING' || !due) return undefined;
    const busy = new Set(
      job.vertices.flatMap((vertex) => vertex.subtasks.map((subtask) => subtask.workerId)),
    );
    const victim = this.#cluster.workers.find((worker) => busy.has(worker.id ?? null));
    if (victim === undefined) return undefined;
    this.#killedAtMs = this.#clock.monotonic();
    this.#killedAttempt = job.attempt;
    this.#recordsLeft = recordsRead;
    victim.kill('SIGKILL');
    return `killed ${victim.name} (pid ${victim.pid}) with SIGKILL`;
  }
}
