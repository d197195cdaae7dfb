/** What the demo runs: the fraud detection job, with where its input comes from and how its output is checked. */
import type { AlertLine } from './alert-line.js';

/** What came out of the job, compared with a computation of the same input in one thread. */
export interface FraudOutcome {
  readonly alerts: number;
  readonly plantedFrauds: number;
  readonly caught: number;
  readonly precision: number;
  readonly recall: number;
  readonly missing: number;
  readonly duplicated: number;
  readonly different: number;
}

/** Alerts as they are committed, for showing: it must never fail the demo. */
export interface AlertFeed {
  /** Committed so far. */
  readonly count: number;
  /** The latest ones, newest last. */
  readonly latest: readonly AlertLine[];
  read(): Promise<void>;
}

/** Runs a job on the demo's cluster to its end. @throws MillraceError when it does not finish */
export type RunJob = (file: string, params: Readonly<Record<string, string>>) => Promise<void>;

export interface DemoWorkload {
  readonly jobFile: string;
  /** Of the job; there once the input is. */
  readonly params: Readonly<Record<string, string>>;
  readonly alerts: AlertFeed;
  /** Whether what `params` name is there when the demo is over. */
  readonly lasts: boolean;
  /** The flags of this demo, each with a blank after it. */
  readonly flags: string;
  /** Makes the input, and room for the output. @throws MillraceError CANCELED when interrupted */
  prepare(runJob: RunJob, say: (text: string) => void): Promise<void>;
  /** Once the job has finished. @throws MillraceError CANCELED when interrupted; INTERNAL when the check itself fails */
  compare(): Promise<FraudOutcome>;
  close(): Promise<void>;
}
