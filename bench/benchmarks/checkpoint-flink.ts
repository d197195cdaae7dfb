/**
 * Flink's checkpoints of a million keys in RocksDB: a full one, and incremental ones with 1 % of the
 * keys changed. They are asked for, since Flink takes its first one at a random time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { FlinkBuild } from '../flink-build.js';
import type { FlinkCheckpoint } from '../flink-client.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_CHECKPOINT } from '../flink-jobs.js';
import { STATE_USERS } from '../jobs/rolling-state.js';
import { machineMs } from '../jobs/tally-sink.js';
import type { Measurement } from '../measurement.js';
import { takenAt } from '../tallies.js';
import { others } from './throughput.js';

const GIVE_UP_MS = 120_000;
const POLL_MS = 100;

export interface FlinkCheckpointCourse {
  readonly hotKeys: number;
  readonly ratePerSecond: number;
  /** From one checkpoint to the next. */
  readonly intervalSeconds: number;
  /** Behind the full one and the one after it. */
  readonly changedCheckpoints: number;
  /** Records of the job, once what they left in state is proved. */
  readonly prove: (tallyFolder: string) => Promise<number>;
}

export async function measureFlinkCheckpoints(
  build: FlinkBuild,
  course: FlinkCheckpointCourse,
): Promise<Measurement> {
  const { hotKeys, ratePerSecond, intervalSeconds, changedCheckpoints, prove } = course;
  const { stateBackend } = FLINK_CHECKPOINT;
  return FlinkCluster.with({ build, workers: 1, slots: 2, stateBackend }, async (cluster) => {
    const jobId = await cluster.submit(FLINK_CHECKPOINT, { more: [hotKeys, ratePerSecond] });
    await until('all keys have come', async () => {
      return (await takenAt(cluster.tallyFolder, machineMs())) >= STATE_USERS;
    });
    const full = await nextCheckpoint(cluster, jobId);
    const load = await cluster.watch(intervalSeconds);
    const rewritten = await nextCheckpoint(cluster, jobId);
    const changed: FlinkCheckpoint[] = [];
    for (let round = 0; round < changedCheckpoints; round++) {
      await cluster.watch(intervalSeconds);
      changed.push(await nextCheckpoint(cluster, jobId));
    }
    await cluster.checkRunning(jobId);
    await cluster.stop(jobId);
    return {
      benchmark: 'checkpoint',
      topology: '1x2',
      engine: 'flink',
      engineVersion: build.version,
      records: await prove(cluster.tallyFolder),
      ...others(load),
      figures: figuresOf(full, rewritten, changed),
    };
  });
}

function figuresOf(
  full: FlinkCheckpoint,
  rewritten: FlinkCheckpoint,
  changed: readonly FlinkCheckpoint[],
): Readonly<Record<string, number>> {
  const changedMs = Math.max(...changed.map((one) => one.end_to_end_duration));
  const changedBytes = Math.max(...changed.map((one) => one.checkpointed_size));
  return {
    fullMs: full.end_to_end_duration,
    fullBytes: full.checkpointed_size,
    rewrittenMs: rewritten.end_to_end_duration,
    rewrittenBytes: rewritten.checkpointed_size,
    changedMs,
    changedBytes,
    msShare: changedMs / full.end_to_end_duration,
    bytesShare: changedBytes / full.checkpointed_size,
  };
}

/** Asks for a checkpoint and waits until it is complete. */
async function nextCheckpoint(cluster: FlinkCluster, jobId: string): Promise<FlinkCheckpoint> {
  const before = await cluster.latestCheckpoint(jobId);
  await cluster.triggerCheckpoint(jobId);
  let latest = before;
  await until('a checkpoint is complete', async () => {
    latest = await cluster.latestCheckpoint(jobId);
    return latest?.id !== before?.id;
  });
  if (latest === undefined) throw new Error('checkpoint flink: a checkpoint was lost');
  return latest;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = machineMs() + GIVE_UP_MS;
  while (!(await holds())) {
    if (machineMs() > deadlineMs) throw new Error(`checkpoint flink: waited in vain until ${what}`);
    await delay(POLL_MS);
  }
}
