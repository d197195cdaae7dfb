import test from 'ava';
import { DEFAULT_CHECKPOINT } from '../../api/job.js';
import { createCheckpointDecider, stepCheckpoint } from '../../core/checkpoint-decider.js';
import type { CheckpointEvent } from '../../core/checkpoint-protocol.js';
import type { Stamp } from '../../core/execution-state.js';
import { stampAt, TASKS, TIMINGS } from './job-fixture.js';

type Told<E> = E extends Stamp ? Omit<E, keyof Stamp> : never;

const failure = {
  code: 'CHECKPOINT_FAILED',
  message: 'CHECKPOINT_FAILED: the disk is full; free some',
} as const;

/** A running attempt of a job with the default settings, whose checkpoints end as a test says. */
class Checkpoints {
  #state = createCheckpointDecider('j1', DEFAULT_CHECKPOINT, []);
  #nowMs = 0;
  #lastId = 0;
  #attempt = 0;
  restartsAskedFor = 0;

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

  complete(): void {
    const checkpointId = this.#begin();
    const attempt = this.#stamp();
    for (const task of TASKS) {
      this.#tell({
        kind: 'acknowledged',
        attempt,
        checkpointId,
        task,
        files: [],
        timings: TIMINGS,
      });
    }
    this.#tell({ kind: 'manifestWritten', checkpointId });
    this.#tell({ kind: 'completed', checkpointId });
    for (const task of TASKS) this.#tell({ kind: 'committed', attempt, checkpointId, task });
  }

  #stamp(): { jobId: string; attempt: number; epoch: number } {
    return { jobId: 'j1', attempt: this.#attempt, epoch: 1 };
  }

  #begin(): number {
    this.#nowMs += DEFAULT_CHECKPOINT.intervalMs;
    this.#tell({ kind: 'timerElapsed' });
    this.#lastId += 1;
    this.#tell({ kind: 'idAllocated', attempt: this.#attempt, checkpointId: this.#lastId });
    return this.#lastId;
  }

  #tell(event: Told<CheckpointEvent>): void {
    const { state, effects } = stepCheckpoint(this.#state, { ...event, ...stampAt(this.#nowMs) });
    this.#state = state;
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

test('savepoints do not count, checkpoints that get no id do', (t) => {
  const checkpoints = new Checkpoints();
  for (let failed = 0; failed < 4; failed++) checkpoints.failSavepoint();
  t.is(checkpoints.restartsAskedFor, 0);
  for (let failed = 0; failed < 4; failed++) checkpoints.failToAllocate();
  t.is(checkpoints.restartsAskedFor, 1);
});
