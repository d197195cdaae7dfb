/**
 * Random histories of checkpoints and savepoints: they are taken, aborted, subsumed, claimed, disposed
 * of, outlive their jobs, and the coordinator dies between any two operations on its stores. After
 * every change each retained one is whole, and whenever all is quiet nothing is left over. One seed is
 * one history.
 */
import { CheckpointCollector } from '../../coordinator/checkpoint-collector.js';
import type { JobSummary, SubmitJobRequest } from '../../api/rest/job-dto.js';
import { TERMINAL_STATUSES } from '../../api/rest/job-dto.js';
import { isMillraceError } from '../../core/errors.js';
import { EventLoop } from '../simulation/event-loop.js';
import { COLLECTOR_MUTANTS, type CollectorMutant } from './collector-mutants.js';
import {
  bundleIdOf,
  CoordinatorProcess,
  INTERVAL_MS,
  type CoordinatorProcessOptions,
} from './coordinator-process.js';
import { DurableStores } from './durable-stores.js';
import { SnapshotOracle } from './snapshot-oracle.js';
import { StandInWorker } from './stand-in-worker.js';

const JOBS_MAX = 3;
const PARALLELISM_MAX = 4;
const ENDED_JOBS_MAX = 2;
const STEPS = [
  ...['checkpoint', 'checkpoint', 'checkpoint', 'checkpoint', 'decline', 'hang', 'fail', 'rescale'],
  ...['savepoint', 'savepoint', 'stop', 'cancel', 'finish', 'dispose'],
  ...['submit', 'restore', 'restore', 'claim', 'claim'],
] as const;
type Step = (typeof STEPS)[number];

/** Steps after which everything is allowed to come to rest, and is looked at. */
const REST_EVERY = 50;
const CRASH_CHANCE = 0.15;
const FAILURE_CHANCE = 0.01;
/** Running jobs have completed at least two checkpoints in that time. */
const REST_MS = 6 * INTERVAL_MS;

const LOOKS_MAX = 5;
const FOREVER = { steps: Number.POSITIVE_INFINITY, ms: Number.POSITIVE_INFINITY };

export interface SnapshotHistory {
  /** Empty: everything was whole at every moment, and nothing was left over. */
  readonly problems: readonly string[];
  readonly log: readonly string[];
  readonly completed: number;
  readonly claims: number;
  readonly disposals: number;
  readonly refusals: number;
  readonly crashes: number;
  readonly reused: number;
  readonly shared: number;
  readonly deleted: number;
}

export async function runSnapshotHistory(
  seed: number,
  steps: number,
  mutant?: CollectorMutant,
): Promise<SnapshotHistory> {
  const world = new SnapshotWorld(seed, mutant);
  try {
    await world.run(steps);
  } catch (error) {
    world.oracle.problems.push(String(error instanceof Error ? error.stack : error));
  }
  return world.result();
}

class SnapshotWorld {
  readonly oracle = new SnapshotOracle();
  readonly #loop: EventLoop;
  readonly #stores: DurableStores;
  readonly #worker: StandInWorker;
  readonly #Collector: typeof CheckpointCollector;
  /** Storage that fails now and then leaves files until the next coordinator; every other seed. */
  readonly #failureChance: number;
  #coordinator: CoordinatorProcess | undefined;
  #ids = 0;
  #claims = 0;
  #disposals = 0;
  #refusals = 0;
  #crashes = 0;

  constructor(seed: number, mutant: CollectorMutant | undefined) {
    this.#loop = new EventLoop(seed);
    this.#stores = new DurableStores(this.#loop, this.oracle);
    this.oracle.watch(this.#stores);
    this.#worker = new StandInWorker(this.#loop, this.#stores);
    this.#Collector = mutant === undefined ? CheckpointCollector : COLLECTOR_MUTANTS[mutant];
    this.#failureChance = seed % 2 === 0 ? FAILURE_CHANCE : 0;
  }

  async run(steps: number): Promise<void> {
    await this.#start(ENDED_JOBS_MAX);
    for (let step = 1; step <= steps && this.oracle.problems.length === 0; step++) {
      this.#stores.failureChance = this.#failureChance;
      await this.#step(this.#loop.random.pick(STEPS));
      if (step % REST_EVERY === 0) await this.#rest(step);
    }
    if (this.oracle.problems.length === 0) await this.#end();
  }

  result(): SnapshotHistory {
    return {
      problems: [...this.oracle.problems, ...this.#worker.problems].slice(0, 10),
      log: this.#loop.log,
      completed: this.oracle.completed,
      claims: this.#claims,
      disposals: this.#disposals,
      refusals: this.#refusals,
      crashes: this.#crashes,
      reused: this.#worker.reused,
      shared: this.oracle.shared,
      deleted: this.oracle.deleted,
    };
  }

  get #dispatcher(): CoordinatorProcess['dispatcher'] {
    if (this.#coordinator === undefined) throw new Error('no coordinator runs');
    return this.#coordinator.dispatcher;
  }

  #jobs(isWanted: (job: JobSummary) => boolean): readonly JobSummary[] {
    return this.#dispatcher.jobs().filter(isWanted);
  }

  async #step(step: Step): Promise<void> {
    const { random } = this.#loop;
    const running = this.#jobs(({ status }) => status === 'RUNNING');
    const job = running.length === 0 ? undefined : random.pick(running).jobId;
    this.#loop.note(`--- ${step} ${job ?? ''}`);
    const crashMs = random.chance(CRASH_CHANCE) ? random.next() * INTERVAL_MS : undefined;
    this.#act(step, job);
    await this.#pass(crashMs ?? random.next() * 2 * INTERVAL_MS);
    if (crashMs !== undefined) await this.#crash(ENDED_JOBS_MAX);
    this.oracle.check();
  }

  #act(step: Step, job: string | undefined): void {
    const { random } = this.#loop;
    switch (step) {
      case 'checkpoint':
        return;
      case 'decline':
      case 'hang':
        this.#worker.trouble = step;
        if (job !== undefined && random.chance(0.4)) this.#savepoint(job, false);
        return;
      case 'fail':
        if (job !== undefined) this.#worker.fail(job);
        return;
      case 'rescale': {
        if (job === undefined) return;
        const { master } = this.#dispatcher.find(job);
        void master?.rescale(random.whole(1, PARALLELISM_MAX)).catch(ignore);
        return;
      }
      case 'savepoint':
      case 'stop':
        if (job !== undefined) this.#savepoint(job, step === 'stop');
        return;
      case 'cancel':
        if (job !== undefined) void this.#dispatcher.find(job).master?.cancel().catch(ignore);
        return;
      case 'finish':
        if (job !== undefined) this.#worker.drain(job);
        return;
      case 'dispose':
        return this.#dispose();
      case 'submit':
        return this.#submit({});
      case 'restore':
      case 'claim': {
        const fromSavepoint = this.#restorable();
        if (fromSavepoint === undefined) return this.#submit({});
        return this.#submit({ fromSavepoint, ...(step === 'claim' ? { claimMode: step } : {}) });
      }
    }
  }

  #savepoint(jobId: string, stopAfter: boolean): void {
    this.#dispatcher.find(jobId).master?.triggerSavepoint(stopAfter);
  }

  /** A name for --from-savepoint. */
  #restorable(): string | undefined {
    const retained = this.oracle.retained();
    return retained.length === 0 ? undefined : this.#loop.random.pick(retained).reference;
  }

  #submit(request: Partial<SubmitJobRequest>): void {
    const { random } = this.#loop;
    const alive = this.#jobs(({ status }) => !TERMINAL_STATUSES.has(status));
    if (alive.length >= JOBS_MAX) return;
    const onCancel = random.chance(0.5) ? 'retain' : 'delete';
    const bundleId = bundleIdOf({ retained: random.whole(1, 3), onCancel });
    const asked = { bundleId, parallelism: random.whole(1, PARALLELISM_MAX), ...request };
    this.#loop.note(`submits ${JSON.stringify(asked)}`);
    void this.#dispatcher.submit(asked).then(
      ({ jobId }) => {
        this.#loop.note(`job ${jobId} starts`);
        if (request.claimMode === 'claim') this.#claims++;
      },
      (error: unknown) => this.#refused(error),
    );
  }

  #dispose(): void {
    const savepoints = this.oracle.savepoints();
    if (savepoints.length === 0) return;
    const savepointId = this.#loop.random.pick(savepoints);
    this.#loop.note(`disposes of ${savepointId}`);
    void this.#dispatcher.disposeSavepoint(savepointId).then(
      () => this.#disposals++,
      (error: unknown) => this.#refused(error),
    );
  }

  /** By name: anything else than a refusal that a user may meet is a defect. */
  #refused(error: unknown): void {
    const code = isMillraceError(error) ? error.code : 'none';
    this.#loop.note(`refused: ${String(error)}`);
    this.#refusals++;
    if (['JOB_STATE_CONFLICT', 'CHECKPOINT_NOT_FOUND', 'JOB_NOT_FOUND'].includes(code)) return;
    if (code === 'STORAGE_UNAVAILABLE' && this.#failureChance > 0) return;
    this.oracle.problems.push(`unexpected: ${String(error)}`);
  }

  async #pass(ms: number): Promise<void> {
    // What was just asked for gets to its first operation before time moves on.
    await new Promise((resolve) => setImmediate(resolve));
    let isOver = false;
    this.#loop.schedule(ms, undefined, () => (isOver = true));
    const isDone = (): boolean => isOver || this.oracle.problems.length > 0;
    await this.#loop.run(isDone, FOREVER, () => undefined);
  }

  async #start(endedJobsMax: number): Promise<void> {
    const options: CoordinatorProcessOptions = {
      loop: this.#loop,
      stores: this.#stores,
      worker: this.#worker,
      random: { next: () => this.#loop.random.next(), id: () => this.#id() },
      endedJobsMax,
      Collector: this.#Collector,
    };
    this.#stores.failureChance = 0;
    let failure: unknown;
    const name = `coordinator ${this.#crashes}`;
    void CoordinatorProcess.start(name, options).then(
      (started) => (this.#coordinator = started),
      (error: unknown) => (failure = error),
    );
    const isStarting = (): boolean => this.#coordinator === undefined && failure === undefined;
    while (isStarting() && this.oracle.problems.length === 0) await this.#pass(5);
    if (failure !== undefined)
      throw new Error('the coordinator does not start', { cause: failure });
  }

  async #crash(endedJobsMax: number): Promise<void> {
    this.#crashes++;
    this.#loop.note('### the coordinator dies');
    if (this.#coordinator !== undefined) this.#stores.kill(this.#coordinator.process);
    this.#coordinator = undefined;
    await this.#start(endedJobsMax);
  }

  #id(): string {
    return (++this.#ids).toString(16).padStart(16, '0');
  }

  /** Nothing goes wrong for a while; then what nothing names must be gone. */
  async #rest(step: number): Promise<void> {
    this.#worker.trouble = 'none';
    this.#stores.failureChance = 0;
    if (this.#failureChance > 0) await this.#crash(ENDED_JOBS_MAX);
    await this.#pass(REST_MS);
    await this.#checkOrphans(`after ${step} steps`);
  }

  async #checkOrphans(when: string): Promise<void> {
    // A checkpoint may just be under way.
    for (let looks = 0; looks < LOOKS_MAX && this.oracle.orphans().length > 0; looks++) {
      await this.#pass(INTERVAL_MS / 7);
    }
    this.#loop.note(`=== ${when}`);
    for (const key of this.oracle.orphans()) {
      this.oracle.problems.push(`${when} nothing names ${key}`);
    }
  }

  /** All jobs end and are forgotten, all savepoints are disposed of: nothing at all may be left. */
  async #end(): Promise<void> {
    await this.#rest(0);
    for (const { jobId } of this.#jobs(({ status }) => !TERMINAL_STATUSES.has(status))) {
      void this.#dispatcher.find(jobId).master?.cancel().catch(ignore);
    }
    await this.#pass(REST_MS);
    await this.#checkOrphans('after all jobs were canceled');
    await this.#crash(0);
    await this.#pass(REST_MS);
    for (const savepointId of this.oracle.savepoints()) {
      void this.#dispatcher.disposeSavepoint(savepointId).catch((error: unknown) => {
        this.oracle.problems.push(`not disposed of: ${String(error)}`);
      });
    }
    await this.#pass(REST_MS);
    await this.#checkOrphans('after everything was disposed of');
    const left = this.#stores.meta.list('').map(({ key }) => key);
    const unexpected = left.filter((key) => key !== 'coordinator/leader');
    if (unexpected.length > 0) this.oracle.problems.push(`left behind: ${unexpected.join(', ')}`);
  }
}

function ignore(): undefined {
  return undefined;
}
