/** Commands that overtake each other in the task executor. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { pino } from 'pino';
import { BUNDLE_MANIFEST } from '../../core/bundle.js';
import { BundleLoader } from '../../worker/bundle-loader.js';
import { ExchangeServer } from '../../worker/network/exchange-server.js';
import type { Report } from '../../worker/session-client.js';
import { TaskExecutor } from '../../worker/task-executor.js';
import { WorkerMetrics } from '../../worker/worker-metrics.js';
import { exampleFiles } from '../bundle-fixture.js';
import { ManualClock } from '../manual-clock.js';

test('an attempt that is canceled while its bundle is being read never starts a slot', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-executor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(
    path.join(folder, BUNDLE_MANIFEST),
    exampleFiles().get(BUNDLE_MANIFEST) ?? new Uint8Array(),
  );
  const clock = new ManualClock();
  let reported: (report: Report) => void = () => undefined;
  const report = new Promise<Report>((resolve) => (reported = resolve));
  class LoadedBundles extends BundleLoader {
    override load(): Promise<string> {
      return Promise.resolve(folder);
    }
  }
  const executor = new TaskExecutor({
    workerId: 'w1',
    slots: 1,
    clock,
    log: pino({ enabled: false }),
    bundles: new LoadedBundles(folder, () => Promise.reject(new Error('nothing to fetch'))),
    exchange: new ExchangeServer(clock),
    scoring: { score: () => Promise.reject(new Error('nothing to score')) },
    state: { nextSlot: () => folder, removeSlot: () => Promise.resolve() },
    merges: { merge: () => Promise.reject(new Error('nothing to merge')) },
    metrics: new WorkerMetrics(() => clock.now()),
    metricsIntervalMs: 1000,
    slotHeapMb: undefined,
    report: (value) => reported(value),
    onReleased: () => undefined,
    onLeaveGranted: () => undefined,
    rssBytes: () => 0,
  });
  const attempt = { jobId: 'j', attempt: 1, epoch: 1 };
  executor.execute({
    $case: 'deploySlot',
    value: {
      attempt,
      slice: 0,
      bundleId: 'b',
      parallelism: 1,
      slices: [{ workerId: 'w1', dataAddress: 'localhost:1' }],
      restore: undefined,
      checkpointStorage: `file:${folder}`,
    },
  });
  // Past the load, and before any file is read.
  for (let i = 0; i < 5; i++) await Promise.resolve();
  executor.execute({ $case: 'cancelAttempt', value: { jobId: 'j', attempt: 1 } });
  t.deepEqual(await report, {
    $case: 'slotState',
    value: { attempt, slice: 0, released: true, failure: undefined },
  });
  t.is(executor.usedSlots, 0);
});
