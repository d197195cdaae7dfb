import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { FileBlobStore } from '../../storage/file-blob-store.js';
import { testBlobStoreContract } from './blob-store-contract.js';
import { runUntilKilled } from './killed-process.js';
import { smallTmpfs, tmpfsAvailability } from './small-tmpfs.js';
import { temporaryFolder } from '../temporary-folder.js';

testBlobStoreContract(test, async (t) =>
  FileBlobStore.open(join(await temporaryFolder(t), 'new', 'blobs')),
);

const temporaries = (folder: string): Promise<readonly string[]> => readdir(join(folder, '.tmp'));

async function keysOf(store: FileBlobStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  return keys;
}

test('what a killed process left half written is never seen, and removed', async (t) => {
  const folder = await temporaryFolder(t);
  await runUntilKilled('blob-writer.js', [folder]);
  t.is((await temporaries(folder)).length, 1);
  const store = await FileBlobStore.open(folder);
  t.deepEqual(await temporaries(folder), []);
  t.deepEqual(await keysOf(store), []);
});

test('opening leaves alone what a living process is writing', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await FileBlobStore.open(folder);
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('first ');
    await FileBlobStore.open(folder);
    t.is((await temporaries(folder)).length, 1);
    yield Buffer.from('second');
  };
  await store.put('a', pieces());
  t.is(Buffer.from(await store.get('a')).toString(), 'first second');
  t.deepEqual(await temporaries(folder), []);
});

test('deleting the last blob of a folder removes the folder', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await FileBlobStore.open(folder);
  await store.put('job/chk-1/a', Buffer.from('x'));
  await store.put('job/chk-1/b', Buffer.from('x'));
  await store.delete('job/chk-1/a');
  t.true((await stat(join(folder, 'job', 'chk-1'))).isDirectory());
  await store.delete('job/chk-1/b');
  t.deepEqual(await readdir(folder), ['.tmp']);
});

test('any flipped bit and any cut of a file is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await FileBlobStore.open(folder);
  const handle = await store.put('a', Buffer.from('abcdefgh'));
  const path = join(folder, 'a');
  const whole = await readFile(path);
  for (let position = 0; position < whole.length; position += 1) {
    const flipped = Buffer.from(whole);
    flipped[position] = (flipped[position] ?? 0) ^ 0x80;
    for (const damaged of [flipped, whole.subarray(0, position)]) {
      await writeFile(path, damaged);
      const error = await t.throwsAsync(store.get('a', handle), { code: 'STORAGE_CORRUPT' });
      t.true(error.message.includes(path));
    }
  }
});

test('a folder that is a file is refused in words', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), '');
  const error = await t.throwsAsync(FileBlobStore.open(join(folder, 'file', 'blobs')), {
    code: 'STORAGE_UNAVAILABLE',
  });
  t.regex(error.message, /a part of the path is a file/);
});

const tmpfs = tmpfsAvailability();
if (tmpfs.available) {
  test('on a full disk a put fails by name, leaves nothing, and works once there is room', async (t) => {
    await fillAndRecover(t, smallTmpfs(t, 512 * 1024));
  });
} else {
  test.skip(`full disk under the blob store: ${tmpfs.reason}`, (t) => t.pass());
}

async function fillAndRecover(t: ExecutionContext, folder: string): Promise<void> {
  const store = await FileBlobStore.open(folder);
  const kept = await store.put('kept', Buffer.alloc(100 * 1024, 'k'));
  for (const options of [{}, { ifAbsent: true }]) {
    const error = await t.throwsAsync(store.put('job/large', Buffer.alloc(900 * 1024), options), {
      code: 'STORAGE_UNAVAILABLE',
    });
    t.true(error.message.includes(join(folder, 'job/large')));
    t.regex(error.message, /no space left on the device \(ENOSPC\); free some space/);
  }
  t.deepEqual(await temporaries(folder), []);
  t.deepEqual(await keysOf(store), ['kept']);
  await t.notThrowsAsync(store.get('kept', kept));
  await store.put('job/smaller', Buffer.alloc(300 * 1024));
  await rm(join(folder, 'kept'));
  t.deepEqual(await keysOf(store), ['job/smaller']);
}
