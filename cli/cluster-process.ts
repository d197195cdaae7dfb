/**
 * One process of an embedded cluster: started, waited for, ended. It announces itself by a line of
 * JSON on its standard output, `{"ready":{...}}` or `{"failed":{"code","message"}}`; its log goes to
 * a file. It must never be left running: it watches its standard input, which closes with us.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Clock } from '../core/clock.js';
import { deserializeError, MillraceError, type SerializedError } from '../core/errors.js';

/** Node's start, a lock, a replay of the meta log, two listening ports: seconds on a slow machine. */
const READY_TIMEOUT_MS = 30_000;
/** After SIGTERM a process flushes and ends; then it is killed. */
const CLOSE_TIMEOUT_MS = 5000;
/**
 * What the environment of such a process should tell glibc, and nothing else can: with an arena for
 * each of dozens of threads, and megabytes taken from them, it keeps several times of what it uses.
 */
export const MALLOC_SETTINGS = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536' };

/** What a process says once it can be used. */
export interface ReadyAnnouncement {
  readonly role: 'coordinator' | 'worker';
  readonly pid: number;
  /** Coordinator: HOST:PORT of the REST API. */
  readonly rest?: string;
  /** Coordinator: HOST:PORT for workers. */
  readonly rpc?: string;
  readonly workerId?: string;
}

type Announcement = { readonly ready: ReadyAnnouncement } | { readonly failed: SerializedError };

export interface ClusterProcessOptions {
  readonly name: string;
  /** Absolute path of the compiled main.js. */
  readonly main: string;
  readonly flags: readonly string[];
  readonly logFile: string;
  readonly clock: Clock;
}

function parseAnnouncement(line: string): Announcement | undefined {
  if (!line.startsWith('{"ready":') && !line.startsWith('{"failed":')) return undefined;
  try {
    return JSON.parse(line) as Announcement;
  } catch {
    return undefined;
  }
}

/** What must not outlive this process when it exits without closing. */
const RUNNING = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of RUNNING) child.kill('SIGKILL');
});

export class ClusterProcess {
  readonly name: string;
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<string>;
  readonly #options: ClusterProcessOptions;
  readonly #child: ChildProcess;
  readonly #announcement: Promise<Announcement>;
  #announced: ReadyAnnouncement | undefined;
  #killed = false;

  constructor(options: ClusterProcessOptions) {
    this.name = options.name;
    this.#options = options;
    const log = openSync(options.logFile, 'a');
    this.#child = spawn(process.execPath, [options.main, ...options.flags, '--exit-with-stdin'], {
      stdio: ['pipe', 'pipe', log],
      // A process group of its own: Ctrl-C reaches this process, which then ends the others in order.
      detached: true,
    });
    closeSync(log);
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#child.once('error', (error) => resolve(error.message));
    });
    RUNNING.add(this.#child);
    void this.ended.then(() => RUNNING.delete(this.#child));
    // A process that ends while we still hold its pipe breaks it: its exit tells more.
    this.#child.stdin?.on('error', () => undefined);
    this.#announcement = new Promise((resolve) => {
      if (this.#child.stdout === null) return;
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const announcement = parseAnnouncement(line);
        if (announcement !== undefined) resolve(announcement);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What the process announced; undefined until ready() has resolved. */
  get announced(): ReadyAnnouncement | undefined {
    return this.#announced;
  }

  /** Id under which a worker is registered. */
  get id(): string | undefined {
    return this.#announced?.workerId;
  }

  /** Whether it was told to end from here. */
  get killed(): boolean {
    return this.#killed;
  }

  /** @throws MillraceError what the process failed with, or INTERNAL when it ended without a word */
  async ready(): Promise<ReadyAnnouncement> {
    const { clock, name, logFile } = this.#options;
    let cancel = (): void => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = clock.setTimer(READY_TIMEOUT_MS, () =>
        reject(
          new MillraceError(
            'CLUSTER_UNREACHABLE',
            `the ${name} was not ready after ${READY_TIMEOUT_MS / 1000} s; see ${logFile}`,
          ),
        ),
      );
    });
    const gone = this.ended.then(async (how): Promise<Announcement> => {
      // Its last words may still be on their way through the pipe.
      const last = await Promise.race([this.#announcement, drained(this.#child)]);
      if (last !== undefined) return last;
      throw new MillraceError(
        'INTERNAL',
        `the ${name} ended (${how}) before it was ready; see ${logFile}`,
      );
    });
    try {
      const announcement = await Promise.race([this.#announcement, gone, late]);
      if ('failed' in announcement) throw deserializeError(announcement.failed);
      this.#announced = announcement.ready;
      return announcement.ready;
    } finally {
      cancel();
      gone.catch(() => undefined);
      late.catch(() => undefined);
    }
  }

  kill(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#killed = true;
    this.#child.kill(signal);
  }

  /** Asks the process to end, and ends it if it doesn't; resolves once it is gone. */
  async close(): Promise<void> {
    // A stopped process takes the request only once it goes on.
    this.kill('SIGTERM');
    this.kill('SIGCONT');
    this.#child.stdin?.end();
    const cancel = this.#options.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.kill('SIGKILL'));
    await this.ended;
    cancel();
  }
}

function drained(child: ChildProcess): Promise<undefined> {
  return new Promise((resolve) => {
    if (child.stdout === null || child.stdout.readableEnded) resolve(undefined);
    else child.stdout.once('close', () => resolve(undefined));
  });
}
