import test from 'ava';
import { OperatorMetricGroup } from '../../../worker/operators/operator-metric-group.js';

test('counters go on, gauges are asked, histograms give up what they hold', (t) => {
  const group = new OperatorMetricGroup('out');
  const sent = group.counter('sent');
  sent.inc();
  group.counter('sent').inc(4);
  let pending: number | undefined = 7;
  group.gauge('pending', () => pending);
  group.gauge('broken', () => {
    throw new Error('no');
  });
  const commits = group.histogram('commit_seconds');
  commits.update(0.5);
  const counter = { kind: 'counter', name: 'sent', value: 5 };
  t.deepEqual(group.report(), [
    counter,
    { kind: 'gauge', name: 'pending', value: 7 },
    { kind: 'histogram', name: 'commit_seconds', values: [0.5] },
  ]);
  pending = undefined;
  for (let value = 0; value < 5_000; value++) commits.update(value);
  const [, last] = group.report();
  t.deepEqual(group.report(), [counter, { ...last, values: [] }]);
  t.is(last?.kind === 'histogram' ? last.values.length : 0, 1_000);
});

test('names that are none, too many, or of another kind are refused by name', (t) => {
  const group = new OperatorMetricGroup('out');
  for (const name of ['', 'Sent', 'a-b', '_a', 'a__b', 'a_', '1a', 'ä', 'x'.repeat(65)]) {
    t.throws(() => group.counter(name), {
      message: /^JOB_INVALID: operator "out" .*lower-case letters/,
    });
  }
  group.counter('sent');
  t.throws(() => group.gauge('sent', () => 1), { message: /"sent": it is a counter/ });
  t.throws(() => group.histogram('size'), { message: /_seconds$/ });
  for (let more = 1; more < 32; more++) group.counter(`more_${more}`);
  t.notThrows(() => group.counter('more_31'));
  t.throws(() => group.counter('more_32'), { message: /it has 32 already/ });
});
