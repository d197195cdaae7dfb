/**
 * The fraud detection job's files and its own command, which makes input and checks output: in a
 * process of its own, so that an interruption is heard at once.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../core/errors.js';
import type { FraudOutcome } from './demo-workload.js';

/** The sources travel with the package; this file is compiled to dist/cli/demo. */
export const FRAUD_JOB_FILE = jobFile('fraud-detection');
const JOB_COMMAND = fileURLToPath(new URL('../../jobs/fraud-detection/main.js', import.meta.url));

/** The source of a job that comes with the package. */
export function jobFile(job: string): string {
  return fileURLToPath(new URL(`../../../jobs/${job}/job.ts`, import.meta.url));
}

/** What the job's command prints of a check. */
type Verified = Omit<FraudOutcome, 'alerts'> & {
  readonly outputs: { readonly alerts: { readonly found: number } };
};

/** @param printed by one of the commands that verify */
export function outcomeOf(printed: string): FraudOutcome {
  const { outputs, plantedFrauds, caught, precision, recall, missing, duplicated, different } =
    JSON.parse(printed) as Verified;
  const alerts = outputs.alerts.found;
  return { alerts, plantedFrauds, caught, precision, recall, missing, duplicated, different };
}

/**
 * Runs the job's command and returns what it printed; a check that finds differences prints them, too.
 * @throws MillraceError CANCELED when interrupted; INTERNAL when nothing was printed
 */
export function runFraudCommand(
  args: readonly string[],
  options: { readonly folder: string; readonly interrupted: AbortSignal },
): Promise<string> {
  const { folder, interrupted } = options;
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const child = spawn(process.execPath, [JOB_COMMAND, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: interrupted,
      killSignal: 'SIGKILL',
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', (error) => reject(interrupted.aborted ? interruption() : error));
    child.once('close', () => {
      if (stdout !== '') resolve(stdout);
      else {
        reject(
          new MillraceError(
            'INTERNAL',
            `the fraud detection job's "${args[0] ?? ''}" failed: ${stderr.trim()}; check the free space of ${folder}`,
          ),
        );
      }
    });
  });
}

export function interruption(): MillraceError {
  return new MillraceError('CANCELED', 'interrupted; nothing is left running');
}
