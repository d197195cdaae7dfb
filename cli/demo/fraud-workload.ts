/** The demo from file to files: input is made and output is checked by the job's own command. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { AlertTail } from './alert-tail.js';
import type { DemoWorkload, FraudOutcome } from './demo-workload.js';
import { FRAUD_JOB_FILE, outcomeOf, runFraudCommand } from './fraud-command.js';

export class FraudWorkload implements DemoWorkload {
  readonly jobFile = FRAUD_JOB_FILE;
  readonly flags = '';
  readonly lasts = true;
  readonly params: Readonly<Record<string, string>>;
  readonly alerts: AlertTail;
  readonly #folder: string;
  readonly #input: string;
  readonly #output: string;
  readonly #transactions: number;
  readonly #interrupted: AbortSignal;

  /** @param folder absolute; input and output are made below it */
  constructor(folder: string, transactions: number, interrupted: AbortSignal) {
    this.#folder = folder;
    this.#input = path.join(folder, 'transactions.ndjson');
    this.#output = path.join(folder, 'output');
    this.#transactions = transactions;
    this.#interrupted = interrupted;
    this.params = { input: this.#input, output: this.#output };
    this.alerts = new AlertTail(path.join(this.#output, 'alerts'));
  }

  /** Writes the input and clears the output of an earlier run. */
  async prepare(): Promise<void> {
    await rm(this.#output, { recursive: true, force: true });
    await this.#run('generate', ['--transactions', String(this.#transactions)]);
  }

  async compare(): Promise<FraudOutcome> {
    return outcomeOf(await this.#run('verify', ['--output', this.#output]));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #run(command: 'generate' | 'verify', flags: readonly string[]): Promise<string> {
    const labels = path.join(this.#folder, 'labels.ndjson');
    const options = { folder: this.#folder, interrupted: this.#interrupted };
    return runFraudCommand(
      [command, '--input', this.#input, '--labels', labels, ...flags],
      options,
    );
  }
}
