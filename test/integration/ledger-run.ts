/**
 * A run of the ledger job on a test's cluster, with what it takes to show that a fault was real: the
 * job notes where its splits begin in each attempt, so that the records which were in flight when a
 * process died are counted and not guessed. The engine's own figures are not asked for that.
 */
import { mkdirSync, readdirSync, watch } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { JobWatch } from './job-watch.js';
import { ledgerReference, verifyLedger, type LedgerVerdict } from './ledger-output.js';
import type { TestCluster } from './test-cluster.js';

/** Sources are beside the compiled output: dist/test/integration -> test/fixtures. */
export const LEDGER_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/ledger/job.ts', import.meta.url),
);
const SPLITS = 8;
const TIMEOUT_MS = 60_000;

export interface LedgerOptions {
  readonly deposits: number;
  readonly ratePerSecond: number;
  readonly parallelism: number;
  readonly flags?: readonly string[];
  /** File without which the job's sinks take nothing. */
  readonly gate?: string;
  /** Where a former run of the job wrote; a folder of its own unless told. */
  readonly output?: string;
}

/** How one attempt began, as the job itself noted it. */
export interface Beginning {
  /** When its first record was processed; ms since the epoch. */
  readonly firstRecordAtMs: number;
  /** Deposits that lie before where it began. */
  readonly position: number;
}

export class LedgerRun {
  private constructor(
    readonly watch: JobWatch,
    readonly options: LedgerOptions,
    readonly output: string,
    private readonly trace: string,
  ) {}

  static async submit(
    t: ExecutionContext,
    cluster: TestCluster,
    options: LedgerOptions,
  ): Promise<LedgerRun> {
    const name = `ledger-${(await cluster.client.jobs()).jobs.length}`;
    const trace = path.join(cluster.folder, name, 'trace');
    mkdirSync(trace, { recursive: true });
    const output = options.output ?? path.join(cluster.folder, name, 'output');
    const jobId = await cluster.submit(t, {
      file: LEDGER_JOB,
      parallelism: options.parallelism,
      params: {
        count: String(options.deposits),
        rate: String(options.ratePerSecond),
        output,
        trace,
        gate: options.gate ?? '',
      },
      flags: options.flags ?? [],
    });
    return new LedgerRun(new JobWatch(cluster.client, jobId), options, output, trace);
  }

  /** The latest attempt's beginning, once each of its splits has been read of after `sinceMs`. */
  beginning(sinceMs: number): Promise<Beginning> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        watcher.close();
        reject(new Error('no attempt of the ledger job began to read all of its splits'));
      }, TIMEOUT_MS);
      const look = (): void => {
        const found = this.#beginningSince(sinceMs);
        if (found === undefined) return;
        clearTimeout(timer);
        watcher.close();
        resolve(found);
      };
      const watcher = watch(this.trace, look);
      look();
    });
  }

  /** Compares the committed output, or a copy of it, with the reference. */
  verify(output = this.output): Promise<LedgerVerdict> {
    return verifyLedger(output, ledgerReference(this.options.deposits));
  }

  #beginningSince(sinceMs: number): Beginning | undefined {
    const notes = readdirSync(this.trace)
      .map((name) => name.split('~').map(Number))
      .map(([atMs = 0, split = 0, seq = 0]) => ({ atMs, split, seq }))
      .filter(({ atMs }) => atMs >= sinceMs);
    // An attempt that failed again at once may have noted a few of them before.
    const latest = new Map(
      notes.sort((a, b) => a.atMs - b.atMs).map((note) => [note.split, note.seq]),
    );
    const [first] = notes;
    if (first === undefined || latest.size < SPLITS) return undefined;
    const positions = [...latest].map(([split, seq]) => (seq - split) / SPLITS);
    return {
      firstRecordAtMs: first.atMs,
      position: positions.reduce((sum, position) => sum + position, 0),
    };
  }
}
