import test from 'ava';
import type { CliContext } from '../../../cli/cli-context.js';
import { createLiveView } from '../../../cli/demo/live-view.js';
import { progressOf } from './demo-progress-fixture.js';

function contextWith(lines: string[]): CliContext {
  return {
    workingFolder: '/',
    defaultCluster: undefined,
    environment: {},
    terminal: undefined,
    color: false,
    clock: { now: () => 0, monotonic: () => 0, setTimer: () => () => undefined },
    interrupted: new AbortController().signal,
    print: (text) => lines.push(text),
    note: (text) => lines.push(text),
  };
}

test('elsewhere than on a terminal there is a plain line now and then, and one per event', (t) => {
  const lines: string[] = [];
  const view = createLiveView(contextWith(lines), { quiet: false });
  view.show(progressOf());
  view.show(progressOf({ elapsedMs: 100 }));
  view.show(
    progressOf({
      elapsedMs: 200,
      alerts: 2,
      latestAlerts: [{ user: 'u-1', severity: 'high', reason: '5 purchases within 60 s' }],
    }),
  );
  view.event('killed worker-1');
  view.close();
  t.deepEqual(lines, [
    'RUNNING: 1,000 events/s, watermark 00:00:00 (skew 1.5 s); records: transactions 1,234\n',
    'alerts: 2, such as u-1: 5 purchases within 60 s\n',
    'killed worker-1\n',
  ]);
});

test('a quiet view says nothing', (t) => {
  const lines: string[] = [];
  const view = createLiveView(contextWith(lines), { quiet: true });
  view.show(progressOf());
  view.event('something');
  view.close();
  t.deepEqual(lines, []);
});
