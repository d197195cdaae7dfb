/**
 * How long until there is output: from the start of the first process, and from a submission to a
 * cluster that runs already, over its REST API and from the command line. The first record's time
 * is in the sink's own trace.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchCluster, bundleOf } from '../bench-cluster.js';
import { atMost, withFigureRatios } from '../figures.js';
import type { FlinkBuild } from '../flink-build.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_PASSTHROUGH } from '../flink-jobs.js';
import { machineMs } from '../jobs/tally-sink.js';
import type { LoadWindow } from '../load-watch.js';
import type { Benchmark, Measurement } from '../measurement.js';
import { firstRecordMs } from '../tallies.js';
import { unlessVoid } from '../unless-void.js';
import { others } from './throughput.js';

const CLI_MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const JOB = 'passthrough';
const SLOTS = 2;
/** Submissions to the cluster that runs; the median is told. */
const SUBMISSIONS = 3;
const GIVE_UP_MS = 60_000;
const POLL_MS = 20;
const FIGURES_MS_MAX = { coldMs: 2500, cliMs: 1000 };

interface Cluster {
  readonly tallyFolder: string;
  readonly startedMs: number;
  stop(jobId: string): Promise<void>;
  watch(until: Promise<unknown>): Promise<LoadWindow>;
}

async function firstRecord(folder: string): Promise<number> {
  const deadlineMs = machineMs() + GIVE_UP_MS;
  for (;;) {
    const firstMs = await firstRecordMs(folder, 1);
    if (firstMs !== undefined) return firstMs;
    if (machineMs() > deadlineMs) throw new Error('cold-start: no record came');
    await delay(POLL_MS);
  }
}

/** Of some submissions in turn: from each one to its first record, ms. */
async function medianOfSubmissions(
  cluster: Pick<Cluster, 'tallyFolder' | 'stop'>,
  name: string,
  submit: (folder: string) => Promise<() => Promise<string>>,
): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < SUBMISSIONS; round++) {
    const folder = path.join(cluster.tallyFolder, `${name}-${round}`);
    const start = await submit(folder);
    const submittedMs = machineMs();
    const jobId = await start();
    times.push((await firstRecord(folder)) - submittedMs);
    await cluster.stop(jobId);
  }
  return times.sort((a, b) => a - b)[Math.floor(SUBMISSIONS / 2)] ?? NaN;
}

/** Watches the whole of `measure`, so that a busy machine shows. */
async function watched<R>(
  cluster: Cluster,
  measure: () => Promise<R>,
): Promise<{ readonly result: R; readonly load: LoadWindow }> {
  const result = measure();
  const load = await cluster.watch(result);
  return { result: await result, load };
}

async function measureOurs(): Promise<Measurement> {
  return BenchCluster.with({ workers: 1, slots: SLOTS }, async (cluster) => {
    const { result: figures, load } = await watched(cluster, async () => {
      const coldFolder = path.join(cluster.tallyFolder, 'cold');
      const jobId = await cluster.submit(`${JOB}.ts`, { folder: coldFolder });
      const coldMs = (await firstRecord(coldFolder)) - cluster.startedMs;
      await cluster.stop(jobId);
      const restMs = await medianOfSubmissions(cluster, 'rest', async (folder) => {
        const archive = await bundleOf(`${JOB}.ts`, { folder });
        return () => cluster.submitBundle(archive, SLOTS);
      });
      const cliMs = await medianOfSubmissions(cluster, 'cli', (folder) =>
        Promise.resolve(() => submitByCommand(cluster.cluster.rest, folder)),
      );
      return { coldMs, restMs, cliMs };
    });
    return {
      benchmark: 'cold-start',
      topology: '1x2',
      engine: 'millrace',
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      ...others(load),
      figures,
      target: atMost(
        `first record ${FIGURES_MS_MAX.coldMs} ms after the start, ` +
          `${FIGURES_MS_MAX.cliMs} ms after the command`,
        figures,
        FIGURES_MS_MAX,
      ),
    };
  });
}

/** As a user does it: bundle, upload, submit. */
async function submitByCommand(rest: string, folder: string): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      ...[CLI_MAIN, 'submit', path.join('bench', 'jobs', `${JOB}.ts`)],
      ...['--cluster', rest, '--parallelism', String(SLOTS), '--param', `folder=${folder}`],
      ...['--detached', '--json'],
    ],
    { env },
  );
  return (JSON.parse(stdout) as { readonly jobId: string }).jobId;
}

/** A jar is there before it is submitted, as our bundle is for the REST API. */
async function measureFlink(build: FlinkBuild): Promise<Measurement> {
  return FlinkCluster.with({ build, workers: 1, slots: SLOTS }, async (cluster) => {
    const { result: figures, load } = await watched(cluster, async () => {
      const coldFolder = path.join(cluster.tallyFolder, 'cold');
      const jobId = await cluster.submit(FLINK_PASSTHROUGH, { folder: coldFolder });
      const coldMs = (await firstRecord(coldFolder)) - cluster.startedMs;
      await cluster.stop(jobId);
      const restMs = await medianOfSubmissions(cluster, 'rest', (folder) =>
        Promise.resolve(() => cluster.submit(FLINK_PASSTHROUGH, { folder })),
      );
      const cliMs = await medianOfSubmissions(cluster, 'cli', (folder) =>
        Promise.resolve(() => cluster.submitByCommand(FLINK_PASSTHROUGH, { folder })),
      );
      return { coldMs, restMs, cliMs };
    });
    return {
      benchmark: 'cold-start',
      topology: '1x2',
      engine: 'flink',
      engineVersion: build.version,
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      ...others(load),
      figures,
    };
  });
}

export const coldStart: Benchmark = {
  name: 'cold-start',
  description: 'from the start of processes, and from a submission, to the first record',
  seconds: 20,
  run: async ({ flink, note }) => {
    note(`cold-start: a cluster from nothing, then ${SUBMISSIONS} submissions each way`);
    const ours = await measureOurs();
    if (flink === undefined) return [ours];
    const theirs = await unlessVoid('cold-start flink', note, () => measureFlink(flink));
    return [withFigureRatios(ours, theirs), ...(theirs === undefined ? [] : [theirs])];
  },
};
