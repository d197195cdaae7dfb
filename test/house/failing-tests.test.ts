/**
 * The test command with real tests that fail in every awkward way, run by the real ava: each must be
 * shown with title and message, none may end the run, and the counts must be true.
 */
import test from 'ava';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runCheck } from '../runner/check-run.js';

const TIMEOUT_MS = 10 * 60_000;

const FAILING = `
import test from 'ava';
import { readdir } from 'node:fs';

function awkward(message, stack) {
  const error = new Error(message, { cause: { nested: [undefined, { deep: undefined }] } });
  return Object.assign(error, { stack, location: undefined, details: { operator: undefined } });
}

test('undefined properties', () => {
  throw Object.assign(new Error('first reason'), { location: undefined, in: { a: undefined } });
});
test('a stack without frames', () => {
  throw awkward('second reason', 'Error: second reason');
});
test('no stack at all', () => {
  throw awkward('third reason', undefined);
});
test('a system error', (t) =>
  new Promise((_, reject) => readdir('/no/such/folder', reject)));
test('no error', () => Promise.reject(undefined));
test('a message of many lines', () => {
  throw new Error('fifth reason\\n  ✔ of passing\\n  ─\\n\\n  9 tests passed');
});
test('an assertion', async (t) => {
  await t.throwsAsync(Promise.reject(awkward('sixth reason', 'Error')), { message: 'other' });
});
test('a good one', (t) => t.pass());
test.skip('one that says why', (t) => t.pass());
`;

const LATE = `
import test from 'ava';
test('rejects when nobody looks', (t) => {
  void Promise.reject(Object.assign(new Error('late reason'), { stack: 'Error: late reason' }));
  t.pass();
});
`;

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-failing-'));
  mkdirSync(join(folder, 'test'));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const ava = { files: ['test/*.test.js'], workerThreads: false, timeout: '10m' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', ava }));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, 'test', `${name}.test.js`), text);
  }
  return folder;
}

test('no failure ends the run or hides, and the counts are true', async (t) => {
  const folder = folderOf({ failing: FAILING, late: LATE });
  t.teardown(() => rmSync(folder, { recursive: true }));
  const lines: string[] = [];
  const ava = join('node_modules', 'ava', 'entrypoints', 'cli.mjs');
  const tests = { name: 'tests', command: ['node', ava], timeoutMs: TIMEOUT_MS, folder } as const;
  const totals = await runCheck({ build: [], rules: [], tests }, (line) => lines.push(line));

  // Seven tests, the late rejection, and the file that it ended.
  t.deepEqual(totals, { passed: 2, failed: 9, skipped: 1 }, lines.join('\n'));
  t.is(lines.at(-1), '2 passed, 9 failed, 1 skipped');
  const shown = lines.join('\n');
  for (const title of [
    'undefined properties',
    'a stack without frames',
    'no stack at all',
    'a system error',
    'no error',
    'a message of many lines',
    'an assertion',
  ]) {
    t.true(
      lines.some((line) => line.startsWith('FAILED: ') && line.includes(title)),
      title,
    );
  }
  for (const reason of ['first', 'second', 'third', 'fifth', 'sixth', 'late']) {
    t.true(shown.includes(`${reason} reason`), reason);
  }
  t.regex(shown, /ENOENT/);
});
