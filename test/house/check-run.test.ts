/** The test command's steps, run as real processes: what is counted, what is shown, what is skipped. */
import test from 'ava';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckStep } from '../runner/check-step.js';
import { runCheck, summaryLine } from '../runner/check-run.js';
import { removeStaleOutput } from '../runner/stale-output.js';

const TIMEOUT_MS = 60_000;

function step(name: string, script: string, timeoutMs = TIMEOUT_MS): CheckStep {
  return { name, command: ['node', '-e', script], timeoutMs };
}

const good = step('good', '');
const bad = step('bad', "console.error('the reason'); process.exit(3)");
const tests = step(
  'tests',
  "console.log('  ✔ a\\n  - [skip] b: no etcd\\n  ─\\n\\n  1 test passed\\n  1 test skipped')",
);

test('each step counts as one beside the tests, and the summary comes last', async (t) => {
  const lines: string[] = [];
  const totals = await runCheck({ build: [good], rules: [good, good], tests }, (line) => {
    lines.push(line);
  });
  t.deepEqual(totals, { passed: 4, failed: 0, skipped: 1 });
  t.is(lines.at(-1), '4 passed, 0 failed, 1 skipped');
  t.true(lines.includes('skipped: b: no etcd'));
});

test('a step that fails is counted and its output shown; the rest still runs', async (t) => {
  const lines: string[] = [];
  const totals = await runCheck({ build: [good], rules: [bad, good], tests }, (line) => {
    lines.push(line);
  });
  t.deepEqual(totals, { passed: 3, failed: 1, skipped: 1 });
  t.true(lines.includes('the reason'));
});

test('tests are skipped, and that is said, when the code does not compile', async (t) => {
  const lines: string[] = [];
  const totals = await runCheck({ build: [bad], rules: [good], tests }, (line) => {
    lines.push(line);
  });
  t.deepEqual(totals, { passed: 1, failed: 1, skipped: 1 });
  t.true(lines.includes('skipped: tests, because the code does not compile'));
});

test('programs for the tests are brought before them, and count for nothing', async (t) => {
  const lines: string[] = [];
  const programs = [
    step('server', ''),
    step('other server', "console.log('no go'); process.exit(1)"),
  ];
  const totals = await runCheck({ programs, build: [good], rules: [], tests }, (line) => {
    lines.push(line);
  });
  t.deepEqual(totals, { passed: 2, failed: 0, skipped: 1 });
  t.regex(lines.join('\n'), /^ready: server .*\nmissing \(no go\): other server /m);
});

test('a step that hangs is ended and fails', async (t) => {
  const hangs = step('hangs', 'setInterval(() => {}, 1000)', 200);
  const totals = await runCheck({ build: [hangs], rules: [], tests }, () => undefined);
  t.is(totals.failed, 1);
});

test('a program that is not there fails its step', async (t) => {
  const missing: CheckStep = {
    name: 'missing',
    command: ['/no/such/program'],
    timeoutMs: TIMEOUT_MS,
  };
  const totals = await runCheck({ build: [good], rules: [missing], tests }, () => undefined);
  t.is(totals.failed, 1);
});

test('the summary leaves out what is not there', (t) => {
  t.is(summaryLine({ passed: 7, failed: 2, skipped: 0 }), '7 passed, 2 failed');
});

test('compiled files without a source are removed, others stay', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-stale-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'core'));
  mkdirSync(join(root, 'dist/core/inner'), { recursive: true });
  writeFileSync(join(root, 'core/kept.ts'), '');
  for (const name of ['kept.js', 'kept.d.ts', 'gone.js', 'gone.js.map', 'inner/gone.test.js']) {
    writeFileSync(join(root, 'dist/core', name), '');
  }
  const removed = removeStaleOutput(root, join(root, 'dist'), 'core');
  t.deepEqual(removed.sort(), ['core/gone.js', 'core/gone.js.map', 'core/inner/gone.test.js']);
  t.true(existsSync(join(root, 'dist/core/kept.js')));
  t.true(existsSync(join(root, 'dist/core/kept.d.ts')));
});
