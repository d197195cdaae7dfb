/**
 * Random histories of keyed state and its checkpoints: state changes, checkpoints complete, are aborted,
 * are subsumed, or nobody hears of them; tasks crash and come back at another parallelism; jobs start
 * from savepoints, with and without a claim. After every step each retained checkpoint and savepoint
 * restores to exactly what the state was.
 */
import test from 'ava';
import { valueState, type ValueState } from '../../../api/index.js';
import { t as types } from '../../../api/index.js';
import { discardedFiles, isNamed, keysOf } from '../../../core/file-references.js';
import { keyHash } from '../../../core/key-codec.js';
import { keyGroupOf, keyGroupRange, subtaskOf } from '../../../core/key-group.js';
import { findManifestFault } from '../../../core/manifest-check.js';
import type { StateFile, TaskFiles } from '../../../core/state-file.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { CheckpointedRuns } from '../../../worker/task/checkpointed-runs.js';
import { RunFetcher } from '../../../worker/task/run-fetcher.js';
import { SubtaskCheckpointCoordinator } from '../../../worker/task/subtask-checkpoint-coordinator.js';
import { ManualClock } from '../../manual-clock.js';
import { SeededRandom } from '../../simulation/event-loop.js';
import { testRuns } from '../state/run-copies.js';
import { StoredFiles } from './stored-files.js';

const STEPS = 200;
const SEEDS = 4;
const RETAINED = 2;
const SAVEPOINTS_MAX = 2;
const PARALLELISM_MAX = 4;
const MAX_PARALLELISM = 8;
const KEYS = Array.from({ length: 60 }, (_, index) => `key-${index}`);
const OPERATOR = 'count';
const VALUE = valueState(types.float64);
const ACTIONS = [
  ...['change', 'change', 'complete', 'complete', 'complete', 'unheard', 'abort', 'late'],
  ...['crash', 'rescale', 'savepoint', 'start', 'claim'],
] as const;

/** Tells tasks that a checkpoint is complete before it is; some of these are aborted then. */
type Mutant = 'told-too-early';

interface Snapshot {
  readonly checkpointId: number;
  readonly prefix: string;
  readonly tasks: readonly TaskFiles[];
  readonly contents: ReadonlyMap<string, number>;
}

interface Subtask {
  readonly backend: HeapKeyedStateBackend;
  readonly value: ValueState<number>;
  readonly checkpoints: SubtaskCheckpointCoordinator;
}

class History {
  readonly problems: string[] = [];
  namedAgain = 0;
  readonly #random: SeededRandom;
  readonly #mutant: Mutant | undefined;
  readonly #wholeKeysMin: number | undefined;
  readonly #storage = new StoredFiles();
  readonly #acknowledged = new Map<string, (files: readonly StateFile[]) => void>();
  #subtasks: Subtask[] = [];
  #contents = new Map<string, number>();
  #retained: Snapshot[] = [];
  #savepoints: Snapshot[] = [];
  /** Before the first checkpoint a job restarts from what it was started from. */
  #origin: Snapshot | undefined;
  #unheard: number[] = [];
  #lastId = 0;
  #jobs = 1;

  constructor(seed: number, mutant?: Mutant, wholeKeysMin?: number) {
    this.#random = new SeededRandom(seed);
    this.#mutant = mutant;
    this.#wholeKeysMin = wholeKeysMin;
  }

  async run(steps: number): Promise<void> {
    await this.#restore(undefined, false);
    for (let step = 0; step < steps && this.problems.length === 0; step++) {
      const action = this.#random.pick(ACTIONS);
      try {
        await this.#act(action);
        await this.#check();
      } catch (error) {
        this.problems.push(`step ${step}, ${action}: ${String(error)}`);
      }
    }
    await this.#close();
  }

  async #act(action: (typeof ACTIONS)[number]): Promise<void> {
    switch (action) {
      case 'change':
        return this.#change();
      case 'complete':
      case 'unheard':
      case 'abort':
        return this.#checkpoint(action);
      case 'late':
        for (const id of this.#unheard.splice(0)) this.#tell(id);
        return;
      case 'crash':
      case 'rescale': {
        const latest = this.#retained.at(-1);
        return this.#restore(latest ?? this.#origin, latest !== undefined);
      }
      case 'savepoint':
        return this.#takeSavepoint();
      case 'start':
      case 'claim':
        return this.#start(action === 'claim');
    }
  }

  #change(): void {
    for (let changes = this.#random.whole(1, 20); changes > 0; changes--) {
      const key = this.#random.pick(KEYS);
      const group = keyGroupOf(keyHash(key), MAX_PARALLELISM);
      const subtask = this.#subtasks[subtaskOf(group, this.#subtasks.length, MAX_PARALLELISM)];
      subtask?.backend.setCurrentKey(key);
      if (this.#random.chance(0.2)) {
        this.#contents.delete(key);
        subtask?.value.clear();
      } else {
        const value = this.#random.whole(0, 1_000_000);
        this.#contents.set(key, value);
        subtask?.value.update(value);
      }
    }
  }

  /** Files of all subtasks, once all have acknowledged. */
  async #snapshot(prefix: string): Promise<Snapshot> {
    const checkpointId = this.#lastId;
    const contents = new Map(this.#contents);
    const barrier = {
      kind: 'barrier',
      checkpointId,
      prefix,
      stopAfter: false,
      triggeredAtMs: 0,
      alignmentTimeoutMs: null,
    } as const;
    const tasks = this.#subtasks.map(async ({ checkpoints }, subtask): Promise<TaskFiles> => {
      const files = new Promise<readonly StateFile[]>((resolve) =>
        this.#acknowledged.set(`${checkpointId}/${subtask}`, resolve),
      );
      checkpoints.snapshot(barrier, 0, 0, undefined);
      return { subtask, files: await files };
    });
    // Records go on while the files are written.
    this.#change();
    return { checkpointId, prefix, tasks: await Promise.all(tasks), contents };
  }

  async #checkpoint(end: 'complete' | 'unheard' | 'abort'): Promise<void> {
    const id = ++this.#lastId;
    const taken = await this.#snapshot(`jobs/${this.#jobs}/chk-${id}/`);
    const references = this.#references();
    for (const { key } of taken.tasks.flatMap(({ files }) => files)) {
      if (key.startsWith(taken.prefix)) continue;
      this.namedAgain++;
      if (!isNamed(references, key)) this.problems.push(`${key} is named, but not retained`);
    }
    const fault = findManifestFault({
      maxParallelism: MAX_PARALLELISM,
      vertices: [{ vertex: OPERATOR, parallelism: taken.tasks.length, tasks: taken.tasks }],
    });
    if (fault !== undefined) this.problems.push(fault);
    if (this.#mutant === 'told-too-early') this.#tell(id);
    if (end === 'abort') {
      for (const { checkpoints } of this.#subtasks) checkpoints.abort(id);
      this.#storage.deletePrefix(taken.prefix, new Set());
      return;
    }
    this.#retained.push(taken);
    while (this.#retained.length > RETAINED) this.#discardOldest();
    if (end === 'complete') this.#tell(id);
    else this.#unheard.push(id);
  }

  #discardOldest(): void {
    const [oldest] = this.#retained.splice(0, 1);
    if (oldest === undefined) return;
    const { files, keep } = discardedFiles(oldest.prefix, keysOf(oldest.tasks), this.#references());
    this.#storage.deletePrefix(oldest.prefix, new Set(keep));
    for (const key of files) this.#storage.delete(key);
  }

  async #takeSavepoint(): Promise<void> {
    const id = ++this.#lastId;
    const taken = await this.#snapshot(`savepoints/${id}/`);
    const stray = taken.tasks
      .flatMap(({ files }) => files)
      .find(({ key }) => !key.startsWith(taken.prefix));
    if (stray !== undefined) this.problems.push(`savepoint ${id} names ${stray.key}`);
    for (const { checkpoints } of this.#subtasks) checkpoints.complete(id);
    this.#savepoints.push(taken);
    if (this.#savepoints.length <= SAVEPOINTS_MAX) return;
    const disposable = this.#savepoints.findIndex((one) => one !== this.#origin);
    const [disposed] = this.#savepoints.splice(disposable, 1);
    if (disposed !== undefined) this.#storage.deletePrefix(disposed.prefix, new Set());
  }

  /** The job ends with all that it retains; another one starts from a savepoint. */
  async #start(claim: boolean): Promise<void> {
    if (this.#savepoints.length === 0) return;
    const origin = this.#random.pick(this.#savepoints);
    while (this.#retained.length > 0) this.#discardOldest();
    this.#jobs++;
    this.#origin = claim ? undefined : origin;
    if (claim) {
      this.#savepoints = this.#savepoints.filter((one) => one !== origin);
      this.#retained = [origin];
    }
    await this.#restore(origin, claim);
  }

  #tell(checkpointId: number): void {
    for (const { checkpoints } of this.#subtasks) checkpoints.complete(checkpointId);
  }

  #references(): ReadonlyMap<number, ReadonlySet<string>> {
    return new Map(this.#retained.map(({ checkpointId, tasks }) => [checkpointId, keysOf(tasks)]));
  }

  async #restore(from: Snapshot | undefined, owned: boolean): Promise<void> {
    await this.#close();
    this.#unheard = [];
    this.#contents = new Map(from?.contents);
    const parallelism = this.#random.whole(1, PARALLELISM_MAX);
    this.#subtasks = await this.#build(from, parallelism, owned);
  }

  async #build(
    from: Snapshot | undefined,
    parallelism: number,
    owned: boolean,
  ): Promise<Subtask[]> {
    return Promise.all(
      Array.from({ length: parallelism }, (_, subtask) =>
        this.#buildSubtask(from, subtask, parallelism, owned),
      ),
    );
  }

  async #buildSubtask(
    from: Snapshot | undefined,
    subtask: number,
    parallelism: number,
    owned: boolean,
  ): Promise<Subtask> {
    const runs = testRuns();
    const keyGroups = keyGroupRange(subtask, parallelism, MAX_PARALLELISM);
    const backend = new HeapKeyedStateBackend({
      operator: OPERATOR,
      keyGroups,
      maxParallelism: MAX_PARALLELISM,
      now: () => 0,
      runs,
      ...(this.#wholeKeysMin === undefined ? {} : { wholeKeysMin: this.#wholeKeysMin }),
    });
    const value = backend.state('value', VALUE) as ValueState<number>;
    const checkpointed = new CheckpointedRuns();
    if (from !== undefined) {
      const fetcher = new RunFetcher({
        checkpointId: from.checkpointId,
        storage: this.#storage,
        runStorage: runs.storage,
        local: undefined,
      });
      const mine = (file: StateFile): boolean =>
        file.keyGroupStart < keyGroups.end && file.keyGroupEnd > keyGroups.start;
      const lists = await Promise.all(
        from.tasks.map(({ files }) =>
          Promise.all(files.filter(mine).map((file) => fetcher.fetch(file))),
        ),
      );
      if (owned) {
        for (const { name, file } of lists.flat()) checkpointed.restored(OPERATOR, name, file);
      }
      backend.restore(lists);
    }
    const checkpoints = new SubtaskCheckpointCoordinator({
      task: { vertex: OPERATOR, subtask },
      environment: {
        clock: new ManualClock(1),
        storage: this.#storage,
        local: undefined,
        reports: {
          running: () => undefined,
          drained: () => undefined,
          committed: () => undefined,
          failed: (_task, error) => this.problems.push(error.message),
          declined: (_task, _id, error) => this.problems.push(error.message),
          acknowledged: (_task, id, files) => this.#acknowledged.get(`${id}/${subtask}`)?.(files),
        },
        wake: () => undefined,
      },
      operators: [{ name: OPERATOR, snapshot: (id) => ({ keyed: backend.snapshot(id) }) }],
      stateCodecs: new Map(),
      checkpointed,
    });
    return { backend, value, checkpoints };
  }

  /** Each retained one, into fresh backends of some parallelism. */
  async #check(): Promise<void> {
    for (const snapshot of [...this.#retained, ...this.#savepoints]) {
      const parallelism = this.#random.whole(1, PARALLELISM_MAX);
      const restored = await this.#build(snapshot, parallelism, false);
      for (const key of KEYS) {
        const group = keyGroupOf(keyHash(key), MAX_PARALLELISM);
        const owner = restored[subtaskOf(group, parallelism, MAX_PARALLELISM)];
        owner?.backend.setCurrentKey(key);
        const [found, expected] = [owner?.value.value(), snapshot.contents.get(key)];
        if (found === expected) continue;
        this.problems.push(
          `${snapshot.prefix}: ${key} is ${String(found)}, not ${String(expected)}`,
        );
      }
      for (const { backend } of restored) await backend.close();
    }
  }

  async #close(): Promise<void> {
    for (const { backend } of this.#subtasks) await backend.close();
  }
}

test('each retained checkpoint restores to what the state was, after every step', async (t) => {
  t.timeout(300_000);
  for (let seed = 1; seed <= SEEDS; seed++) {
    const history = new History(seed);
    await history.run(STEPS);
    t.deepEqual(history.problems, [], `seed ${seed}`);
    t.true(history.namedAgain > STEPS / 2, 'files were named again');
  }
});

test('they do so where a checkpoint of half the keys writes all of them', async (t) => {
  t.timeout(300_000);
  for (let seed = 1; seed <= SEEDS / 2; seed++) {
    const history = new History(seed, undefined, 0);
    await history.run(STEPS / 2);
    t.deepEqual(history.problems, [], `seed ${seed}`);
    t.true(history.namedAgain > 0, 'files were named again');
  }
});

test('a run of a checkpoint that was aborted, but named again, is noticed', async (t) => {
  const history = new History(1, 'told-too-early');
  await history.run(STEPS);
  t.not(history.problems.length, 0);
});
