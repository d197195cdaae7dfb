/**
 * Laws of the job decider that hold whatever it is told and in whatever order: thousands of random
 * histories, with reports that are late, doubled, of another attempt, or plainly out of place.
 */
import test from 'ava';
import fc from 'fast-check';
import { assertNever } from '../../core/errors.js';
import { isTerminalJobStatus, type Attempt, type TaskId } from '../../core/execution-state.js';
import {
  createJobDecider,
  stepJob,
  wakeAtMs,
  type JobDeciderState,
  type JobEffect,
  type JobEvent,
} from '../../core/job-decider.js';
import { jobCommand, type JobCommand } from './job-commands.js';
import {
  fileOf,
  locationOf,
  SCALING_CONFIG,
  stampAt,
  STREAM_GRAPH,
  TIMINGS,
  WORKERS,
} from './job-fixture.js';

const FAILURE = { code: 'EXCHANGE_BROKEN', message: 'EXCHANGE_BROKEN: cut; wait' } as const;

/** Plays the world around the decider and asserts the laws at every step. */
class World {
  state: JobDeciderState = createJobDecider({
    jobId: 'j1',
    epoch: 3,
    streamGraph: STREAM_GRAPH,
    scaling: { desiredParallelism: 3, exact: false, config: SCALING_CONFIG },
  });
  #nowMs = 0;
  #nextId = 1;
  #savepoints = 0;
  /** Effects that the world has yet to answer. */
  readonly #unanswered: JobEffect[] = [];
  readonly #completed: number[] = [];
  #pointer: readonly number[] = [];
  readonly #written = new Set<number>();
  readonly #acknowledged = new Map<number, Set<string>>();
  /** Slices whose slots are held, by attempt. */
  readonly #held = new Map<number, Set<number>>();
  #location: readonly string[] = [];
  /** Blob keys that are in the store, manifests left out. */
  readonly #files = new Set<string>();
  /** What the manifest of each checkpoint names. */
  readonly #named = new Map<number, readonly string[]>();
  #canceled = false;

  run(commands: readonly JobCommand[]): void {
    this.#perform({ do: 'slots', slots: 2, leaving: [] });
    this.#tell({ kind: 'submitted', ...this.#stamp() });
    for (const each of commands) this.#perform(each);
  }

  #stamp(): { nowMs: number; wallMs: number } {
    return stampAt(this.#nowMs);
  }

  #tasks(): readonly TaskId[] {
    return [...this.state.execution.tasks.values()].map(({ task: one }) => one);
  }

  #task(index: number): TaskId {
    const tasks = this.#tasks();
    const one = tasks[index % tasks.length];
    if (one === undefined) throw new Error('a job has tasks');
    return one;
  }

  #attempt(back: number): Attempt {
    return { jobId: 'j1', attempt: this.state.execution.attempt - back, epoch: 3 };
  }

  #perform(each: JobCommand): void {
    const stamp = this.#stamp();
    switch (each.do) {
      case 'answer':
        return this.#answer(each.fail === 0);
      case 'progress':
        this.#answerAll();
        this.#perform({ do: 'allTasks', state: 'RUNNING' });
        this.#perform({ do: 'wake' });
        this.#answerAll();
        this.#perform({ do: 'acknowledgeAll', behind: 0 });
        this.#answerAll();
        return this.#perform({ do: 'commitAll', behind: 0 });
      case 'end':
        this.#perform({ do: 'allTasks', state: 'DRAINED' });
        this.#perform({ do: 'progress' });
        return this.#perform({ do: 'allTasks', state: 'FINISHED' });
      case 'wake':
        this.#nowMs = Math.max(this.#nowMs, wakeAtMs(this.state) ?? this.#nowMs);
        return this.#tell({ kind: 'timerElapsed', ...this.#stamp() });
      case 'allTasks':
        for (const one of this.#tasks()) {
          const state = each.state;
          this.#tell({ kind: 'taskState', attempt: this.#attempt(0), task: one, state, ...stamp });
        }
        return;
      case 'acknowledgeAll':
        for (const one of this.#tasks()) this.#acknowledge(one, each.behind);
        return;
      case 'acknowledge':
        return this.#acknowledge(this.#task(each.task), each.behind);
      case 'decline': {
        const checkpointId = this.#nextId - 1 - each.behind;
        const attempt = this.#attempt(each.behind);
        const one = this.#task(each.task);
        const failure = FAILURE;
        return this.#tell({
          kind: 'declined',
          attempt,
          checkpointId,
          task: one,
          failure,
          ...stamp,
        });
      }
      case 'commitAll':
        for (const one of this.#tasks()) {
          const checkpointId = (this.#completed.at(-1) ?? 0) - each.behind;
          const attempt = this.#attempt(each.behind);
          this.#tell({ kind: 'committed', attempt, checkpointId, task: one, ...stamp });
        }
        return;
      case 'taskFailed':
        return this.#tell({
          kind: 'taskState',
          attempt: this.#attempt(each.behind),
          task: this.#task(each.task),
          state: 'FAILED',
          failure: FAILURE,
          ...stamp,
        });
      case 'release': {
        const attempt = this.#attempt(each.behind);
        this.#held.get(attempt.attempt)?.delete(each.slice);
        return this.#tell({
          kind: 'slotState',
          attempt,
          slice: each.slice,
          released: true,
          ...stamp,
        });
      }
      case 'workerLost': {
        const held = this.#held.get(this.state.execution.attempt);
        this.#location.forEach((worker, slice) => worker === each.worker && held?.delete(slice));
        return this.#tell({
          kind: 'workerLost',
          workerId: each.worker,
          reason: 'killed',
          ...stamp,
        });
      }
      case 'savepoint': {
        const savepointId = `sp${++this.#savepoints}`;
        const request = { savepointId, stopAfter: each.stop };
        return this.#tell({ kind: 'savepointRequested', request, ...stamp });
      }
      case 'cancel':
        this.#canceled = true;
        return this.#tell({ kind: 'cancelRequested', ...stamp });
      case 'slots': {
        const { slots, leaving } = each;
        const resources = { slots, slotsTotal: 4, leaving, changedAtMs: this.#nowMs };
        return this.#tell({ kind: 'resourcesChanged', resources, ...stamp });
      }
      case 'rescale': {
        const { restart } = this.state.execution;
        this.#tell({ kind: 'rescaleRequested', parallelism: each.parallelism, ...stamp });
        assert(this.state.execution.restart === restart, 'a rescale is no failure');
        return;
      }
      case 'move':
        this.#perform({ do: 'progress' });
        this.#perform({ do: 'slots', slots: 4, leaving: [] });
        this.#perform({ do: 'rescale', parallelism: each.parallelism });
        this.#perform({ do: 'prepared' });
        this.#answerAll();
        this.#perform({ do: 'acknowledgeAll', behind: 0 });
        this.#answerAll();
        for (const { slice } of this.state.execution.slots) {
          this.#perform({ do: 'release', slice, behind: 0 });
        }
        this.#perform({ do: 'wake' });
        return this.#perform({ do: 'progress' });
      case 'prepared':
        return this.#tell({ kind: 'slotsPrepared', ...stamp });
      default:
        return assertNever(each);
    }
  }

  #acknowledge(one: TaskId, back: number): void {
    const checkpointId = this.#nextId - 1 - back;
    const attempt = this.#attempt(back);
    if (back === 0) {
      const key = `${one.vertex}/${one.subtask}`;
      this.#acknowledged.set(
        checkpointId,
        (this.#acknowledged.get(checkpointId) ?? new Set()).add(key),
      );
    }
    const { pending, references } = this.state.checkpoints;
    const { prefix } = pending?.checkpointId === checkpointId ? pending : {};
    const files = [fileOf(one, checkpointId, prefix)];
    // Every other checkpoint shares the file of the one before, if it is retained.
    const shared = fileOf(one, checkpointId - 1).key;
    const isRetained = [...references.values()].some((keys) => keys.has(shared));
    if (isRetained && checkpointId % 2 === 0 && pending?.savepoint === undefined) {
      files.push(fileOf(one, checkpointId - 1));
    }
    for (const { key } of files.slice(0, 1)) this.#files.add(key);
    const timings = TIMINGS;
    const stamp = this.#stamp();
    this.#tell({
      kind: 'acknowledged',
      attempt,
      checkpointId,
      task: one,
      files,
      timings,
      ...stamp,
    });
  }

  #answerAll(): void {
    while (this.#unanswered.length > 0) this.#answer(false);
  }

  #answer(fails: boolean): void {
    const effect = this.#unanswered.shift();
    const stamp = this.#stamp();
    const failure = FAILURE;
    switch (effect?.kind) {
      case 'prepareAttempt': {
        const { attempt } = effect.attempt;
        if (fails) return this.#tell({ kind: 'attemptFailed', attempt, failure, ...stamp });
        return this.#tell({ kind: 'attemptPrepared', attempt, ...stamp });
      }
      case 'requestSlots': {
        const { attempt, count } = effect;
        const { phase, claim } = this.state.scaling;
        const wanted = phase === 'REQUESTED' && claim?.attempt === attempt && claim.slots === count;
        const workers = Array.from({ length: count }, (_, i) => WORKERS[(attempt + i) % 3] ?? 'w1');
        const slices = workers.map(locationOf);
        if (wanted) this.#location = workers;
        this.#tell({ kind: 'slotsGranted', attempt, slices, ...stamp });
        const { execution } = this.state;
        assert(!wanted || execution.slots.length === count, 'granted slots are deployed to');
        return;
      }
      case 'allocateCheckpointId': {
        const { attempt, savepointId } = effect;
        if (fails) return this.#tell({ kind: 'idFailed', attempt, failure, ...stamp });
        const asked = savepointId === undefined ? {} : { savepointId };
        const checkpointId = this.#nextId++;
        return this.#tell({ kind: 'idAllocated', attempt, checkpointId, ...asked, ...stamp });
      }
      case 'writeManifest': {
        const { checkpointId } = effect;
        if (fails) return this.#tell({ kind: 'manifestFailed', checkpointId, failure, ...stamp });
        this.#written.add(checkpointId);
        return this.#tell({ kind: 'manifestWritten', checkpointId, ...stamp });
      }
      case 'completeCheckpoint': {
        const { checkpointId } = effect;
        if (fails) return this.#tell({ kind: 'completionFailed', checkpointId, failure, ...stamp });
        assert(
          checkpointId > (this.#completed.at(-1) ?? 0),
          'ids of completed checkpoints increase',
        );
        this.#completed.push(checkpointId);
        this.#pointer = effect.completed.map((one) => one.checkpointId);
        return this.#tell({ kind: 'completed', checkpointId, ...stamp });
      }
      default:
        return;
    }
  }

  #tell(event: JobEvent): void {
    const before = this.state;
    const { state, effects } = stepJob(before, event);
    this.state = state;
    for (const effect of effects) {
      this.#check(effect);
      this.#delete(effect);
    }
    for (const checkpointId of this.#pointer) {
      assert(
        (this.#named.get(checkpointId) ?? []).every((key) => this.#files.has(key)),
        'whatever a retained checkpoint names is there',
      );
    }
    const wanted = wakeAtMs(state);
    assert(
      wanted === undefined || !isTerminalJobStatus(state.execution.status),
      'an ended job wants no timer',
    );
  }

  #delete(effect: JobEffect): void {
    if (effect.kind === 'discardCheckpoint') {
      const { prefix, files, keep } = effect;
      for (const key of files) this.#files.delete(key);
      for (const key of this.#files) {
        if (key.startsWith(prefix) && !keep.includes(key)) this.#files.delete(key);
      }
    }
    if (effect.kind === 'collectOrphans') {
      for (const key of this.#files) {
        const id = Number(/^jobs\/j1\/chk-(\d+)/.exec(key)?.[1] ?? Infinity);
        if (id <= effect.upTo && !effect.keep.includes(key)) this.#files.delete(key);
      }
    }
    if (effect.kind === 'writeManifest') {
      const { checkpointId, manifest } = effect;
      const tasks = manifest.vertices.flatMap((vertex) => vertex.tasks);
      this.#named.set(
        checkpointId,
        tasks.flatMap(({ files }) => files.map(({ key }) => key)),
      );
    }
  }

  #check(effect: JobEffect): void {
    const current = this.state.execution.attempt;
    switch (effect.kind) {
      case 'prepareAttempt':
        assert(!this.#canceled, 'nothing starts after cancel');
        break;
      case 'requestSlots':
        assert(!this.#canceled, 'nothing starts after cancel');
        assert(
          effect.count <= Math.max(1, this.state.scaling.resources.slots),
          'no more slots are asked for than the job could have',
        );
        break;
      case 'deploySlot':
        assert(!this.#canceled, 'nothing is deployed after cancel');
        assert(effect.attempt.attempt === current, 'only the current attempt is deployed');
        for (const [attempt, slices] of this.#held) {
          assert(
            attempt === current || slices.size === 0,
            'no slot of an older attempt is still held',
          );
        }
        assert(
          effect.restore?.checkpointId === this.#completed.at(-1),
          'the latest completed checkpoint is restored',
        );
        this.#held.set(current, (this.#held.get(current) ?? new Set()).add(effect.slice));
        break;
      case 'triggerCheckpoint':
        assert(!this.#canceled, 'nothing is triggered after cancel');
        assert(effect.attempt.attempt === current, 'only the current attempt is triggered');
        break;
      case 'writeManifest':
        assert(
          this.#acknowledged.get(effect.checkpointId)?.size === this.#tasks().length,
          'every task has acknowledged before the manifest',
        );
        break;
      case 'completeCheckpoint':
        assert(this.#written.has(effect.checkpointId), 'the manifest is written before the set');
        assert(
          !this.#unanswered.some(({ kind }) => kind === 'completeCheckpoint'),
          'one compare-and-set at a time',
        );
        break;
      case 'notifyComplete':
        assert(this.#completed.includes(effect.checkpointId), 'complete, then notified');
        assert(effect.attempt.attempt === current, 'only the current attempt is notified');
        break;
      case 'discardCheckpoint':
        assert(
          !this.#pointer.includes(effect.checkpointId) ||
            effect.prefix.startsWith('savepoints/') === true,
          'nothing that the pointer names is discarded',
        );
        assert(
          !this.#unanswered.some(
            (open) =>
              (open.kind === 'writeManifest' || open.kind === 'completeCheckpoint') &&
              open.checkpointId === effect.checkpointId,
          ),
          'nothing is discarded while it is being written',
        );
        break;
      case 'jobTerminal':
        assert(
          !this.#unanswered.some(({ kind }) => kind === 'completeCheckpoint'),
          'a job ends when its pointer is known',
        );
        break;
      default:
    }
    const answered = [
      'prepareAttempt',
      'requestSlots',
      'allocateCheckpointId',
      'writeManifest',
      'completeCheckpoint',
    ];
    if (answered.includes(effect.kind)) this.#unanswered.push(effect);
  }
}

function assert(holds: boolean, law: string): void {
  if (!holds) throw new Error(`broken: ${law}`);
}

test('the laws hold in every history', (t) => {
  let finished = 0;
  let completed = 0;
  let restarted = 0;
  let rescaled = 0;
  fc.assert(
    fc.property(fc.array(jobCommand, { minLength: 20, maxLength: 200 }), (commands) => {
      const world = new World();
      world.run(commands);
      if (world.state.execution.status === 'FINISHED') finished++;
      completed += world.state.checkpoints.history.completed;
      restarted += world.state.execution.restarts;
      rescaled += world.state.scaling.history.length;
    }),
    { numRuns: 600, includeErrorInReport: true },
  );
  t.true(finished > 0 && completed > 100 && restarted > 50, 'the histories are not vacuous');
  t.true(rescaled > 50, 'nor free of rescales');
  t.log(
    `${finished} finished, ${completed} checkpoints, ${restarted} restarts, ${rescaled} rescales`,
  );
});
