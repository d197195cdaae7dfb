/** Folders that can't be made: the true reason is told, though Node doesn't tell it by itself. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { createFolder } from '../../storage/create-folder.js';
import { temporaryFolder } from '../temporary-folder.js';
import { smallTmpfs, tmpfsAvailability } from './small-tmpfs.js';

test('a folder is made with what is missing above it', async (t) => {
  const root = await temporaryFolder(t);
  t.is(await createFolder(join(root, 'a', 'b')), join(root, 'a'));
  t.is(await createFolder(join(root, 'a', 'b')), undefined);
  t.true(existsSync(join(root, 'a', 'b')));
});

test('a file in the way is named', async (t) => {
  const root = await temporaryFolder(t);
  writeFileSync(join(root, 'file'), '');
  await t.throwsAsync(createFolder(join(root, 'file', 'b')), {
    code: 'STORAGE_UNAVAILABLE',
    message: /file\/b: .*; choose another folder/,
  });
});

const tmpfs = tmpfsAvailability();
if (tmpfs.available) {
  test('a read-only file system is named, however much of the path is missing', async (t) => {
    const root = smallTmpfs(t, 1024 * 1024);
    execFileSync('mount', ['-o', 'remount,ro', root]);
    for (const folder of [join(root, 'a'), join(root, 'a', 'b', 'c')]) {
      const error = await t.throwsAsync(createFolder(folder), {
        code: 'STORAGE_UNAVAILABLE',
        message: /the file system is read-only .*; choose a folder that can be written/,
      });
      t.true(error?.message.includes(folder));
    }
  });
} else {
  test.skip(`a read-only file system is named: ${tmpfs.reason}`, () => undefined);
}
