/** Slots of a whole job: through checkpoints, restores at other parallelisms, and the end of the input. */
import test from 'ava';
import fc from 'fast-check';
import { isMillraceError, listState, t as types, type ListState } from '../../../api/index.js';
import type { CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import { keyHash } from '../../../core/key-codec.js';
import { keyGroupOf, subtaskOf } from '../../../core/key-group.js';
import { MemoryCheckpointStorage } from '../../../worker/local/memory-checkpoint-storage.js';
import { DoublingService, SlotCluster } from './slot-cluster.js';
import { clicks, expectedLines, USERS } from './slot-input.js';
import { clicksJob, CommittedLines, GatedSource, MAX_PARALLELISM, type Click } from './slot-job.js';

interface World {
  readonly source: GatedSource;
  readonly sink: CommittedLines;
  readonly storage: MemoryCheckpointStorage;
  readonly scoring: DoublingService;
  readonly cluster: (parallelism: number, restore?: CheckpointManifest) => SlotCluster;
}

function world(splits: readonly (readonly Click[])[], gate = Infinity): World {
  const source = new GatedSource(splits, gate);
  const sink = new CommittedLines();
  const storage = new MemoryCheckpointStorage();
  const scoring = new DoublingService();
  const job = clicksJob(source, sink);
  return {
    source,
    sink,
    storage,
    scoring,
    cluster: (parallelism, restore) =>
      new SlotCluster({
        job,
        parallelism,
        storage,
        scoring,
        ...(restore === undefined ? {} : { restore }),
      }),
  };
}

test('a job without a stop comes to the sums of its input', async (t) => {
  const splits = clicks(3, 50);
  const { cluster, sink } = world(splits);
  const run = cluster(2);
  await run.start();
  await run.finish(1);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('a second slot goes on from the checkpoint of the first', async (t) => {
  const splits = clicks(2, 40);
  const { cluster, sink, source } = world(splits, 17);
  const first = cluster(1);
  await first.start();
  await source.readUpToGate();
  const manifest = await first.checkpoint(1);
  await first.notify(1);
  const committed = sink.lines;
  source.moveGate(30);
  await source.readUpToGate();
  await first.checkpoint(2);
  await first.close();
  t.deepEqual(sink.lines, committed);
  source.moveGate(Infinity);
  const second = cluster(1, manifest);
  await second.start();
  await second.finish(3);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('a checkpoint that nobody was told of is committed by the restore', async (t) => {
  const splits = clicks(1, 40);
  const { cluster, sink, source } = world(splits, 20);
  const first = cluster(1);
  await first.start();
  await source.readUpToGate();
  const manifest = await first.checkpoint(1);
  await first.close();
  t.deepEqual(sink.lines, []);
  const second = cluster(1, manifest);
  await second.start();
  t.is(sink.lines.filter((line) => line.includes('saw')).length, 20);
  source.moveGate(Infinity);
  await second.finish(2);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('a barrier waits for the scoring batch before it, and its records are in the checkpoint', async (t) => {
  const splits = clicks(1, 9);
  const { cluster, sink, scoring, source } = world(splits, 5);
  scoring.hold();
  const first = cluster(1);
  await first.start();
  await scoring.callWaits();
  first.trigger(1);
  let acknowledged = false;
  const completed = first.completed(1).finally(() => (acknowledged = true));
  // Whatever could be acknowledged without the batch would be after these turns.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.false(acknowledged);
  scoring.release();
  const manifest = await completed;
  await first.notify(1);
  t.deepEqual(
    sink.lines.filter((line) => line.includes('saw')),
    splits
      .flat()
      .slice(0, 5)
      .map(({ user, n }) => `${user} saw ${n * 2}`)
      .sort(),
  );
  await first.close();
  source.moveGate(Infinity);
  const second = cluster(1, manifest);
  await second.start();
  await second.finish(2);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('after the end of the data checkpoints are still taken, and one of them restores to nothing left', async (t) => {
  const splits = clicks(2, 10);
  const { cluster, sink } = world(splits);
  const first = cluster(2);
  await first.start();
  await first.reached('drained');
  const manifest = await first.checkpoint(1);
  await first.close();
  t.deepEqual(sink.lines, []);
  const second = cluster(2, manifest);
  await second.start();
  await second.finish(2);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('a savepoint that stops: sources emit nothing after its barrier', async (t) => {
  const splits = clicks(1, 40);
  const { cluster, sink, source } = world(splits, 10);
  const first = cluster(1);
  await first.start();
  await source.readUpToGate();
  first.trigger(1, true);
  const manifest = await first.completed(1);
  source.moveGate(Infinity);
  await first.notify(1);
  const committed = sink.lines;
  await first.checkpoint(2);
  await first.notify(2);
  await first.close();
  t.deepEqual(sink.lines, committed);
  const second = cluster(1, manifest);
  await second.start();
  await second.finish(3);
  t.deepEqual(sink.lines, expectedLines(splits));
});

test('a damaged file fails the restore by its name', async (t) => {
  const { cluster, source } = world(clicks(1, 5), 3);
  const first = cluster(1);
  await first.start();
  await source.readUpToGate();
  const manifest = await first.checkpoint(1);
  await first.close();
  const lost = new SlotCluster({
    job: clicksJob(new GatedSource([]), new CommittedLines()),
    parallelism: 1,
    storage: new MemoryCheckpointStorage(),
    scoring: new DoublingService(),
    restore: manifest,
  });
  const error = await t.throwsAsync(lost.build(), { message: /file chk-1\/.* is not in/ });
  t.true(isMillraceError(error) && error.code === 'CHECKPOINT_CORRUPT');
});

/** Every key's state and timers, of whichever subtask owns the key. Uses the timers up. */
function contents(cluster: SlotCluster): string[] {
  const backends = cluster.backends.get('remember') ?? [];
  const seen = listState(types.int32);
  const rows = USERS.flatMap((user) => {
    const keyGroup = keyGroupOf(keyHash(user), MAX_PARALLELISM);
    const backend = backends[subtaskOf(keyGroup, backends.length, MAX_PARALLELISM)];
    backend?.setCurrentKey(user);
    const state = backend?.state('seen', seen) as ListState<number> | undefined;
    return [...(state?.get() ?? [])].map((n) => `${user} state ${n}`);
  });
  for (const { timers } of backends) {
    timers.advance('eventTime', Infinity, (timestamp, key) =>
      rows.push(`${key as string} timer ${timestamp}`),
    );
  }
  return rows.sort();
}

test('property: at any other parallelism the same keys have the same state and timers', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(30),
      async (before, after, splitCount, gate) => {
        const splits = clicks(splitCount, 30);
        const { cluster, sink, source } = world(splits, gate);
        const first = cluster(before);
        await first.start();
        await source.readUpToGate();
        const manifest = await first.checkpoint(1);
        await first.close();
        const same = cluster(before, manifest);
        await same.build();
        const other = cluster(after, manifest);
        await other.build();
        const kept = contents(same);
        t.is(kept.filter((row) => row.includes('state')).length, splitCount * gate);
        t.deepEqual(contents(other), kept);
        await same.close();
        await other.close();
        source.moveGate(Infinity);
        const last = cluster(after, manifest);
        await last.start();
        await last.finish(2);
        t.deepEqual(sink.lines, expectedLines(splits));
      },
    ),
    { numRuns: 12 },
  );
});
