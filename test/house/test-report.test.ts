/** The counts of the test command against reports of every kind, whole and broken. */
import test from 'ava';
import { TestReport } from '../runner/test-report.js';

function reportOf(text: string): TestReport {
  const report = new TestReport();
  for (const line of text.split('\n')) report.line(line);
  return report;
}

const GOOD = `
  - [skip] storage › etcd › etcd tests did not run: no etcd
  ✔ core › key-group › spreads (1.2s)
    ℹ 31 ms from kill to record
  ✔ core › codec › keeps NaN
  ─

  2 tests passed
  1 test skipped
`;

const BAD = `
  - [skip] storage › etcd › etcd tests did not run: no etcd
  ✔ core › key-group › spreads (1.2s)
  ✘ [fail]: core › codec › keeps NaN a message of
  two lines
  ─

  core › codec › keeps NaN

  Error: thrown in anger
  ✔ a line of the details
  7 tests passed

  ─

  1 test failed
  1 test skipped
`;

test('passed and skipped tests are counted', (t) => {
  const report = reportOf(GOOD);
  t.deepEqual(report.counts(0), { passed: 2, failed: 0, skipped: 1 });
  t.deepEqual(report.skipped, ['storage › etcd › etcd tests did not run: no etcd']);
});

test('a failed test is counted once and shown whole, whatever its message holds', (t) => {
  const report = reportOf(BAD);
  t.deepEqual(report.counts(1), { passed: 1, failed: 1, skipped: 1 });
  t.deepEqual(report.failures, ['core › codec › keeps NaN a message of']);
  const shown = report.remarks.join('\n');
  t.regex(shown, /two lines/);
  t.regex(shown, /thrown in anger/);
  t.notRegex(shown, /spreads/);
});

test('signs without Unicode, and colours, are read the same', (t) => {
  const report = BAD.replaceAll('✔', '√').replaceAll('✘', '\u001B[31m×\u001B[39m');
  t.deepEqual(reportOf(report).counts(1), { passed: 1, failed: 1, skipped: 1 });
});

test('crashes, timeouts and tests that were never reached are failures', (t) => {
  const report = reportOf(`
  ✔ one
  Uncaught exception in test/a.test.js

  Error: late
  ✘ test/a.test.js exited with a non-zero exit code: 1
  ✘ 3 tests remaining in test/a.test.js

  ✘ Timed out while running tests

  2 tests were pending in test/b.test.js

  ◌ hangs
  ◌ hangs too

  ─

  1 test passed
  1 uncaught exception
  2 tests remained pending after a timeout
`);
  t.deepEqual(report.counts(1), { passed: 1, failed: 7, skipped: 0 });
  t.true(report.failures.includes('hangs too'));
});

test('a report without its end is a failure, whatever the exit code', (t) => {
  for (const end of ['2 tests passed', '─']) {
    const cut = GOOD.slice(0, GOOD.indexOf(`  ${end}`));
    t.deepEqual(reportOf(cut).counts(0), { passed: 2, failed: 1, skipped: 1 });
  }
  t.deepEqual(reportOf('').counts(0), { passed: 0, failed: 1, skipped: 0 });
});

test('passed tests that the closing count does not know of, or knows more of, are a failure', (t) => {
  t.is(reportOf(GOOD.replace('2 tests passed', '3 tests passed')).counts(0).failed, 1);
  t.is(reportOf(GOOD.replace('2 tests passed', '1 test passed')).counts(0).failed, 1);
});

test('an exit code that no failure explains is one', (t) => {
  t.is(reportOf(GOOD).counts(0).failed, 0);
  t.is(reportOf(GOOD).counts(1).failed, 1);
  t.is(reportOf(GOOD).counts(null).failed, 1);
});
