/**
 * `millrace demo`, which is `npm start`: the fraud detection job on an embedded cluster of three
 * processes, shown live, and its committed output compared with a reference. Leaves no process.
 */
import path from 'node:path';
import type { RestClient } from '../../api/rest/client.js';
import { TERMINAL_STATUSES, type JobDetails } from '../../api/rest/job-dto.js';
import { MillraceError } from '../../core/errors.js';
import { createBundle } from '../bundler.js';
import { pause, type CliContext } from '../cli-context.js';
import { connect, DEFAULT_DATA_FOLDER } from '../cluster-connection.js';
import { AlertTail } from '../demo/alert-tail.js';
import { ProgressReader, type DemoProgress } from '../demo/demo-progress.js';
import { isExact, renderSummary, type DemoSummary } from '../demo/demo-summary.js';
import { FraudWorkload } from '../demo/fraud-workload.js';
import { createLiveView, type LiveView } from '../demo/live-view.js';
import { WorkerKill } from '../demo/worker-kill.js';
import type { ClusterProcess } from '../cluster-process.js';
import { startEmbeddedCluster, type EmbeddedCluster } from '../embedded-cluster.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { formatBytes, formatCount } from '../quantity.js';

export interface DemoOptions {
  readonly transactions?: number;
  readonly killWorker?: boolean;
  readonly json?: boolean;
  readonly data?: string;
}

/** About a minute in all on two cores. */
const DEFAULT_TRANSACTIONS = 1_000_000;
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
  workload: FraudWorkload,
  say: (text: string) => void,
): Promise<string> {
  const bundle = await createBundle({
    file: workload.jobFile,
    params: workload.params,
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

export async function runDemo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const startedAtMs = context.clock.monotonic();
  const transactions = options.transactions ?? DEFAULT_TRANSACTIONS;
  const folder = path.join(options.data ?? DEFAULT_DATA_FOLDER, 'demo');
  const dataDir = path.resolve(context.workingFolder, folder);
  const workload = new FraudWorkload(dataDir, transactions, context.interrupted);
  const view = createLiveView(context, { quiet: options.json === true });
  const { interrupted } = context;
  let lost: ClusterProcess | undefined;
  const cluster: EmbeddedCluster = await startEmbeddedCluster({
    workers: WORKERS,
    slots: SLOTS,
    dataDir,
    clock: context.clock,
    onProcessEnded: (ended) => (lost = ended),
  });
  const kill =
    options.killWorker === true ? new WorkerKill(cluster, context.clock, transactions) : undefined;
  let last: DemoProgress | undefined;
  try {
    view.event(`cluster: 1 coordinator, ${WORKERS} workers, data in ${folder}`);
    const client = await connect(context, { cluster: cluster.rest });
    await endLeftovers(context, client);
    if (interrupted.aborted) return EXIT.interrupted;
    await workload.prepare();
    view.event(`input: ${formatCount(transactions)} transactions`);
    if (interrupted.aborted) return EXIT.interrupted;
    const jobId = await submit(context, client, workload, (text) => view.event(text));
    const reader = new ProgressReader(
      client,
      jobId,
      new AlertTail(workload.alertsFolder),
      context.clock,
    );
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
  };
  if (options.json === true) context.print(`${JSON.stringify(summary, null, 2)}\n`);
  else context.print(renderSummary(summary, nextCommands(context, workload), context));
  return isExact(summary) ? EXIT.done : EXIT.failed;
}

/** Commands that work as they stand, from the folder where the demo was run. */
function nextCommands(context: CliContext, workload: FraudWorkload): readonly string[] {
  const here = (file: string): string => path.relative(context.workingFolder, file);
  const params = `--param input=${here(workload.input)} --param output=${here(workload.output)}`;
  return [
    'npx millrace demo --kill-worker',
    `npx millrace plan ${here(workload.jobFile)} ${params}`,
    'npx millrace cluster --workers 2 --slots 2',
  ];
}
