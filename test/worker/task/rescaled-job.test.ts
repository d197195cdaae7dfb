/**
 * A job through a random row of parallelisms, checkpoint by checkpoint: whatever it was and becomes,
 * the multiset of key, state, timer and open window over all subtasks is the same before and after,
 * each in the subtask that owns its key group, and every split and pending committable is handed to
 * one subtask.
 */
import test from 'ava';
import fc from 'fast-check';
import { listState, t as types, type Committer, type ListState } from '../../../api/index.js';
import type { SourceReader } from '../../../api/index.js';
import type { CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import { keyHash } from '../../../core/key-codec.js';
import { keyGroupOf, subtaskOf } from '../../../core/key-group.js';
import { MemoryCheckpointStorage } from '../../../worker/local/memory-checkpoint-storage.js';
import { DoublingService, SlotCluster } from './slot-cluster.js';
import { clicksJob, CommittedLines, GatedSource, MAX_PARALLELISM, type Click } from './slot-job.js';

const SPLITS = 5;
const STEP = 11;
const SUMS = types.float64;

/** Many keys, so that most key groups hold some, over windows of which several are open. */
function clicks(steps: number): Click[][] {
  return Array.from({ length: SPLITS }, (_, split) =>
    Array.from({ length: steps * STEP }, (_unused, index) => ({
      user: `user-${(split * 7 + index * 5) % 37}`,
      n: split * 1000 + index,
      at: index,
    })),
  );
}

/** Notes which splits its readers were given since it was asked last. */
class WatchedSource extends GatedSource {
  readonly #given: string[] = [];

  override createReader(): ReturnType<GatedSource['createReader']> {
    const reader = super.createReader();
    const addSplits: SourceReader<
      Click,
      { id: string; ordinal: number; position: number }
    >['addSplits'] = (splits) => {
      this.#given.push(...splits.map(({ id }) => id));
      reader.addSplits(splits);
    };
    return { ...reader, addSplits };
  }

  given(): string[] {
    return this.#given.splice(0).sort();
  }
}

/** Notes what its committers were asked to commit since it was asked last. */
class WatchedLines extends CommittedLines {
  readonly #asked: string[] = [];

  override async createCommitter(): Promise<Committer<string>> {
    const committer = await super.createCommitter();
    const commit: Committer<string>['commit'] = (ids) => {
      this.#asked.push(...ids);
      return committer.commit(ids);
    };
    return { ...committer, commit };
  }

  asked(): string[] {
    return this.#asked.splice(0).sort();
  }
}

/** Everything keyed that the subtasks hold. Uses the timers up, so the cluster is of no use afterwards. */
function contents(cluster: SlotCluster): string[] {
  const rows: string[] = [];
  const note = (subtask: number, subtasks: number, key: string, what: string): void => {
    const owner = subtaskOf(keyGroupOf(keyHash(key), MAX_PARALLELISM), subtasks, MAX_PARALLELISM);
    rows.push(owner === subtask ? `${key} ${what}` : `${key} ${what} in subtask ${subtask}`);
  };
  const processes = cluster.backends.get('remember') ?? [];
  processes.forEach((backend, subtask) => {
    for (let user = 0; user < 37; user++) {
      backend.setCurrentKey(`user-${user}`);
      const state = backend.state('seen', listState(types.int32)) as ListState<number>;
      for (const n of state.get()) note(subtask, processes.length, `user-${user}`, `saw ${n}`);
    }
    backend.timers.advance('eventTime', Infinity, (timestamp, key) =>
      note(subtask, processes.length, key as string, `timer ${timestamp}`),
    );
  });
  const windows = cluster.backends.get('sums') ?? [];
  windows.forEach((backend, subtask) => {
    const state = backend.windowState('windowContents', SUMS);
    for (const start of state.windows()) {
      state.forEach(start, 0, Infinity, (key, sum) =>
        note(subtask, windows.length, key as string, `window ${start}: ${sum}`),
      );
    }
  });
  return rows.sort();
}

test('property: through any row of parallelisms nothing is lost, doubled or misplaced', async (t) => {
  let windows = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: MAX_PARALLELISM }), { minLength: 2, maxLength: 4 }),
      async (row) => {
        const splits = clicks(row.length);
        const source = new WatchedSource(splits, 0);
        const sink = new WatchedLines();
        const storage = new MemoryCheckpointStorage();
        const job = clicksJob(source, sink);
        const scoring = new DoublingService();
        let manifest: CheckpointManifest | undefined;
        let before = 0;
        let pending = 0;
        for (const [step, parallelism] of row.entries()) {
          const open = (at: number): SlotCluster =>
            new SlotCluster({
              ...{ job, parallelism: at, storage, scoring },
              ...(manifest === undefined ? {} : { restore: manifest }),
            });
          if (manifest !== undefined) {
            const [same, other] = [open(before), open(parallelism)];
            await same.build();
            await other.build();
            const kept = contents(same);
            t.false(
              kept.some((line) => line.includes('in subtask')),
              'each where it belongs',
            );
            windows += kept.filter((line) => line.includes('window')).length;
            t.deepEqual(contents(other), kept);
            source.given();
            sink.asked();
          }
          const cluster = open(parallelism);
          await cluster.start();
          t.deepEqual(source.given(), ['s0', 's1', 's2', 's3', 's4']);
          const asked = sink.asked();
          t.is(new Set(asked).size, pending, 'all that was pending is committed');
          t.is(asked.length, pending, 'by one subtask each');
          source.moveGate((step + 1) * STEP);
          await source.readUpToGate();
          manifest = await cluster.checkpoint(step + 1);
          pending = 2 * parallelism;
          before = parallelism;
          await cluster.close();
        }
      },
    ),
    { numRuns: 5 },
  );
  t.true(windows > 0, 'windows were in flight');
});
