/**
 * A worker is killed with kill -9 under load while a spare one stands by. The time runs from the
 * kill to the first record that a sink of the next attempt takes, by its own trace.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import { machineMs } from '../jobs/tally-sink.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { runRawLoop } from '../raw-loop.js';
import { firstRecordMs, latestAttempt, readTallies } from '../tallies.js';
import { proveSplitSums, splitSumsOf } from './passthrough.js';

const RECOVERY_MS_MAX = 3000;
const GIVE_UP_MS = 60_000;
const POLL_MS = 20;
const CHECKPOINTS_MIN = 3;

async function measure({ seconds, warmUpSeconds, note }: RunOptions): Promise<Measurement> {
  return BenchCluster.with({ workers: 2, slots: 1 }, async (cluster) => {
    note(`recovery: kill -9 of a worker after ${warmUpSeconds} s, then ${seconds} s more`);
    const jobId = await cluster.submit('passthrough.ts');
    await cluster.watch(warmUpSeconds);
    const spare = await cluster.cluster.addWorker();
    await completedCheckpoints(cluster, jobId, CHECKPOINTS_MIN);
    await cluster.checkRunning(jobId);
    const attempt = await latestAttempt(cluster.tallyFolder);
    const victim = cluster.workers.find((worker) => worker !== spare);
    if (victim === undefined) throw new Error('recovery: there is no worker to kill');
    const killedMs = machineMs();
    victim.kill('SIGKILL');
    let firstMs: number | undefined;
    while (firstMs === undefined) {
      if (machineMs() > killedMs + GIVE_UP_MS) throw new Error('recovery: no record came back');
      await delay(POLL_MS);
      firstMs = await firstRecordMs(cluster.tallyFolder, attempt + 1);
    }
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId, 1);
    await cluster.stop(jobId);
    const proof = proveSplitSums(await readTallies<SplitSums>(cluster.tallyFolder));
    await cluster.close();
    const raw = await runRawLoop('passthrough', proof.counts);
    if (!isDeepStrictEqual(splitSumsOf(raw.sums), proof.sums)) {
      throw new Error('recovery: records were lost or doubled; the tallies are not the input’s');
    }
    const recoveryMs = firstMs - killedMs;
    return {
      benchmark: 'recovery',
      topology: '2x1, one spare',
      engine: 'millrace',
      records: proof.counts.reduce((sum, count) => sum + count, 0),
      checksum: proof.checksum,
      rssBytesMax: load.rssBytesMax,
      foreignCores: load.foreignCores,
      noisy: load.noisy,
      figures: { firstRecordMs: recoveryMs },
      target: {
        text: `first record within ${RECOVERY_MS_MAX} ms`,
        met: recoveryMs < RECOVERY_MS_MAX,
      },
    };
  });
}

async function completedCheckpoints(
  cluster: BenchCluster,
  jobId: string,
  least: number,
): Promise<void> {
  const deadlineMs = machineMs() + GIVE_UP_MS;
  for (;;) {
    const { counts } = await cluster.client.checkpoints(jobId);
    if (counts.completed >= least) return;
    if (machineMs() > deadlineMs) throw new Error('recovery: no checkpoints complete');
    await delay(POLL_MS);
  }
}

export const recovery: Benchmark = {
  name: 'recovery',
  description: 'kill -9 of a worker under load, until the first record after the restore',
  seconds: 3,
  run: async (options) => [await measure(options)],
};
