import type { CliContext } from '../cli-context.js';
import type { ExitCode } from '../exit-code.js';
export interface DemoOptions {
  readonly transactions?: number;
  readonly killWorker?: boolean;
  readonly json?: boolean;
  readonly data?: string;
}
export async function runDemo(_context: CliContext, _options: DemoOptions): Promise<ExitCode> {
  return 0;
}
