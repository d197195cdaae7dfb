/**
 * Checkpoints of a million keys: a full one against one with 1 % of the keys changed, how long the
 * barrier stops a task under load, and how long a job is away when its state comes back from copies
 * on the machine and when all of it has to be fetched.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckpointDetails } from '../../api/rest/checkpoint-dto.js';
import { BenchCluster } from '../bench-cluster.js';
import { withFigureRatios } from '../figures.js';
import { FAIL_FILE, keyOf } from '../jobs/checkpoint-pipeline.js';
import { STATE_USERS, type RunningSums } from '../jobs/rolling-state.js';
import { machineMs } from '../jobs/tally-sink.js';
import { SPLITS } from '../jobs/transactions.js';
import type { LoadWindow } from '../load-watch.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { firstRecordMs, latestAttempt, readTallies } from '../tallies.js';
import { unlessVoid } from '../unless-void.js';
import { measureFlinkCheckpoints } from './checkpoint-flink.js';
import { others } from './throughput.js';

/** 1 % of the keys. */
const HOT_KEYS = STATE_USERS / 100;
const PARALLELISM = 2;
/** All keys have come before the first checkpoint. */
const RATE_PER_SECOND = 100_000;
const CHANGED_CHECKPOINTS = 2;
/** As the job's own options have it. */
const INTERVAL_SECONDS = 20;
const SHARE_MAX = 0.1;
const SYNC_MS_MAX = 50;
const STATE_BYTES_MIN = 100_000_000;
const FETCHED_MS_MAX = 5000;
const LOCAL_MS_MAX = 2000;
const POLL_MS = 20;
const GIVE_UP_MS = 120_000;

type Completed = CheckpointDetails & { readonly durationMs: number };

function isCompleted(checkpoint: CheckpointDetails): checkpoint is Completed {
  return checkpoint.status === 'COMPLETED' && checkpoint.durationMs !== null;
}

/** Oldest first; without those of a stop. */
async function completedOf(cluster: BenchCluster, jobId: string): Promise<readonly Completed[]> {
  const { history } = await cluster.client.checkpoints(jobId);
  return history
    .filter(isCompleted)
    .filter(({ kind }) => kind === 'checkpoint')
    .reverse();
}

async function untilCompleted(
  cluster: BenchCluster,
  jobId: string,
  isEnough: (completed: readonly Completed[]) => boolean,
): Promise<readonly Completed[]> {
  const deadlineMs = machineMs() + GIVE_UP_MS;
  for (;;) {
    const completed = await completedOf(cluster, jobId);
    if (isEnough(completed)) return completed;
    if (machineMs() > deadlineMs) throw new Error('checkpoint: no checkpoints complete');
    await delay(POLL_MS);
  }
}

/** Ms from `cause` until each sink of the next attempt has taken a record, so that all state is there. */
async function msAway(cluster: BenchCluster, cause: () => Promise<void> | void): Promise<number> {
  const attempt = await latestAttempt(cluster.tallyFolder);
  const fromMs = machineMs();
  await cause();
  for (;;) {
    const firstMs = await firstRecordMs(cluster.tallyFolder, attempt + 1, PARALLELISM);
    if (firstMs !== undefined) return firstMs - fromMs;
    if (machineMs() > fromMs + GIVE_UP_MS) throw new Error('checkpoint: no record came back');
    await delay(POLL_MS);
  }
}

interface RestoredLine {
  readonly attempt: number;
  readonly localBytes: number;
  readonly fetchedBytes: number;
}

/** Where the state of an attempt came from, as the workers' logs say. */
async function restoredBytes(
  cluster: BenchCluster,
  attempt: number,
): Promise<Omit<RestoredLine, 'attempt'>> {
  const logs = path.join(cluster.folder, 'data', 'logs');
  const sum = { localBytes: 0, fetchedBytes: 0 };
  for (const name of await readdir(logs)) {
    for (const line of (await readFile(path.join(logs, name), 'utf8')).split('\n')) {
      if (!line.includes('restored keyed state')) continue;
      const restored = JSON.parse(line) as RestoredLine;
      if (restored.attempt !== attempt) continue;
      sum.localBytes += restored.localBytes;
      sum.fetchedBytes += restored.fetchedBytes;
    }
  }
  return sum;
}

/** @throws Error unless every record was counted once in its key's state */
async function prove(tallyFolder: string, hot: number): Promise<number> {
  const tallies = await readTallies<RunningSums>(tallyFolder);
  const records = Array.from({ length: SPLITS }, (_, split) =>
    tallies.reduce((total, { counts }) => total + (counts[split] ?? 0), 0),
  );
  const perKey = new Float64Array(STATE_USERS);
  records.forEach((count, split) => {
    for (let i = 0; i < count; i++) {
      const key = keyOf(split + i * SPLITS, hot);
      perKey[key] = (perKey[key] ?? 0) + 1;
    }
  });
  const expected = perKey.reduce((sum, count) => sum + (count * (count + 1)) / 2, 0);
  const actual = tallies.reduce((sum, tally) => sum + tally.sum, 0);
  if (actual !== expected) {
    throw new Error(`checkpoint: the counts in state come to ${actual}, not to ${expected}`);
  }
  return records.reduce((sum, count) => sum + count, 0);
}

function rowOf(topology: string, records: number, load: LoadWindow) {
  const engine = 'millrace' as const;
  return { benchmark: 'checkpoint', topology, engine, records, ...others(load) };
}

/** Where the million keys are, and the row's name for it. */
const PLACES = [
  { jobFile: 'checkpoint.ts', topology: '1x2' },
  { jobFile: 'checkpoint-rocksdb.ts', topology: '1x2, rocksdb' },
] as const;

async function measureSizes(
  { jobFile, topology }: (typeof PLACES)[number],
  { note }: RunOptions,
): Promise<readonly [sizes: Measurement, restores: Measurement]> {
  return BenchCluster.with({ workers: 1, slots: 2 }, async (cluster) => {
    note(`${jobFile}: a full one, then some with 1 % of the keys changed, then two restores`);
    const jobId = await cluster.submit(jobFile, {
      hot: String(HOT_KEYS),
      rate: String(RATE_PER_SECOND),
    });
    await untilCompleted(cluster, jobId, ({ length }) => length > 0);
    const load = await cluster.watch(1);
    // What the full one wrote in slices is merged after it, and comes as one base with the next.
    const [full, rewritten, ...changed] = await untilCompleted(
      cluster,
      jobId,
      ({ length }) => length >= 2 + CHANGED_CHECKPOINTS,
    );
    if (full === undefined || rewritten === undefined || full.checkpointedBytes < STATE_BYTES_MIN) {
      throw new Error('checkpoint: the first one was taken before all keys had come');
    }
    const changedMs = Math.max(...changed.map(({ durationMs }) => durationMs));
    const changedBytes = Math.max(...changed.map(({ checkpointedBytes }) => checkpointedBytes));
    const localMs = await msAway(cluster, () =>
      writeFile(path.join(cluster.tallyFolder, FAIL_FILE), ''),
    );
    const local = await restoredBytes(cluster, 2);
    const [worker] = cluster.workers;
    await cluster.cluster.addWorker();
    const fetchedMs = await msAway(cluster, () => void worker?.kill('SIGKILL'));
    const fetched = await restoredBytes(cluster, 3);
    if (local.localBytes < STATE_BYTES_MIN || fetched.fetchedBytes < STATE_BYTES_MIN) {
      throw new Error(`checkpoint: restored ${JSON.stringify({ local, fetched })}`);
    }
    await cluster.checkRunning(jobId, 2);
    await cluster.stop(jobId);
    const records = await prove(cluster.tallyFolder, HOT_KEYS);
    return [
      {
        ...rowOf(topology, records, load),
        figures: {
          fullMs: full.durationMs,
          fullBytes: full.checkpointedBytes,
          rewrittenMs: rewritten.durationMs,
          rewrittenBytes: rewritten.checkpointedBytes,
          changedMs,
          changedBytes,
          msShare: changedMs / full.durationMs,
          bytesShare: changedBytes / full.checkpointedBytes,
        },
        target: {
          text: `1 % changed costs less than ${SHARE_MAX} of a full one`,
          met:
            changedMs < SHARE_MAX * full.durationMs &&
            changedBytes < SHARE_MAX * full.checkpointedBytes,
        },
      },
      {
        ...rowOf(`${topology}, one spare`, records, load),
        figures: {
          localMs,
          localBytes: local.localBytes,
          fetchedMs,
          fetchedBytes: fetched.fetchedBytes,
        },
        target: {
          text: `first record within ${LOCAL_MS_MAX} ms from copies, ${FETCHED_MS_MAX} ms fetched`,
          met: localMs < LOCAL_MS_MAX && fetchedMs < FETCHED_MS_MAX,
        },
      },
    ];
  });
}

function measureFlink({ flink, note }: RunOptions): Promise<Measurement | undefined> {
  if (flink === undefined) return Promise.resolve(undefined);
  note('checkpoint flink: a full one, then some with 1 % of the keys changed');
  return unlessVoid('checkpoint flink', note, () =>
    measureFlinkCheckpoints(flink, {
      hotKeys: HOT_KEYS,
      ratePerSecond: RATE_PER_SECOND,
      intervalSeconds: INTERVAL_SECONDS,
      changedCheckpoints: CHANGED_CHECKPOINTS,
      prove: (tallyFolder) => prove(tallyFolder, HOT_KEYS),
    }),
  );
}

/** All keys change, as fast as the job goes. */
async function measurePauses({ seconds, warmUpSeconds, note }: RunOptions): Promise<Measurement> {
  return BenchCluster.with({ workers: 1, slots: 2 }, async (cluster) => {
    note(`checkpoint: the synchronous part under full load, for ${seconds} s`);
    const hot = String(STATE_USERS);
    const jobId = await cluster.submit('checkpoint-often.ts', { hot });
    await cluster.watch(warmUpSeconds);
    const warm = (await completedOf(cluster, jobId)).at(-1)?.checkpointId ?? 0;
    const syncMs = new Map<string, number>();
    const load = await cluster.watch(seconds);
    for (const { checkpointId, taskTimings } of await completedOf(cluster, jobId)) {
      if (checkpointId <= warm) continue;
      for (const { vertex, subtask, syncMs: ms } of taskTimings) {
        syncMs.set(`${checkpointId} ${vertex} ${subtask}`, ms);
      }
    }
    await cluster.checkRunning(jobId);
    await cluster.stop(jobId);
    const records = await prove(cluster.tallyFolder, STATE_USERS);
    const sorted = [...syncMs.values()].sort((a, b) => a - b);
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? NaN;
    return {
      ...rowOf('1x2, full load', records, load),
      figures: {
        snapshots: sorted.length,
        syncMsMedian: sorted[Math.floor(sorted.length / 2)] ?? NaN,
        syncMsP99: p99,
        syncMsMax: sorted.at(-1) ?? NaN,
      },
      target: {
        text: `p99 of the synchronous part below ${SYNC_MS_MAX} ms`,
        met: p99 < SYNC_MS_MAX,
      },
    };
  });
}

export const checkpoint: Benchmark = {
  name: 'checkpoint',
  description: 'checkpoints of 1 M keys, full and with 1 % changed, their pauses, and restores',
  seconds: 20,
  run: async (options) => {
    const [inMemory, inRocksdb] = PLACES;
    const [sizes, restores] = await measureSizes(inMemory, options);
    const flink = await measureFlink(options);
    return [
      withFigureRatios(sizes, flink),
      ...(flink === undefined ? [] : [flink]),
      restores,
      ...(await measureSizes(inRocksdb, options)),
      await measurePauses(options),
    ];
  },
};
