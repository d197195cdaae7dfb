/** The counts of the test command against reports of every kind, whole and broken. */
import test from 'ava';
import { TapCounter } from '../runner/tap-counter.js';

function counterOf(report: string): TapCounter {
  const counter = new TapCounter();
  for (const line of report.split('\n')) counter.line(line);
  return counter;
}

const WHOLE = `TAP version 13
ok 1 - core › key-group › spreads
not ok 2 - core › codec › keeps NaN
  ---
    name: AssertionError
    message: 'not ok 3 - a line of the details'
  ...
ok 4 - storage › etcd › etcd tests did not run: no etcd # SKIP
# a comment

1..4
# tests 3
# pass 1
# skip 1
# fail 1
`;

test('passed, failed and skipped tests are counted', (t) => {
  const counter = counterOf(WHOLE);
  t.deepEqual(counter.counts(1), { passed: 1, failed: 1, skipped: 1 });
  t.deepEqual(counter.skipped, ['storage › etcd › etcd tests did not run: no etcd']);
  t.is(counter.failures[0]?.title, 'core › codec › keeps NaN');
  t.regex(counter.failures[0]?.details.join('\n') ?? '', /AssertionError/);
});

test('tests that a crashed file never reached are failures', (t) => {
  const report = WHOLE.replace('# fail 1', '# fail 5');
  t.is(counterOf(report).counts(1).failed, 5);
});

test('a report without its end is a failure, whatever the exit code', (t) => {
  const cut = 'TAP version 13\nok 1 - first\n';
  t.deepEqual(counterOf(cut).counts(0), { passed: 1, failed: 1, skipped: 0 });
  t.deepEqual(counterOf('').counts(0), { passed: 0, failed: 1, skipped: 0 });
});

test('an exit code that no failure explains is one', (t) => {
  const good = 'ok 1 - first\n1..1\n# tests 1\n# pass 1\n# fail 0\n';
  t.is(counterOf(good).counts(0).failed, 0);
  t.is(counterOf(good).counts(1).failed, 1);
  t.is(counterOf(good).counts(null).failed, 1);
});
