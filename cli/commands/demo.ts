/**
 * `millrace demo`, which is `npm start`: the fraud detection job on an embedded cluster of three
 * processes, from files to files or from Kafka to Kafka, shown live, and its committed output compared
 * with a reference. Leaves no process.
 */
import path from 'node:path';
import type { RestClient } from '../../api/rest/client.js';
import { TERMINAL_STATUSES, type JobDetails } from '../../api/rest/job-dto.js';
import { MillraceError } from '../../core/errors.js';
import { createBundle } from '../bundler.js';
import { pause, type CliContext } from '../cli-context.js';
import { connect, DEFAULT_DATA_FOLDER } from '../cluster-connection.js';
import { ProgressReader, type DemoProgress } from '../demo/demo-progress.js';
import { isExact, renderSummary, type DemoSummary } from '../demo/demo-summary.js';
import type { DemoWorkload, RunJob } from '../demo/demo-workload.js';
import { FraudWorkload } from '../demo/fraud-workload.js';
import { KafkaFraudWorkload } from '../demo/kafka-fraud-workload.js';
import { createLiveView, type LiveView } from '../demo/live-view.js';
import { WorkerKill } from '../demo/worker-kill.js';
import type { ClusterProcess } from '../cluster-process.js';
import { startEmbeddedCluster, type EmbeddedCluster } from '../embedded-cluster.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { formatBytes, formatCount } from '../quantity.js';

export interface DemoOptions {
  readonly transactions?: number;
  readonly killWorker?: boolean;
  /** From Kafka to Kafka: HOST:PORT of a broker, or true for one of its own. */
  readonly kafka?: string | true;
  readonly json?: boolean;
  readonly data?: string;
}

/** About a minute in all on two cores. */
const DEFAULT_TRANSACTIONS = 1_000_000;
/** Everything is written, read, and checked through the broker. */
const DEFAULT_KAFKA_TRANSACTIONS = 250_000;
const WORKERS = 2;
/** One slot of each worker is free, so that one worker can take over all of the job. */
const SLOTS = 2;
const PARALLELISM = 2;
const POLL_INTERVAL_MS = 250;
/** While the job stands still, whose time is measured, or is about to be over before the kill. */
const URGENT_POLL_INTERVAL_MS = 20;
const LEFTOVER_POLL_INTERVAL_MS = 100;

/** A demo that was ended early left its job behind in its folder; nobody waits for it any more. */
async function endLeftovers(context: CliContext, client: RestClient): Promise<void> {
  const running = async (): Promise<readonly string[]> =>
    (await client.jobs()).jobs
      .filter((job) => !TERMINAL_STATUSES.has(job.status))
      .map((job) => job.jobId);
  for (const jobId of await running()) await client.cancelJob(jobId);
  while (!context.interrupted.aborted && (await running()).length > 0) {
    await pause(context, LEFTOVER_POLL_INTERVAL_MS);
  }
}

interface WatchOptions {
  /** Throws when a process of the cluster ended that nobody ended. */
  readonly checkProcesses: () => void;
  readonly kill: WorkerKill | undefined;
}

/** Shows the job until it ends; undefined when interrupted first. */
async function watch(
  context: CliContext,
  reader: ProgressReader,
  view: LiveView,
  { checkProcesses, kill }: WatchOptions,
): Promise<DemoProgress | undefined> {
  let failures = 0;
  while (!context.interrupted.aborted) {
    checkProcesses();
    const progress = await reader.read();
    for (const failure of progress.job.failures.slice(failures)) {
      view.event(`failure in attempt ${failure.attempt}: ${failure.message}`);
    }
    failures = progress.job.failures.length;
    const told = kill?.observe(progress);
    if (told !== undefined) view.event(told);
    view.show(progress);
    if (TERMINAL_STATUSES.has(progress.job.status)) return progress;
    await pause(context, kill?.urgent === true ? URGENT_POLL_INTERVAL_MS : POLL_INTERVAL_MS);
  }
  return undefined;
}

function checkFinished(job: JobDetails): void {
  if (job.status === 'FINISHED') return;
  const cause = job.failures.at(-1)?.message ?? 'no reason given';
  throw new MillraceError('JOB_STATE_CONFLICT', `the job ended as ${job.status}: ${cause}`);
}

async function submit(
  context: CliContext,
  client: RestClient,
  job: { readonly file: string; readonly params: Readonly<Record<string, string>> },
  say: (text: string) => void,
): Promise<string> {
  const bundle = await createBundle({
    ...job,
    checkIn: context.environment,
    workingFolder: context.workingFolder,
    signal: context.interrupted,
    onOutput: (text) => context.note(text),
  });
  await client.uploadBundle(bundle.archive);
  const { jobId } = await client.submitJob({ bundleId: bundle.id, parallelism: PARALLELISM });
  say(
    `submitted ${bundle.manifest.jobName} as ${jobId}, a bundle of ${formatBytes(bundle.archive.length)}`,
  );
  return jobId;
}

/** Jobs that only make input: nobody looks on. */
function jobRunner(context: CliContext, client: RestClient, say: (text: string) => void): RunJob {
  return async (file, params) => {
    const jobId = await submit(context, client, { file, params }, say);
    while (!context.interrupted.aborted) {
      const job = await client.job(jobId);
      if (TERMINAL_STATUSES.has(job.status)) return checkFinished(job);
      await pause(context, POLL_INTERVAL_MS);
    }
  };
}

function startWorkload(
  context: CliContext,
  { kafka }: DemoOptions,
  folder: string,
  transactions: number,
): Promise<DemoWorkload & { readonly broker?: string }> {
  const { clock, interrupted } = context;
  if (kafka === undefined) {
    return Promise.resolve(new FraudWorkload(folder, transactions, interrupted));
  }
  const broker = kafka === true ? undefined : kafka;
  context.note('Kafka: starting; if it is not here yet it is fetched first, in most of a minute\n');
  return KafkaFraudWorkload.start({ broker, folder, transactions, clock, interrupted });
}

export async function runDemo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const startedAtMs = context.clock.monotonic();
  const transactions =
    options.transactions ??
    (options.kafka === undefined ? DEFAULT_TRANSACTIONS : DEFAULT_KAFKA_TRANSACTIONS);
  const folder = path.join(options.data ?? DEFAULT_DATA_FOLDER, 'demo');
  const dataDir = path.resolve(context.workingFolder, folder);
  const workload = await startWorkload(context, options, dataDir, transactions);
  try {
    return await runWorkload(context, workload, {
      startedAtMs,
      transactions,
      folder,
      dataDir,
      killWorker: options.killWorker === true,
      json: options.json === true,
    });
  } finally {
    await workload.close();
  }
}

interface RunOptions {
  readonly startedAtMs: number;
  readonly transactions: number;
  /** As the user knows it. */
  readonly folder: string;
  /** The same, absolute. */
  readonly dataDir: string;
  readonly killWorker: boolean;
  readonly json: boolean;
}

async function runWorkload(
  context: CliContext,
  workload: DemoWorkload & { readonly broker?: string },
  { startedAtMs, transactions, folder, dataDir, killWorker, json }: RunOptions,
): Promise<ExitCode> {
  const view = createLiveView(context, { quiet: json });
  const say = (text: string): void => view.event(text);
  const { interrupted } = context;
  let lost: ClusterProcess | undefined;
  const cluster: EmbeddedCluster = await startEmbeddedCluster({
    workers: WORKERS,
    slots: SLOTS,
    dataDir,
    clock: context.clock,
    onProcessEnded: (ended) => (lost = ended),
  });
  const kill = killWorker ? new WorkerKill(cluster, context.clock, transactions) : undefined;
  let last: DemoProgress | undefined;
  try {
    say(`cluster: 1 coordinator, ${WORKERS} workers, data in ${folder}`);
    if (workload.broker !== undefined) say(`Kafka: ${workload.broker}`);
    const client = await connect(context, { cluster: cluster.rest });
    await endLeftovers(context, client);
    if (interrupted.aborted) return EXIT.interrupted;
    await workload.prepare(jobRunner(context, client, say), say);
    say(`input: ${formatCount(transactions)} transactions`);
    if (interrupted.aborted) return EXIT.interrupted;
    const { jobFile: file, params } = workload;
    const jobId = await submit(context, client, { file, params }, say);
    const reader = new ProgressReader(client, jobId, workload.alerts, context.clock);
    const checkProcesses = (): void => {
      if (lost === undefined) return;
      throw new MillraceError(
        'WORKER_LOST',
        `${lost.name} (pid ${lost.pid}) ended by itself; see ${folder}/logs/${lost.name}.log`,
      );
    };
    last = await watch(context, reader, view, {
      checkProcesses,
      kill,
    });
  } finally {
    view.close();
    await cluster.close();
  }
  if (last === undefined) return EXIT.interrupted;
  checkFinished(last.job);
  const summary: DemoSummary = {
    transactions,
    ...(await workload.compare()),
    checkpointsCompleted: last.checkpointsCompleted,
    restarts: last.job.restarts,
    killed: kill?.killed ?? false,
    recoveryMs: kill?.recoveryMs ?? null,
    seconds: Math.round((context.clock.monotonic() - startedAtMs) / 100) / 10,
    ...(workload.broker === undefined ? {} : { broker: workload.broker }),
  };
  if (json) context.print(`${JSON.stringify(summary, null, 2)}\n`);
  else context.print(renderSummary(summary, nextCommands(context, workload), context));
  return isExact(summary) ? EXIT.done : EXIT.failed;
}

/** Commands that work as they stand, from the folder where the demo was run. */
function nextCommands(context: CliContext, workload: DemoWorkload): readonly string[] {
  const here = (file: string): string => path.relative(context.workingFolder, file);
  const params = Object.entries(workload.params).map(
    ([name, value]) => `--param ${name}=${path.isAbsolute(value) ? here(value) : value}`,
  );
  return [
    `npx millrace demo ${workload.flags}--kill-worker`,
    ...(workload.lasts ? [`npx millrace plan ${here(workload.jobFile)} ${params.join(' ')}`] : []),
    'npx millrace cluster --workers 2 --slots 2',
  ];
}
