/**
 * A process of a peer, which knows nothing of us: its output goes to a log, and it ends with us or
 * when told. It must never be left running.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** After SIGTERM a process may flush; then it is killed. */
const CLOSE_TIMEOUT_MS = 10_000;

const RUNNING = new Set<ChildProcess>();
function killAll(): void {
  for (const child of RUNNING) child.kill('SIGKILL');
}
process.once('exit', killAll);
for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });
}

export class PeerProcess {
  readonly name: string;
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  constructor(name: string, command: string, args: readonly string[], logFile: string) {
    this.name = name;
    const log = openSync(logFile, 'a');
    const { NODE_OPTIONS: _, ...env } = process.env;
    this.#child = spawn(command, args, { stdio: ['ignore', log, log], env });
    closeSync(log);
    RUNNING.add(this.#child);
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#child.once('error', (error) => resolve(error.message));
    });
    void this.ended.then(() => RUNNING.delete(this.#child));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** At once, without a word. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    const late = new AbortController();
    const timer = delay(CLOSE_TIMEOUT_MS, undefined, { signal: late.signal })
      .then(() => this.#child.kill('SIGKILL'))
      .catch(() => undefined);
    await this.ended;
    late.abort();
    await timer;
  }
}
