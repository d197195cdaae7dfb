import test from 'ava';
import { DEFAULT_CHECKPOINT } from '../../api/job.js';
import { createCheckpointDecider, stepCheckpoint } from '../../core/checkpoint-decider.js';
import type { CheckpointEvent } from '../../core/checkpoint-protocol.js';
import type { Stamp } from '../../core/execution-state.js';
import type { SerializedError } from '../../core/errors.js';
import { fileOf, stampAt, TASKS, TIMINGS } from './job-fixture.js';

type Told<E> = E extends Stamp ? Omit<E, keyof Stamp> : never;

const NOTHING = { completed: [], references: new Map(), allocatedId: 0 };

const failure = {
  code: 'CHECKPOINT_FAILED',
  message: 'CHECKPOINT_FAILED: the disk is full; free some',
} as const;

const unavailable = {
  code: 'STORAGE_UNAVAILABLE',
  message: 'STORAGE_UNAVAILABLE: no answer; try again',
} as const;

const [FIRST = { vertex: '', subtask: 0 }] = TASKS;

/** A running attempt of a job with the default settings, whose checkpoints end as a test says. */
class Checkpoints {
  #state = createCheckpointDecider('j1', DEFAULT_CHECKPOINT, NOTHING);
  #nowMs = 0;
  #lastId = 0;
  #attempt = 0;
  restartsAskedFor = 0;
  readonly discarded: { prefix: string; files: readonly string[]; keep: readonly string[] }[] = [];

  constructor() {
    this.run();
  }

  run(): void {
    this.#attempt += 1;
    this.#tell({ kind: 'attemptRunning', attempt: this.#stamp(), tasks: TASKS });
  }

  fail(): void {
    const checkpointId = this.#begin();
    const [task] = TASKS;
    if (task === undefined) throw new Error('the fixture has tasks');
    this.#tell({ kind: 'declined', attempt: this.#stamp(), checkpointId, task, failure });
  }

  failToAllocate(): void {
    this.#nowMs += DEFAULT_CHECKPOINT.intervalMs;
    this.#tell({ kind: 'timerElapsed' });
    this.#tell({ kind: 'idFailed', attempt: this.#attempt, failure });
  }

  failSavepoint(): void {
    const request = { savepointId: `sp${this.#lastId}`, stopAfter: false };
    this.#tell({ kind: 'savepointRequested', request });
    this.fail();
  }

  get pending(): unknown {
    return this.#state.pending;
  }

  get lastFailure(): string {
    return this.#state.history.entries.at(-1)?.failure ?? '';
  }

  hangWhileAllocating(): void {
    this.#wait(DEFAULT_CHECKPOINT.intervalMs);
    this.#wait(DEFAULT_CHECKPOINT.timeoutMs);
  }

  allocateLate(): void {
    this.#tell({ kind: 'idAllocated', attempt: this.#attempt, checkpointId: ++this.#lastId });
  }

  failToWrite(reason: SerializedError): void {
    const checkpointId = this.acknowledge();
    this.#tell({ kind: 'manifestFailed', checkpointId, failure: reason });
  }

  hangWhileWriting(): number {
    const checkpointId = this.acknowledge();
    this.#wait(DEFAULT_CHECKPOINT.timeoutMs);
    return checkpointId;
  }

  /** @returns the prefixes that are discarded then */
  writeLate(checkpointId: number): readonly string[] {
    const before = this.discarded.length;
    this.#tell({ kind: 'manifestWritten', checkpointId });
    return this.discarded.slice(before).map(({ prefix }) => prefix);
  }

  /** @param keys what each task names */
  acknowledge(keys: readonly string[] = []): number {
    const checkpointId = this.#begin();
    const attempt = this.#stamp();
    const files = keys.map((key) => ({ ...fileOf(FIRST, checkpointId), key }));
    for (const task of TASKS) {
      this.#tell({ kind: 'acknowledged', attempt, checkpointId, task, files, timings: TIMINGS });
    }
    return checkpointId;
  }

  complete(keys: readonly string[] = []): void {
    const checkpointId = this.acknowledge(keys);
    const attempt = this.#stamp();
    this.#tell({ kind: 'manifestWritten', checkpointId });
    this.#tell({ kind: 'completed', checkpointId });
    for (const task of TASKS) this.#tell({ kind: 'committed', attempt, checkpointId, task });
  }

  #stamp(): { jobId: string; attempt: number; epoch: number } {
    return { jobId: 'j1', attempt: this.#attempt, epoch: 1 };
  }

  #begin(): number {
    this.#wait(DEFAULT_CHECKPOINT.intervalMs);
    this.#lastId += 1;
    this.#tell({ kind: 'idAllocated', attempt: this.#attempt, checkpointId: this.#lastId });
    return this.#lastId;
  }

  #wait(ms: number): void {
    this.#nowMs += ms;
    this.#tell({ kind: 'timerElapsed' });
  }

  #tell(event: Told<CheckpointEvent>): void {
    const { state, effects } = stepCheckpoint(this.#state, { ...event, ...stampAt(this.#nowMs) });
    this.#state = state;
    for (const effect of effects) {
      if (effect.kind !== 'discardCheckpoint' || !effect.prefix.startsWith('jobs/')) continue;
      const { prefix, files, keep } = effect;
      this.discarded.push({ prefix, files, keep });
    }
    this.restartsAskedFor += effects.filter(({ kind }) => kind === 'failAttempt').length;
  }
}

test('three failed checkpoints in a row are borne, a fourth restarts the job', (t) => {
  const checkpoints = new Checkpoints();
  for (let failed = 0; failed < 3; failed++) checkpoints.fail();
  t.is(checkpoints.restartsAskedFor, 0);
  checkpoints.fail();
  t.is(checkpoints.restartsAskedFor, 1);
});

test('one that completes in between counts from zero again', (t) => {
  const checkpoints = new Checkpoints();
  for (let round = 0; round < 3; round++) {
    for (let failed = 0; failed < 3; failed++) checkpoints.fail();
    checkpoints.complete();
  }
  t.is(checkpoints.restartsAskedFor, 0);
});

test('so does a new attempt', (t) => {
  const checkpoints = new Checkpoints();
  for (let failed = 0; failed < 3; failed++) checkpoints.fail();
  checkpoints.run();
  for (let failed = 0; failed < 3; failed++) checkpoints.fail();
  t.is(checkpoints.restartsAskedFor, 0);
});

test('savepoints do not count, nor what only the coordinator could not do', (t) => {
  const checkpoints = new Checkpoints();
  for (let failed = 0; failed < 4; failed++) checkpoints.failSavepoint();
  for (let failed = 0; failed < 4; failed++) checkpoints.failToAllocate();
  for (let failed = 0; failed < 4; failed++) checkpoints.failToWrite(unavailable);
  for (let failed = 0; failed < 4; failed++) checkpoints.hangWhileWriting();
  t.is(checkpoints.restartsAskedFor, 0);
  for (let failed = 0; failed < 4; failed++) checkpoints.failToWrite(failure);
  t.is(checkpoints.restartsAskedFor, 1, 'a task acknowledged a file that is not there');
});

test('a manifest that is never written is given up in time, and collected when it comes after all', (t) => {
  const checkpoints = new Checkpoints();
  const checkpointId = checkpoints.hangWhileWriting();
  t.is(checkpoints.pending, undefined);
  t.regex(checkpoints.lastFailure, /^CHECKPOINT_TIMEOUT: all tasks acknowledged.*storage answers/);
  checkpoints.complete();
  t.deepEqual(checkpoints.writeLate(checkpointId), [`jobs/j1/chk-${checkpointId}/`]);
});

test('an id that never comes is given up in time, and changes nothing when it comes after all', (t) => {
  const checkpoints = new Checkpoints();
  checkpoints.hangWhileAllocating();
  t.is(checkpoints.pending, undefined);
  t.is(checkpoints.restartsAskedFor, 0);
  checkpoints.allocateLate();
  t.is(checkpoints.pending, undefined);
  checkpoints.complete();
});

test('a task may name only what it wrote, and what a retained checkpoint of the job names', (t) => {
  const checkpoints = new Checkpoints();
  const shared = 'jobs/j1/chk-1/run';
  checkpoints.complete([shared]);
  checkpoints.complete([shared, 'jobs/j1/chk-2/run']);
  t.deepEqual(checkpoints.discarded, [{ prefix: 'jobs/j1/chk-1/', files: [], keep: [shared] }]);
  checkpoints.complete(['jobs/j1/chk-2/run']);
  t.deepEqual(checkpoints.discarded.slice(1), [
    { prefix: 'jobs/j1/chk-2/', files: [shared], keep: ['jobs/j1/chk-2/run'] },
  ]);
  for (const stray of [shared, 'jobs/other/chk-1/run', 'savepoints/sp/run']) {
    checkpoints.acknowledge([stray]);
    t.is(checkpoints.pending, undefined, stray);
    t.true(checkpoints.lastFailure.includes(stray), checkpoints.lastFailure);
  }
});
