/** Copies of checkpoint files on a worker: what is kept, for how long, and what is made of a bad one. */
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { StateFile } from '../../core/state-file.js';
import { BlobDigest } from '../../storage/blob-store.js';
import { FileRunStorage } from '../../worker/file-run-storage.js';
import { writeRun } from '../../worker/state/run-storage.js';
import { LocalCheckpoints } from '../../worker/local-checkpoints.js';
import { LocalRunCopies } from '../../worker/local-run-copies.js';
import { RunFetcher } from '../../worker/task/run-fetcher.js';
import { ManualClock } from '../manual-clock.js';
import { temporaryFolder } from '../temporary-folder.js';

const JOB = 'job';
const HOUR_MS = 3_600_000;

interface Place {
  readonly clock: ManualClock;
  readonly local: LocalCheckpoints;
  readonly slot: () => Promise<{
    readonly storage: FileRunStorage;
    readonly copies: LocalRunCopies;
  }>;
  readonly kept: () => Promise<readonly string[]>;
}

async function place(t: ExecutionContext): Promise<Place> {
  const root = await temporaryFolder(t);
  const clock = new ManualClock(1);
  const local = new LocalCheckpoints(path.join(root, 'checkpoints'), clock);
  let slots = 0;
  return {
    clock,
    local,
    slot: async () => {
      local.slotStarted(JOB);
      const storage = await FileRunStorage.open(path.join(root, `slot-${slots++}`));
      return { storage, copies: new LocalRunCopies(storage, local.folderOf(JOB)) };
    },
    kept: async () => (await readdir(local.folderOf(JOB)).catch((): string[] => [])).sort(),
  };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(`the run ${text}`);
}

function fileOf(key: string): StateFile {
  const digest = new BlobDigest();
  digest.update(bytesOf(key));
  return {
    operator: 'o',
    kind: 'keyed',
    key,
    ...digest.finish(),
    keyGroupStart: 0,
    keyGroupEnd: 8,
  };
}

test('only files of the latest completed checkpoint stay, and of those being taken', async (t) => {
  const { local, slot, kept } = await place(t);
  const { storage, copies } = await slot();
  const keep = async (key: string, checkpointId: number): Promise<void> => {
    await writeRun(storage, key, [bytesOf(key)]);
    await copies.keep(key, fileOf(key), checkpointId);
  };
  await keep('a', 1);
  await keep('b', 1);
  local.acknowledged(JOB, 1, [fileOf('a'), fileOf('b')]);
  await local.completed(JOB, 1);
  t.is((await kept()).length, 2);
  // Given up: nothing of it stays.
  await keep('c', 2);
  local.acknowledged(JOB, 2, [fileOf('a'), fileOf('c')]);
  await local.aborted(JOB, 2);
  t.is((await kept()).length, 2);
  // 'b' was merged away; the one after is being taken when it is known to be complete.
  await keep('d', 3);
  local.acknowledged(JOB, 3, [fileOf('a')]);
  local.acknowledged(JOB, 3, [fileOf('d')]);
  await keep('e', 4);
  await local.completed(JOB, 3);
  t.is((await kept()).length, 3);
  await local.completed(JOB, 3);
  const next = await slot();
  for (const [key, isKept] of [
    ['a', true],
    ['b', false],
    ['c', false],
    ['d', true],
  ] as const) {
    t.is(await next.copies.take(fileOf(key), `restored ${key}`), isKept, key);
  }
  await local.jobEnded(JOB);
  t.deepEqual(await kept(), []);
});

test('copies of a job that does not come back go after a while', async (t) => {
  const { clock, local, slot, kept } = await place(t);
  const { storage, copies } = await slot();
  await writeRun(storage, 'a', [bytesOf('a')]);
  await copies.keep('a', fileOf('a'), 1);
  local.slotEnded(JOB);
  clock.advance(1000);
  const back = await slot();
  t.true(await back.copies.take(fileOf('a'), 'restored'));
  clock.advance(HOUR_MS);
  t.is((await kept()).length, 1);
  local.slotEnded(JOB);
  clock.advance(HOUR_MS);
  while ((await kept()).length > 0) await new Promise(setImmediate);
  t.deepEqual(await kept(), []);
});

test('a copy that is not the file is not taken, and is fetched in its place', async (t) => {
  const damages: readonly ((copy: string) => Promise<void>)[] = [
    (copy) => truncate(copy, 3),
    (copy) => writeFile(copy, bytesOf('A')),
    (copy) => writeFile(copy, ''),
  ];
  for (const damage of damages) {
    const { local, slot, kept } = await place(t);
    const first = await slot();
    await writeRun(first.storage, 'a', [bytesOf('a')]);
    await first.copies.keep('a', fileOf('a'), 1);
    const [name = ''] = await kept();
    await damage(path.join(local.folderOf(JOB), name));
    const { storage, copies } = await slot();
    let fetched = 0;
    const fetcher = new RunFetcher({
      checkpointId: 7,
      storage: {
        read: ({ key }) => {
          fetched++;
          return Promise.resolve(bytesOf(key));
        },
        write: () => Promise.reject(new Error('nothing is written')),
      },
      runStorage: storage,
      local: copies,
    });
    const run = await fetcher.fetch(fileOf('a'));
    t.is(fetched, 1);
    t.deepEqual(new Uint8Array(await readFile(storage.pathOf(run.name))), bytesOf('a'));
    t.is(fetcher.localBytes, 0);
    t.is(fetcher.fetchedBytes, bytesOf('a').length);
    // What was fetched is there for the next one.
    const third = await slot();
    t.true(await third.copies.take(fileOf('a'), 'again'));
    t.is((await kept()).length, 1);
  }
});

test('where no copy can be made, all is fetched', async (t) => {
  const { local, slot } = await place(t);
  const { storage, copies } = await slot();
  await mkdir(path.dirname(local.folderOf(JOB)), { recursive: true });
  await writeFile(local.folderOf(JOB), 'a file is in the way');
  await writeRun(storage, 'a', [bytesOf('a')]);
  await copies.keep('a', fileOf('a'), 1);
  t.false(await copies.take(fileOf('a'), 'restored'));
});
