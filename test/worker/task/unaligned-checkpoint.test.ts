/** Barriers that overtake: through a sink that takes nothing, and restores at other parallelisms. */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import { MemoryCheckpointStorage } from '../../../worker/local/memory-checkpoint-storage.js';
import {
  decodeChannelState,
  type ChannelSection,
} from '../../../worker/task/channel-state-file.js';
import { DoublingService, SlotCluster } from './slot-cluster.js';
import { clicks, expectedLines } from './slot-input.js';
import { clicksJob, CommittedLines, GatedSource, type Click } from './slot-job.js';

/** Longer than any of these tests lasts by its own clock. */
const NEVER_MS = 1_000_000;
const TIMEOUT_MS = 20;
/** Turns without a record read after which everything stands still. */
const QUIET_TURNS = 60;

class World {
  readonly source: GatedSource;
  readonly sink = new CommittedLines();
  readonly storage = new MemoryCheckpointStorage();

  constructor(readonly splits: readonly (readonly Click[])[]) {
    this.source = new GatedSource(splits);
  }

  async start(parallelism: number, restore?: CheckpointManifest): Promise<SlotCluster> {
    const cluster = new SlotCluster({
      job: clicksJob(this.source, this.sink),
      parallelism,
      storage: this.storage,
      scoring: new DoublingService(),
      ...(restore === undefined ? {} : { restore }),
    });
    await cluster.start();
    return cluster;
  }

  /** Resolves once the sources are stopped by what stands before them. */
  async standsStill(): Promise<void> {
    for (let quiet = 0, { read } = this.source; quiet < QUIET_TURNS; quiet++) {
      await turn();
      if (this.source.read !== read) quiet = 0;
      read = this.source.read;
    }
  }

  async inFlight(manifest: CheckpointManifest): Promise<readonly ChannelSection[]> {
    const files = manifest.vertices
      .flatMap(({ tasks }) => tasks.flatMap((task) => task.files))
      .filter(({ kind }) => kind === 'channel');
    const sections: ChannelSection[] = [];
    for (const file of files) {
      sections.push(...decodeChannelState(await this.storage.read(file), file.key));
    }
    return sections.filter(({ buffers }) => buffers.some(({ kind }) => kind === 'chunk'));
  }

  /** Lines that are committed too often or too seldom; a few tell enough. */
  differences(): readonly string[] {
    const counts = new Map<string, number>();
    for (const line of this.sink.lines) counts.set(line, (counts.get(line) ?? 0) + 1);
    for (const line of expectedLines(this.splits)) counts.set(line, (counts.get(line) ?? 0) - 1);
    return [...counts]
      .filter(([, count]) => count !== 0)
      .map(([line, count]) => `${count > 0 ? '+' : ''}${count} ${line.slice(0, 60)}`)
      .slice(0, 20);
  }

  /** To the end of the input, from a checkpoint. */
  async finish(parallelism: number, restore: CheckpointManifest, id: number): Promise<void> {
    this.sink.release();
    const cluster = await this.start(parallelism, restore);
    await cluster.finish(id);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Completes a checkpoint while nothing but time goes on. */
async function unaligned(
  cluster: SlotCluster,
  id: number,
  timeoutMs = TIMEOUT_MS,
): Promise<CheckpointManifest> {
  cluster.trigger(id, false, timeoutMs);
  let manifest: CheckpointManifest | undefined;
  const completed = cluster.completed(id).then((done) => (manifest = done));
  while (manifest === undefined) {
    await turn();
    cluster.clock.advance(1);
  }
  return completed;
}

/** A checkpoint with records in flight at both ends of channels. */
async function overtaken(t: ExecutionContext, world: World): Promise<CheckpointManifest> {
  const cluster = await world.start(2);
  world.sink.hold();
  await world.standsStill();
  t.true(world.source.read < world.splits.flat().length, 'the sources are held up');
  const manifest = await unaligned(cluster, 1);
  await cluster.close();
  const sides = new Set((await world.inFlight(manifest)).map(({ side }) => side));
  t.deepEqual([...sides].sort(), ['input', 'output']);
  return manifest;
}

test('an aligned checkpoint waits for a sink that takes nothing; one that may overtake does not', async (t) => {
  const world = new World(clicks(2, 600));
  const cluster = await world.start(2);
  world.sink.hold();
  await world.standsStill();
  cluster.trigger(1, false, NEVER_MS);
  let completed = false;
  void cluster.completed(1).then(() => (completed = true));
  for (let turns = 0; turns < QUIET_TURNS; turns++) await turn();
  t.false(completed);
  for (const slot of cluster.slots) slot.notifyCheckpointAborted(1);
  const manifest = await unaligned(cluster, 2);
  t.true((await world.inFlight(manifest)).length > 0);
  t.true(cluster.unaligned(2));
  await cluster.close();
  await world.finish(2, manifest, 3);
  t.deepEqual(world.differences(), []);
});

test('a checkpoint that nothing holds up is aligned, and holds no records in flight', async (t) => {
  const world = new World(clicks(2, 50));
  const cluster = await world.start(2);
  await cluster.reached('drained');
  cluster.trigger(1, false, NEVER_MS);
  const manifest = await cluster.completed(1);
  t.false(cluster.unaligned(1));
  t.deepEqual(await world.inFlight(manifest), []);
  await cluster.close();
});

test('what had begun before the checkpoint goes on unharmed after it', async (t) => {
  const world = new World(clicks(2, 600));
  const cluster = await world.start(2);
  world.sink.hold();
  await world.standsStill();
  await unaligned(cluster, 1);
  await cluster.notify(1);
  world.sink.release();
  await cluster.finish(2);
  t.deepEqual(world.differences(), []);
});

test('an aborted checkpoint leaves nothing behind, and the next one is whole', async (t) => {
  const world = new World(clicks(2, 600));
  const cluster = await world.start(2);
  world.sink.hold();
  await world.standsStill();
  for (let id = 1; id <= 5; id++) {
    cluster.trigger(id, false, id % 2 === 0 ? 0 : TIMEOUT_MS);
    for (let turns = 0; turns < 7 * id; turns++) await turn();
    for (const slot of cluster.slots) slot.notifyCheckpointAborted(id);
  }
  const manifest = await unaligned(cluster, 6);
  await cluster.close();
  await world.finish(2, manifest, 7);
  t.deepEqual(world.differences(), []);
});

test('a restored task that has not come to its recovered records keeps them in its next checkpoint', async (t) => {
  for (const parallelisms of [
    [2, 2, 2],
    [3, 3, 1],
    [1, 2, 2],
  ] as const) {
    const world = new World(clicks(3, 500));
    let manifest = await overtaken(t, world);
    let id = 1;
    for (const parallelism of parallelisms) {
      const cluster = await world.start(parallelism, manifest);
      manifest = await unaligned(cluster, ++id);
      t.true((await world.inFlight(manifest)).length > 0, 'what was recovered is still in flight');
      await cluster.close();
    }
    await world.finish(2, manifest, ++id);
    t.deepEqual(world.differences(), [], parallelisms.join(' -> '));
  }
});

test('windows that have begun to fire are finished before the snapshot, though nobody takes their results', async (t) => {
  const users = 1_500;
  const click = (n: number, at: number): Click => ({ user: `user-${n % users}`, n, at });
  const world = new World([
    [
      ...Array.from({ length: users }, (_, n) => click(n, 5)),
      ...Array.from({ length: 2 * users }, (_, n) => click(users + n, 100 + Math.floor(n / 8))),
    ],
  ]);
  world.sink.hold((line) => line.includes(' from 0'));
  const cluster = await world.start(1);
  await world.standsStill();
  const manifest = await unaligned(cluster, 1);
  await cluster.close();
  await world.finish(2, manifest, 2);
  t.deepEqual(world.differences(), []);
});

test('property: at any other parallelism every record in flight arrives once, before time runs on', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(0, 5, TIMEOUT_MS),
      async (before, after, splitCount, timeoutMs) => {
        const world = new World(clicks(splitCount, 400));
        const first = await world.start(before);
        world.sink.hold();
        await world.standsStill();
        const manifest = await unaligned(first, 1, timeoutMs);
        await first.close();
        await world.finish(after, manifest, 2);
        t.deepEqual(world.differences(), []);
      },
    ),
    { numRuns: 12 },
  );
});
