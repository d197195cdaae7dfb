/** Runs in layers: who holds them, when they are merged, when they are removed. */
import test from 'ava';
import { MillraceError } from '../../../core/errors.js';
import { RunLog } from '../../../worker/state/run-log.js';
import { RunBuffers } from '../../../worker/state/run-buffers.js';
import type { LogRun, MergeRequest, RunServices } from '../../../worker/state/run-services.js';
import { MemoryRunStorage, type RunOutput } from '../../../worker/state/run-storage.js';
import type { WrittenRun } from '../../../worker/state/run-writer.js';

const ALL = { start: 0, end: 16 };

function run(lengthBytes: number, part = 0): WrittenRun {
  const pieces = [new Uint8Array(lengthBytes)];
  return { pieces, lengthBytes, keyGroups: ALL, changes: lengthBytes, part };
}

interface PendingMerge {
  readonly request: MergeRequest;
  finish(lengthBytes: number): Promise<void>;
  fail(): void;
}

/** Merges that end when the test says so. */
class ManualMerges {
  readonly storage = new MemoryRunStorage();
  readonly pending: PendingMerge[] = [];

  services(layersMax: number): RunServices {
    return {
      layersMax,
      storage: this.storage,
      nextTurn: () => Promise.resolve(),
      merger: {
        merge: (request) =>
          new Promise<readonly LogRun[]>((resolve, reject) => {
            this.pending.push({
              request,
              finish: async (lengthBytes) => {
                const name = `${request.output}-0`;
                await Promise.resolve();
                this.storage.put(name, new Uint8Array(lengthBytes));
                resolve([{ name, keyGroups: ALL, lengthBytes, changes: lengthBytes, part: 0 }]);
              },
              fail: () => reject(new MillraceError('STORAGE_UNAVAILABLE', 'no space; free some')),
            });
          }),
      },
    };
  }

  log(layersMax = 16, services = this.services(layersMax), buffers = new RunBuffers()): RunLog {
    return new RunLog({
      ...services,
      buffers,
      operator: 'o',
      keyGroups: ALL,
      maxParallelism: 16,
      name: 'o',
      states: () => [],
      now: () => 0,
      completeUntil: () => 5,
    });
  }

  async next(): Promise<PendingMerge> {
    for (;;) {
      const merge = this.pending.shift();
      if (merge !== undefined) return merge;
      await new Promise(setImmediate);
    }
  }
}

test('a merged layer takes the place of its inputs, which go when nobody holds them', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  log.append(1, run(1000));
  (await log.hold(1)).release();
  log.append(2, run(1000));
  const held = await log.hold(2);
  const merge = await merges.next();
  t.true(merge.request.toBase);
  t.is(merge.request.completeUntil, 5);
  // A younger run comes while the merge is at work.
  log.append(3, run(10));
  await merge.finish(900);
  await log.settled();
  t.deepEqual(
    log.runs().map(({ lengthBytes }) => lengthBytes),
    [900, 10],
  );
  t.deepEqual(
    held.runs.map((one) => held.open(one).lengthBytes),
    [1000, 1000],
  );
  t.is(merges.storage.names().length, 4);
  held.release();
  t.is(merges.storage.names().length, 2);
  await log.close();
  t.deepEqual(merges.storage.names(), []);
});

test('a checkpoint waits until there are few enough layers', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log(2);
  for (const [index, bytes] of [100_000, 1000, 30].entries()) log.append(index + 1, run(bytes));
  const holding = log.hold(3);
  const merge = await merges.next();
  t.deepEqual(
    merge.request.inputs.map(({ name }) => name),
    ['o-1', 'o-2'],
  );
  t.false(merge.request.toBase);
  await merge.finish(1030);
  const held = await holding;
  t.deepEqual(
    held.runs.map(({ lengthBytes }) => lengthBytes),
    [100_000, 1030],
  );
});

test('a merge that fails fails the checkpoint that needs it, and is tried again', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log(1);
  log.append(1, run(1000));
  log.append(2, run(10));
  const holding = log.hold(2);
  (await merges.next()).fail();
  await t.throwsAsync(holding, { code: 'STORAGE_UNAVAILABLE' });
  const again = log.hold(3);
  await (await merges.next()).finish(1000);
  t.is((await again).runs.length, 1);
});

test('a run that could not be stored is stored for the next checkpoint', async (t) => {
  const merges = new ManualMerges();
  const services = merges.services(16);
  let full = true;
  const log = merges.log(16, {
    ...services,
    storage: {
      open: (name) => merges.storage.open(name),
      remove: (name) => merges.storage.remove(name),
      create: (name) =>
        full
          ? Promise.reject(new MillraceError('STORAGE_UNAVAILABLE', 'no space; free some'))
          : merges.storage.create(name),
    },
  });
  log.append(1, run(1000));
  await t.throwsAsync(log.hold(1), { code: 'STORAGE_UNAVAILABLE' });
  full = false;
  log.append(2, run(10));
  const held = await log.hold(2);
  t.deepEqual(
    held.runs.map((one) => held.open(one).lengthBytes),
    [1000, 10],
  );
});

test('lists of several subtasks make as many layers as the longest', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  const restored = (name: string, start: number, end: number) => ({
    name,
    keyGroups: { start, end },
    lengthBytes: 1,
    changes: 1,
    part: 0,
  });
  log.restore([
    [restored('a0', 0, 4), restored('a1', 4, 8), restored('a2', 0, 8)],
    [restored('b0', 8, 16), restored('b1', 8, 16), restored('b2', 8, 16)],
  ]);
  t.is(log.layerCount, 3);
  t.deepEqual(
    log.runs().map(({ name }) => name),
    ['a0', 'a1', 'b0', 'a2', 'b1', 'b2'],
  );
  await log.close();
});

test('a log that is closed during a merge keeps the inputs until its end', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  log.append(1, run(100));
  log.append(2, run(100));
  (await log.hold(2)).release();
  const merge = await merges.next();
  await log.close();
  t.is(merges.storage.names().length, 2);
  await merge.finish(100);
  await log.settled();
  t.deepEqual(merges.storage.names(), []);
});

test('what is held is merged as it was held, whatever is appended meanwhile', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  log.append(1, run(1000));
  const held = await log.hold(1);
  log.append(1, run(10, 1));
  log.append(1, run(10));
  const merging = held.merged();
  const merge = await merges.next();
  t.deepEqual(
    merge.request.inputs.map(({ name }) => name),
    held.runs.map(({ name }) => name),
  );
  await merge.finish(1000);
  (await merging).release();
  held.release();
});

test('a merge counts though older layers were superseded while it ran', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  log.append(1, run(10_000));
  const first = log.append(2, run(100));
  for (let i = 0; i < 3; i++) log.append(2, run(100));
  (await log.hold(2)).release();
  t.is(merges.pending[0]?.request.inputs.length, 4);
  log.supersedeBefore(first);
  t.is(log.layerCount, 4);
  await merges.pending[0]?.finish(350);
  await log.settled();
  t.is(log.layerCount, 1);
  t.is(merges.storage.names().length, 1);
  await log.close();
});

test('what is written as one is one layer, for a restore too; what comes during its merge is another', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  for (let part = 0; part < 5; part++) log.append(1, run(100, part));
  t.is(log.layerCount, 1);
  (await log.hold(1)).release();
  t.is(merges.pending.length, 0);
  const restored = merges.log();
  restored.restore([
    log.runs().map((held, part) => ({ ...held, keyGroups: ALL, changes: 1, part })),
  ]);
  t.is(restored.layerCount, 1);
  log.append(2, run(600));
  const held = await log.hold(2);
  t.is(merges.pending.length, 1);
  log.append(3, run(1, 1));
  t.is(log.layerCount, 3);
  await merges.pending[0]?.finish(100);
  await log.settled();
  t.is(log.layerCount, 2);
  held.release();
  await log.close();
});

test('what a run says in full supersedes older ones, which go when nobody holds them', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  const old = log.append(1, run(100));
  const before = await log.hold(1);
  const first = log.append(2, run(60, 0));
  log.append(2, run(60, 1));
  log.append(3, run(1));
  log.supersedeBefore(first);
  t.is(log.layerCount, 2);
  const after = await log.hold(3);
  t.deepEqual(after.runs[0]?.name, first.name);
  t.is(after.runs.length, 3);
  t.true(merges.storage.names().includes(old.name));
  before.release();
  t.false(merges.storage.names().includes(old.name));
  log.supersedeBefore(old);
  t.is(log.layerCount, 2);
  after.release();
  await log.close();
});

test('a merge of what was superseded meanwhile changes nothing and leaves nothing', async (t) => {
  const merges = new ManualMerges();
  const log = merges.log();
  log.append(1, run(100));
  log.append(2, run(100));
  (await log.hold(2)).release();
  t.is(merges.pending.length, 1);
  const first = log.append(3, run(100));
  log.supersedeBefore(first);
  // It still reads them.
  const read = merges.pending[0]?.request.inputs.map(({ name }) => name);
  t.deepEqual(merges.storage.names().slice(0, 2), read);
  await merges.pending[0]?.finish(100);
  await log.settled();
  const held = await log.hold(3);
  t.deepEqual(merges.storage.names(), [first.name]);
  held.release();
  await log.close();
});

/** Writes that end when the test says so. */
class ManualWrites extends MemoryRunStorage {
  readonly pending: { readonly name: string; readonly finish: () => Promise<void> }[] = [];

  override async create(name: string): Promise<RunOutput> {
    const output = await super.create(name);
    const append: RunOutput['append'] = (pieces) =>
      new Promise((resolve, reject) => {
        const finish = async (): Promise<void> => {
          await output.append(pieces).then(resolve, reject);
          await new Promise(setImmediate);
        };
        this.pending.push({ name, finish });
      });
    return { ...output, append };
  }

  async next(): Promise<{ readonly name: string; readonly finish: () => Promise<void> }> {
    for (;;) {
      const write = this.pending.shift();
      if (write !== undefined) return write;
      await new Promise(setImmediate);
    }
  }
}

test('a run of a later checkpoint is stored once, though an earlier one waits for its own', async (t) => {
  const merges = new ManualMerges();
  const storage = new ManualWrites();
  const buffers = new RunBuffers();
  const log = merges.log(16, { ...merges.services(16), storage }, buffers);
  log.append(1, { ...run(0), pieces: [buffers.take()] });
  const given = log.hold(1);
  log.append(2, { ...run(0), pieces: [buffers.take()] });
  await (await storage.next()).finish();
  const second = await storage.next();
  t.is(storage.pending.length, 0);
  await second.finish();
  await t.throwsAsync(given, { code: 'CHECKPOINT_FAILED' });
  (await log.hold(2)).release();
  t.is(storage.pending.length, 0);
  const spares = [buffers.take(), buffers.take(), buffers.take()];
  t.is(new Set(spares.map(({ buffer }) => buffer)).size, 3);
  await log.close();
});

test('a run that is superseded before it is stored leaves nothing', async (t) => {
  const merges = new ManualMerges();
  const storage = new ManualWrites();
  const log = merges.log(16, { ...merges.services(16), storage });
  log.append(1, run(100));
  log.append(2, run(100));
  const first = log.append(3, run(100));
  const being = await storage.next();
  log.supersedeBefore(first);
  await being.finish();
  const holding = log.hold(3);
  const next = await storage.next();
  t.is(next.name, first.name);
  await next.finish();
  (await holding).release();
  t.deepEqual(storage.names(), [first.name]);
  await log.close();
});
