/**
 * The demo's job with its input and its reference: the one place of the CLI that knows the fraud
 * detection job. Input is made and output is checked by the job's own command, each in a process of
 * its own, so that an interruption is heard at once.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../core/errors.js';

/** The sources travel with the package; this file is compiled to dist/cli/demo. */
const JOB_FILE = fileURLToPath(new URL('../../../jobs/fraud-detection/job.ts', import.meta.url));
const JOB_COMMAND = fileURLToPath(new URL('../../jobs/fraud-detection/main.js', import.meta.url));

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

/** What the job's command prints of a check. */
type Verified = Omit<FraudOutcome, 'alerts'> & {
  readonly outputs: { readonly alerts: { readonly found: number } };
};

export class FraudWorkload {
  readonly jobFile = JOB_FILE;
  readonly #folder: string;
  readonly #transactions: number;
  readonly #interrupted: AbortSignal;

  /** @param folder absolute; input and output are made below it */
  constructor(folder: string, transactions: number, interrupted: AbortSignal) {
    this.#folder = folder;
    this.#transactions = transactions;
    this.#interrupted = interrupted;
  }

  get input(): string {
    return path.join(this.#folder, 'transactions.ndjson');
  }

  get output(): string {
    return path.join(this.#folder, 'output');
  }

  get alertsFolder(): string {
    return path.join(this.output, 'alerts');
  }

  get params(): Readonly<Record<string, string>> {
    return { input: this.input, output: this.output };
  }

  /**
   * Writes the input and clears the output of an earlier run.
   * @throws MillraceError CANCELED when interrupted; INTERNAL when the input can't be written
   */
  async prepare(): Promise<void> {
    await rm(this.output, { recursive: true, force: true });
    await this.#run('generate', ['--transactions', String(this.#transactions)]);
  }

  /** @throws MillraceError CANCELED when interrupted; INTERNAL when the check itself fails */
  async compare(): Promise<FraudOutcome> {
    const printed = await this.#run('verify', ['--output', this.output]);
    const { outputs, plantedFrauds, caught, precision, recall, missing, duplicated, different } =
      JSON.parse(printed) as Verified;
    return {
      alerts: outputs.alerts.found,
      plantedFrauds,
      caught,
      precision,
      recall,
      missing,
      duplicated,
      different,
    };
  }

  /** Runs the job's command and returns what it printed; a check that finds differences prints them, too. */
  #run(command: 'generate' | 'verify', flags: readonly string[]): Promise<string> {
    const labels = path.join(this.#folder, 'labels.ndjson');
    const args = [command, '--input', this.input, '--labels', labels, ...flags];
    return new Promise((resolve, reject) => {
      let stdout = '';
      let stderr = '';
      const child = spawn(process.execPath, [JOB_COMMAND, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        signal: this.#interrupted,
        killSignal: 'SIGKILL',
      });
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.once('error', (error) =>
        reject(
          this.#interrupted.aborted
            ? new MillraceError('CANCELED', 'interrupted; nothing is left running')
            : error,
        ),
      );
      child.once('close', () => {
        if (stdout !== '') resolve(stdout);
        else {
          reject(
            new MillraceError(
              'INTERNAL',
              `the fraud detection job's "${command}" failed: ${stderr.trim()}; check the free space of ${this.#folder}`,
            ),
          );
        }
      });
    });
  }
}
