/**
 * What a task uploads at a checkpoint and what it names again: only runs of a checkpoint that it knows
 * to be complete, or that it was restored from and the job owns. A savepoint stands alone.
 */
import test from 'ava';
import type { CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import { findManifestFault } from '../../../core/manifest-check.js';
import type { StateFile } from '../../../core/state-file.js';
import { RUN_LAYERS_MAX } from '../../../worker/state/run-log.js';
import { DoublingService, SlotCluster } from './slot-cluster.js';
import { clicks, expectedLines } from './slot-input.js';
import { clicksJob, CommittedLines, GatedSource } from './slot-job.js';
import { StoredFiles } from './stored-files.js';

const STEP = 6;

class World {
  readonly source: GatedSource;
  readonly sink = new CommittedLines();
  readonly storage = new StoredFiles();
  readonly splits: ReturnType<typeof clicks>;
  #gate = STEP;

  constructor(steps: number) {
    this.splits = clicks(2, steps * STEP);
    this.source = new GatedSource(this.splits, STEP);
  }

  cluster(parallelism: number, restore?: CheckpointManifest, owned = true): SlotCluster {
    return new SlotCluster({
      job: clicksJob(this.source, this.sink),
      parallelism,
      storage: this.storage,
      scoring: new DoublingService(),
      ...(restore === undefined ? {} : { restore, owned }),
    });
  }

  /** Some more records change the state. */
  async change(): Promise<void> {
    await this.source.readUpToGate();
    this.#gate += STEP;
  }

  more(): void {
    this.source.moveGate(this.#gate);
  }
}

function keyedOf(manifest: CheckpointManifest): readonly StateFile[] {
  return manifest.vertices.flatMap(({ tasks }) =>
    tasks.flatMap(({ files }) => files.filter(({ kind }) => kind === 'keyed')),
  );
}

function prefixesOf(manifest: CheckpointManifest): readonly string[] {
  return [
    ...new Set(keyedOf(manifest).map(({ key }) => key.slice(0, key.indexOf('/') + 1))),
  ].sort();
}

/** How many runs lie upon each other at most. */
function depthOf(manifest: CheckpointManifest): number {
  let deepest = 0;
  for (const { tasks } of manifest.vertices) {
    for (const { files } of tasks) {
      const keyed = files.filter(({ kind }) => kind === 'keyed');
      for (const { operator, keyGroupStart: at } of keyed) {
        const depth = keyed.filter(
          (file) => file.operator === operator && file.keyGroupStart <= at && at < file.keyGroupEnd,
        ).length;
        deepest = Math.max(deepest, depth);
      }
    }
  }
  return deepest;
}

test('a checkpoint names the runs of a completed one, and uploads what is new', async (t) => {
  const world = new World(3);
  const cluster = world.cluster(2);
  await cluster.start();
  await world.change();
  const first = await cluster.checkpoint(1);
  t.deepEqual(prefixesOf(first), ['chk-1/']);
  await cluster.notify(1);
  world.more();
  await world.change();
  const second = await cluster.checkpoint(2);
  t.deepEqual(prefixesOf(second), ['chk-1/', 'chk-2/']);
  const named = new Map(keyedOf(second).map((file) => [file.key, file]));
  for (const file of keyedOf(first)) t.deepEqual(named.get(file.key), file);
  t.is(findManifestFault(second), undefined);
  await cluster.close();
});

test('runs of a checkpoint that was aborted, or that nobody told of, are uploaded again', async (t) => {
  const world = new World(3);
  const cluster = world.cluster(2);
  await cluster.start();
  await world.change();
  await cluster.checkpoint(1);
  cluster.abort(1);
  t.deepEqual(prefixesOf(await cluster.checkpoint(2)), ['chk-2/']);
  const third = await cluster.checkpoint(3);
  t.deepEqual(prefixesOf(third), ['chk-3/']);
  // Late: what it uploaded has been uploaded again, and may be gone once the later one is complete.
  await cluster.notify(2);
  t.deepEqual(prefixesOf(await cluster.checkpoint(4)), ['chk-4/']);
  await cluster.notify(4);
  t.deepEqual(prefixesOf(await cluster.checkpoint(5)), ['chk-4/']);
  await cluster.close();
});

test('a savepoint names nothing else, and no checkpoint names it', async (t) => {
  const world = new World(4);
  const cluster = world.cluster(2);
  await cluster.start();
  for (const id of [1, 2, 3]) {
    world.more();
    await world.change();
    await cluster.checkpoint(id);
    await cluster.notify(id);
  }
  cluster.trigger(4, false, null, 'savepoints/s/');
  const savepoint = await cluster.completed(4);
  await cluster.notify(4);
  t.deepEqual(prefixesOf(savepoint), ['savepoints/']);
  t.is(depthOf(savepoint), 1);
  const next = prefixesOf(await cluster.checkpoint(5));
  t.true(next.includes('chk-3/'), 'of a checkpoint before the savepoint');
  t.false(next.includes('savepoints/'));
  await cluster.close();
  const restored = world.cluster(1, savepoint, false);
  world.source.moveGate(Infinity);
  await restored.start();
  await restored.finish(6);
  t.deepEqual(world.sink.lines, expectedLines(world.splits));
});

test('what was restored from is named again if the job owns it', async (t) => {
  for (const owned of [true, false]) {
    const world = new World(2);
    const first = world.cluster(4);
    await first.start();
    await world.change();
    const manifest = await first.checkpoint(1);
    await first.notify(1);
    await first.close();
    world.source.moveGate(STEP);
    // Files of four subtasks come to three, so that some are shared by two of them.
    const second = world.cluster(3, manifest, owned);
    await second.start();
    const taken = await second.checkpoint(2);
    t.is(findManifestFault(taken), undefined);
    t.deepEqual(prefixesOf(taken), owned ? ['chk-1/'] : ['chk-2/']);
    await second.close();
  }
});

test('each file of a checkpoint that is flipped, cut or gone is named, shared ones too', async (t) => {
  const world = new World(3);
  const cluster = world.cluster(2);
  await cluster.start();
  let manifest: CheckpointManifest | undefined;
  for (const id of [1, 2]) {
    world.more();
    await world.change();
    manifest = await cluster.checkpoint(id);
    await cluster.notify(id);
  }
  await cluster.close();
  t.true(manifest !== undefined && prefixesOf(manifest).length === 2);
  const files =
    manifest?.vertices.flatMap(({ tasks }) => tasks.flatMap((task) => task.files)) ?? [];
  const damages: readonly ((bytes: Uint8Array) => Uint8Array | undefined)[] = [
    (bytes) => bytes.with(bytes.length >> 1, (bytes.at(bytes.length >> 1) ?? 0) ^ 1),
    (bytes) => bytes.subarray(0, -1),
    () => new Uint8Array(),
    () => undefined,
  ];
  for (const { key } of files) {
    for (const damage of damages) {
      const repair = world.storage.spoil(key, damage);
      const restored = world.cluster(2, manifest);
      const error = await t.throwsAsync(restored.build(), { code: 'CHECKPOINT_CORRUPT' }, key);
      t.true(error?.message.includes(key));
      await restored.close();
      repair();
    }
  }
  t.true(files.length > 10);
  const whole = world.cluster(2, manifest);
  await t.notThrowsAsync(whole.build());
  await whole.close();
});

test('a restore replays a bounded number of runs, whatever was restored and rescaled before', async (t) => {
  const steps = 60;
  const world = new World(steps);
  let manifest: CheckpointManifest | undefined;
  let id = 0;
  let deepest = 0;
  let lists = 0;
  // Parallelism falls and rises; each attempt takes some checkpoints of small changes.
  for (const [round, parallelism] of [4, 1, 3, 1, 4, 2].entries()) {
    const cluster = world.cluster(parallelism, manifest);
    await cluster.start();
    for (let step = 0; step < steps / 6; step++) {
      world.more();
      await world.change();
      manifest = await cluster.checkpoint(++id);
      if (step % 3 !== round % 3) await cluster.notify(id);
      t.is(findManifestFault(manifest), undefined);
      deepest = Math.max(deepest, depthOf(manifest));
      lists = Math.max(lists, keyedOf(manifest).length);
    }
    await cluster.close();
  }
  t.true(deepest <= RUN_LAYERS_MAX, `${deepest} runs upon each other`);
  t.true(deepest > 2 && lists > 4);
});
