/**
 * A run of the ledger job on a test's cluster, with what it takes to show that a fault was real: the
 * job notes where its splits begin in each attempt and how far they come, so that the records which
 * were in flight when a process died are counted and not guessed. The engine's own figures are not
 * asked for that. The input lasts longer than any fault takes on a busy machine, until the test lets
 * the rest of it rush by.
 */
import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { JobWatch, type Observation } from './job-watch.js';
import { ledgerReference, verifyLedger, type LedgerVerdict } from './ledger-output.js';
import type { TestCluster } from './test-cluster.js';

/** Sources are beside the compiled output: dist/test/integration -> test/fixtures. */
export const LEDGER_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/ledger/job.ts', import.meta.url),
);
const SPLITS = 8;
const TIMEOUT_MS = 180_000;
/** A hundred seconds of input. */
export const DEPOSITS = 60_000;
export const RATE_PER_SECOND = 600;

export interface LedgerOptions {
  readonly parallelism: number;
  readonly flags?: readonly string[];
  /** File without which the job's sinks take nothing. */
  readonly gate?: string;
  /** Where a former run of the job wrote; a folder of its own unless told. */
  readonly output?: string;
}

/** A file of the job's trace: an attempt read a split from `from` on. */
interface Note {
  readonly atMs: number;
  readonly split: number;
  readonly from: number;
  readonly file: string;
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
    readonly output: string,
    private readonly trace: string,
    private readonly rush: string,
  ) {}

  static async submit(
    t: ExecutionContext,
    cluster: TestCluster,
    options: LedgerOptions,
  ): Promise<LedgerRun> {
    const name = `ledger-${(await cluster.client.jobs()).jobs.length}`;
    const trace = path.join(cluster.folder, name, 'trace');
    const rush = path.join(cluster.folder, name, 'rush');
    mkdirSync(trace, { recursive: true });
    const output = options.output ?? path.join(cluster.folder, name, 'output');
    const jobId = await cluster.submit(t, {
      file: LEDGER_JOB,
      parallelism: options.parallelism,
      params: {
        count: String(DEPOSITS),
        rate: String(RATE_PER_SECOND),
        output,
        trace,
        rush,
        gate: options.gate ?? '',
      },
      flags: options.flags ?? [],
    });
    return new LedgerRun(new JobWatch(cluster.client, jobId), output, trace, rush);
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

  /**
   * Deposits that attempts which began before `beforeMs` have read, as far as they came: those behind
   * where the next attempt begins were in flight.
   */
  reached(beforeMs: number): number {
    const furthest = new Map<number, number>();
    for (const { split, file } of this.#notes().filter(({ atMs }) => atMs < beforeMs)) {
      const seq = Number(readFileSync(path.join(this.trace, file), 'utf8'));
      furthest.set(split, Math.max(seq, furthest.get(split) ?? split));
    }
    return sum([...furthest].map(([split, seq]) => depositsBefore(split, seq) + 1));
  }

  /** Lets the rest of the input rush by, and waits for the end of the job. */
  ended(): Promise<Observation> {
    writeFileSync(this.rush, '');
    return this.watch.ended();
  }

  /** Compares the committed output, or a copy of it, with the reference. */
  verify(output = this.output): Promise<LedgerVerdict> {
    return verifyLedger(output, ledgerReference(DEPOSITS));
  }

  #beginningSince(sinceMs: number): Beginning | undefined {
    const notes = this.#notes().filter(({ atMs }) => atMs >= sinceMs);
    // An attempt that failed again at once may have noted a few of them before.
    const latest = new Map(notes.map(({ split, from }) => [split, from]));
    const [first] = notes;
    if (first === undefined || latest.size < SPLITS) return undefined;
    const position = sum([...latest].map(([split, from]) => depositsBefore(split, from)));
    return { firstRecordAtMs: first.atMs, position };
  }

  /** All notes of all attempts, the earliest first. */
  #notes(): readonly Note[] {
    return readdirSync(this.trace)
      .map((file) => {
        const [atMs = 0, split = 0, from = 0] = file.split('~').map(Number);
        return { atMs, split, from, file };
      })
      .sort((a, b) => a.atMs - b.atMs);
  }
}

/** Deposits of the split before the one with this number. */
function depositsBefore(split: number, seq: number): number {
  return (seq - split) / SPLITS;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
