/** Runs as files: what is written is read, and what the disk does is told. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FileRunStorage } from '../../worker/file-run-storage.js';
import { MergePool } from '../../worker/merge-pool.js';
import { StateFolder } from '../../worker/state-folder.js';
import { joined, MemoryRunStorage, writeRun } from '../../worker/state/run-storage.js';
import { smallTmpfs, tmpfsAvailability } from '../storage/small-tmpfs.js';

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-runs-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

for (const [name, open] of [
  ['memory', () => Promise.resolve(new MemoryRunStorage())],
  ['files', async (t) => FileRunStorage.open(path.join(await temporary(t), 'slot-0'))],
] as const satisfies readonly (readonly [string, (t: ExecutionContext) => unknown])[]) {
  test(`${name}: a run is read in pieces until it is removed`, async (t) => {
    const storage = await open(t);
    const run = 'restored-0-16-jobs/j/chk-1/per user/日本-0-keyed-0';
    const whole = Uint8Array.from({ length: 1000 }, (_, i) => i & 255);
    await writeRun(storage, run, [whole.subarray(0, 300), whole.subarray(300)]);
    const bytes = storage.open(run);
    t.is(bytes.lengthBytes, 1000);
    t.deepEqual([...bytes.read(254, 4)], [254, 255, 0, 1]);
    t.deepEqual([...bytes.read(1000, 0)], []);
    t.deepEqual(joined(bytes.pieces()), whole);
    // An open run can still be read.
    await storage.remove(run);
    t.is(bytes.read(0, 1000).length, 1000);
    bytes.close();
    t.throws(() => storage.open(run));
    await storage.remove(run);
  });
}

test('a run that ends while it is read, or is not there, is told by its path', async (t) => {
  const folder = await temporary(t);
  const storage = await FileRunStorage.open(folder);
  await writeRun(storage, 'r', [new Uint8Array(100)]);
  const bytes = storage.open('r');
  const [file = ''] = await readdir(folder);
  await truncate(path.join(folder, file), 50);
  t.throws(() => bytes.read(0, 100), {
    code: 'STORAGE_UNAVAILABLE',
    message: /\.run ended after 50/,
  });
  bytes.close();
  t.throws(() => storage.open('other'), { code: 'STORAGE_UNAVAILABLE', message: /\.run: / });
});

test('a folder that can not be made fails at once', async (t) => {
  const folder = await temporary(t);
  await writeFile(path.join(folder, 'file'), '');
  const error = {
    code: 'STORAGE_UNAVAILABLE',
    message: /a part of the path is a file|folder should be/,
  };
  await t.throwsAsync(FileRunStorage.open(path.join(folder, 'file', 'slot-0')), error);
  await t.throwsAsync(StateFolder.open(path.join(folder, 'file')), error);
  const storage = new FileRunStorage(path.join(folder, 'gone'));
  await t.throwsAsync(writeRun(storage, 'r', [new Uint8Array(1)]), { code: 'STORAGE_UNAVAILABLE' });
});

const tmpfs = tmpfsAvailability();
if (tmpfs.available) {
  test('a data folder that can only be read is named', async (t) => {
    const folder = smallTmpfs(t, 1024 * 1024);
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const error = await t.throwsAsync(StateFolder.open(path.join(folder, 'state')), {
      code: 'STORAGE_UNAVAILABLE',
      message: /the file system is read-only .*; choose a folder that can be written/,
    });
    t.true(error?.message.includes(folder));
  });
} else {
  test.skip(`a data folder that can only be read is named: ${tmpfs.reason}`, () => undefined);
}

test('what dead processes left is removed, and nothing of living ones', async (t) => {
  const root = await temporary(t);
  const left = path.join(root, '4194304_1b2_somewhere@abc');
  const dead = path.join(root, `4194304_1b2_${encodeURIComponent(hostname())}@abc`);
  for (const folder of [left, dead, path.join(root, 'notes')]) {
    await mkdir(path.join(folder, 'slot-0'), { recursive: true });
    await writeFile(path.join(folder, 'slot-0', 'x.run'), 'x');
  }
  const first = await StateFolder.open(root);
  const second = await StateFolder.open(root);
  const slot = first.nextSlot();
  t.not(slot, first.nextSlot());
  await writeRun(await FileRunStorage.open(slot), 'r', [new Uint8Array(1)]);
  const third = await StateFolder.open(root);
  const names = await readdir(root);
  t.is(names.length, 5);
  t.false(names.includes(path.basename(dead)));
  await first.removeSlot(slot);
  t.deepEqual(await readdir(path.dirname(slot)), []);
  for (const folder of [first, second, third]) await folder.close();
  t.is((await readdir(root)).length, 2);
});

test('what goes wrong in the merge thread is the reply', async (t) => {
  const folder = await temporary(t);
  const pool = new MergePool();
  t.teardown(() => pool.close());
  const keyGroups = { start: 0, end: 4 };
  const request = {
    operator: 'o',
    keyGroups,
    maxParallelism: 4,
    states: [],
    checkpointId: 1,
    inputs: [{ name: 'missing', keyGroups }],
    output: 'out',
    toBase: true,
    now: 0,
    completeUntil: 0,
  };
  const reply = await pool.merge({ folder, request });
  t.is('error' in reply ? reply.error.code : 'merged', 'STORAGE_UNAVAILABLE');
  const merged = await pool.merge({ folder, request: { ...request, inputs: [] } });
  t.is('runs' in merged ? merged.runs.length : -1, 1);
  t.is((await readdir(folder)).length, 1);
});
