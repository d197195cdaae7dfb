/**
 * The demo's job and its input and reference: the one place of the CLI that knows the fraud
 * detection job. Its generator and its reference are loaded when they are needed.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The sources travel with the package; compiled code is in dist/cli/demo. */
const JOB_FILE = fileURLToPath(new URL('../../../jobs/fraud-detection/job.ts', import.meta.url));
const SEED = 20_260_302;

/** What came out of the job, compared with a computation of the same input in one thread. */
export interface FraudOutcome {
  readonly transactions: number;
  readonly alerts: number;
  readonly plantedFrauds: number;
  readonly caught: number;
  readonly precision: number;
  readonly recall: number;
  readonly missing: number;
  readonly duplicated: number;
  readonly different: number;
}

export class FraudWorkload {
  readonly jobFile = JOB_FILE;
  readonly #folder: string;
  readonly #transactions: number;

  /** @param folder absolute; input and output are made below it */
  constructor(folder: string, transactions: number) {
    this.#folder = folder;
    this.#transactions = transactions;
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

  /** Writes the input and clears the output of an earlier run. */
  async prepare(): Promise<void> {
    const { writeTransactions } = await import('../../jobs/fraud-detection/transactions.js');
    await rm(this.output, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true });
    await writeTransactions({
      path: this.input,
      labelsPath: this.#labels,
      transactions: this.#transactions,
      seed: SEED,
    });
  }

  /** Some seconds for a million transactions; synchronous in parts. */
  async compare(): Promise<FraudOutcome> {
    const [{ computeReference }, { verifyOutput }, { measureDetection, readLabels }, order, job] =
      await Promise.all([
        import('../../jobs/fraud-detection/reference.js'),
        import('../../jobs/fraud-detection/verify.js'),
        import('../../jobs/fraud-detection/reference/labels.js'),
        import('../../jobs/fraud-detection/event-time-order.js'),
        import('../../jobs/fraud-detection/job.js'),
      ]);
    const reference = await computeReference({
      input: this.input,
      splitBytes: Number(job.default.params['splitBytes']?.default),
      maxOutOfOrdernessMs: order.MAX_OUT_OF_ORDERNESS_MS,
    });
    const verification = await verifyOutput(this.output, reference);
    const detection = measureDetection(verification.alerted, await readLabels(this.#labels));
    return {
      transactions: reference.transactions,
      alerts: verification.outputs.alerts.found,
      ...detection,
      missing: verification.missing,
      duplicated: verification.duplicated,
      different: verification.different,
    };
  }

  get #labels(): string {
    return path.join(this.#folder, 'labels.ndjson');
  }
}
