/**
 * A real cluster of a test: coordinator and workers as processes, jobs submitted through the real
 * command, everything below one temporary folder. Nothing of it outlives the test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { RestClient } from '../../api/rest/client.js';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../cli/embedded-cluster.js';
import type { Clock } from '../../core/clock.js';
import { runMillrace } from '../cli/command-line.js';

export const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** How often figures reach the coordinator; ms. */
const METRICS_INTERVAL_MS = 50;

export interface TestClusterOptions {
  readonly workers: number;
  readonly slots: number;
  readonly meta?: string;
  readonly checkpointStorage?: string;
  /** The cluster's data folder; one of the test's own unless told. */
  readonly dataDir?: string;
  readonly coordinatorFlags?: readonly string[];
}

export interface Submission {
  readonly file: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly parallelism?: number;
  /** Further flags of `millrace submit`. */
  readonly flags?: readonly string[];
}

export class TestCluster {
  readonly client: RestClient;

  private constructor(
    readonly cluster: EmbeddedCluster,
    /** For the test's own files. */
    readonly folder: string,
  ) {
    this.client = new RestClient({ address: cluster.rest });
  }

  /** For one test: ends with it. */
  static async start(t: ExecutionContext, options: TestClusterOptions): Promise<TestCluster> {
    const started = await TestCluster.open(options);
    t.teardown(() => started.close());
    return started;
  }

  /** For a file of tests, which must close it. */
  static async open(options: TestClusterOptions): Promise<TestCluster> {
    const folder = await mkdtemp(path.join(tmpdir(), 'millrace-cluster-'));
    const cluster = await startEmbeddedCluster({
      ...options,
      dataDir: options.dataDir ?? path.join(folder, 'data'),
      clock,
      workerFlags: [
        ...['--metrics-interval-ms', String(METRICS_INTERVAL_MS)],
        ...['--scoring-threads', '1'],
      ],
    });
    return new TestCluster(cluster, folder);
  }

  async close(): Promise<void> {
    await this.cluster.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Command line of `millrace submit` for this cluster. */
  submitCommand({ file, params = {}, parallelism, flags = [] }: Submission): readonly string[] {
    return [
      ...['submit', file, '--cluster', this.cluster.rest],
      ...Object.entries(params).flatMap(([name, value]) => ['--param', `${name}=${value}`]),
      ...(parallelism === undefined ? [] : ['--parallelism', String(parallelism)]),
      ...flags,
    ];
  }

  /** @returns the id of the accepted job */
  async submit(t: ExecutionContext, submission: Submission): Promise<string> {
    const command = await runMillrace([
      ...this.submitCommand(submission),
      ...['--detached', '--json'],
    ]);
    t.is(command.exitCode, 0, command.stderr);
    return (JSON.parse(command.stdout) as { readonly jobId: string }).jobId;
  }
}
