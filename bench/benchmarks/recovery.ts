/**
 * A worker is killed with kill -9 under load, with a million keys, while a spare one stands by. The
 * times run from the kill to the first record that a sink of the next attempt takes, by its own trace,
 * and to the first second of normal output.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BenchCluster } from '../bench-cluster.js';
import { atMost, withFigureRatios } from '../figures.js';
import type { FlinkBuild } from '../flink-build.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_RECOVERY } from '../flink-jobs.js';
import { STATE_USERS, type RunningSums } from '../jobs/rolling-state.js';
import { machineMs } from '../jobs/tally-sink.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { runRawLoop } from '../raw-loop.js';
import { firstRecordMs, latestAttempt, normalAgainMs, readTallies, takenAt } from '../tallies.js';
import { unlessVoid } from '../unless-void.js';
import { proveCounts } from './state.js';
import { checkSums, others } from './throughput.js';

const SHAPE = { workers: 2, slots: 1 };
const RECOVERY_MS_MAX = 2000;
/** Flink finds out that a worker is gone when its heartbeats give up, after 50 s. */
const GIVE_UP_MS = 180_000;
const POLL_MS = 20;
/** After all keys have come: one may have been under way before. */
const CHECKPOINTS_MIN = 2;

/** What the course needs of a cluster beyond the measuring. */
interface Course {
  readonly cluster: MeasuredCluster;
  readonly jobId: string;
  /** Checkpoints that have completed by now. */
  readonly completed: () => Promise<number>;
  readonly addSpare: () => Promise<unknown>;
  /** Kills a worker on which the job runs. */
  readonly kill: () => void;
  /** @throws Error when the job does not run, or was restarted more than once */
  readonly checkRestarted: () => Promise<void>;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = machineMs() + GIVE_UP_MS;
  while (!(await holds())) {
    if (machineMs() > deadlineMs) throw new Error(`recovery: waited in vain until ${what}`);
    await delay(POLL_MS);
  }
}

async function runCourse(
  title: string,
  { seconds, warmUpSeconds, note }: RunOptions,
  course: Course,
) {
  const { cluster, jobId, completed } = course;
  const { tallyFolder } = cluster;
  note(`${title}: kill -9 of a worker under load, then ${seconds} s more`);
  await cluster.watch(warmUpSeconds);
  await until('all keys have come', async () => {
    return (await takenAt(tallyFolder, machineMs())) >= STATE_USERS;
  });
  await course.addSpare();
  const before = await completed();
  await until('checkpoints complete', async () => (await completed()) >= before + CHECKPOINTS_MIN);
  await cluster.checkRunning(jobId);
  const attempt = await latestAttempt(tallyFolder);
  const killedMs = machineMs();
  course.kill();
  let firstMs = NaN;
  await until('a record comes back', async () => {
    firstMs = (await firstRecordMs(tallyFolder, attempt + 1)) ?? NaN;
    return !Number.isNaN(firstMs);
  });
  let normalMs = NaN;
  await until('output is normal', async () => {
    normalMs = (await normalAgainMs(tallyFolder, killedMs)) ?? NaN;
    return !Number.isNaN(normalMs);
  });
  const load = await cluster.watch(seconds);
  await course.checkRestarted();
  await cluster.stop(jobId);
  const proof = proveCounts(await readTallies<RunningSums>(tallyFolder));
  await cluster.close();
  checkSums(title, proof, (await runRawLoop('state', proof.counts)).sums);
  return {
    benchmark: 'recovery',
    topology: '2x1, one spare',
    records: proof.counts.reduce((sum, count) => sum + count, 0),
    checksum: proof.checksum,
    rssBytesMax: load.rssBytesMax,
    ...others(load),
    figures: { firstRecordMs: firstMs - killedMs, normalOutputMs: normalMs - killedMs },
  };
}

function measureOurs(options: RunOptions): Promise<Measurement> {
  return BenchCluster.with(SHAPE, async (cluster) => {
    const [victim] = cluster.workers;
    const jobId = await cluster.submit('recovery.ts');
    const measured = await runCourse('recovery millrace', options, {
      cluster,
      jobId,
      completed: async () => (await cluster.client.checkpoints(jobId)).counts.completed,
      addSpare: () => cluster.cluster.addWorker(),
      kill: () => victim?.kill('SIGKILL'),
      checkRestarted: () => cluster.checkRunning(jobId, 1),
    });
    const text = `first record within ${RECOVERY_MS_MAX} ms`;
    const target = atMost(text, measured.figures, { firstRecordMs: RECOVERY_MS_MAX });
    return { engine: 'millrace', ...measured, target };
  });
}

/** It may restart more than once until it no longer deploys to the worker that is gone. */
function measureFlink(build: FlinkBuild, options: RunOptions): Promise<Measurement> {
  const { stateBackend } = FLINK_RECOVERY;
  return FlinkCluster.with({ build, ...SHAPE, stateBackend, restarts: true }, async (cluster) => {
    const jobId = await cluster.submit(FLINK_RECOVERY);
    const measured = await runCourse('recovery flink', options, {
      cluster,
      jobId,
      completed: async () => (await cluster.latestCheckpoint(jobId))?.id ?? 0,
      addSpare: () => cluster.addWorker(),
      kill: () => cluster.killWorker(),
      checkRestarted: () => cluster.checkRunning(jobId),
    });
    return { engine: 'flink', engineVersion: build.version, ...measured };
  });
}

export const recovery: Benchmark = {
  name: 'recovery',
  description:
    'kill -9 of a worker under load with 1 M keys, until the first record after the restore, and to normal output',
  seconds: 3,
  run: async (options) => {
    const ours = await measureOurs(options);
    const build = options.flink;
    if (build === undefined) return [ours];
    const flink = await unlessVoid('recovery flink', options.note, () =>
      measureFlink(build, options),
    );
    return [withFigureRatios(ours, flink), ...(flink === undefined ? [] : [flink])];
  },
};
