/** What connectors have named, as series of a worker that jobs of different authors share. */
import test from 'ava';
import { Registry } from 'prom-client';
import { OperatorMetrics } from '../../worker/operator-metrics.js';
import type { MetricReport } from '../../worker/operators/operator-metric-group.js';

const counter = (name: string, value: number): MetricReport => ({ kind: 'counter', name, value });
const gauge = (name: string, value: number): MetricReport => ({ kind: 'gauge', name, value });
const labelsOf = (job: string) => ({ job, operator: 'in', subtask: '0' });

function open() {
  const registry = new Registry();
  const metrics = new OperatorMetrics(registry);
  /** Of the page, without comments. */
  const lines = async (): Promise<readonly string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return { metrics, lines };
}

test('counters grow by what is new in each attempt, gauges go with theirs', async (t) => {
  const { metrics, lines } = open();
  const labels = labelsOf('j');
  metrics.record('j#1', labels, [counter('bytes_in', 10), gauge('pending_records', 4)]);
  metrics.record('j#1', labels, [counter('bytes_in', 15), gauge('pending_records', 3)]);
  const shown = '{job="j",operator="in",subtask="0"}';
  t.deepEqual(await lines(), [
    `millrace_operator_bytes_in_total${shown} 15`,
    `millrace_operator_pending_records${shown} 3`,
  ]);
  metrics.removeAttempt('j#1');
  metrics.record('j#2', labels, [counter('bytes_in', 2), counter('bytes_in', NaN)]);
  t.deepEqual(await lines(), [`millrace_operator_bytes_in_total${shown} 17`]);
});

test('durations are counted in buckets of seconds', async (t) => {
  const { metrics, lines } = open();
  const seconds = (values: readonly number[]): MetricReport[] => [
    { kind: 'histogram', name: 'commit_seconds', values },
  ];
  metrics.record('j#1', labelsOf('j'), seconds([0.02, 0.03]));
  metrics.record('j#1', labelsOf('j'), seconds([]));
  metrics.record('j#1', labelsOf('j'), seconds([0.02, NaN]));
  const page = (await lines()).map((line) => line.replace(/job.*subtask="0"/, ''));
  t.true(page.includes('millrace_operator_commit_seconds_bucket{le="0.025",} 2'), String(page));
  t.true(page.includes('millrace_operator_commit_seconds_count{} 3'));
});

test('a job can neither take the name of another job for another kind, nor use up all names', async (t) => {
  const { metrics, lines } = open();
  metrics.record('a#1', labelsOf('a'), [gauge('x_seconds', 1)]);
  metrics.record('b#1', labelsOf('b'), [
    { kind: 'histogram', name: 'x_seconds', values: [2] },
    ...Array.from({ length: 300 }, (_, index) => counter(`c${index}`, 1)),
    gauge('x_seconds', 3),
  ]);
  const page = await lines();
  t.is(page.length, 2 + 255);
  t.true(page.includes('millrace_operator_x_seconds{job="b",operator="in",subtask="0"} 3'));
});
