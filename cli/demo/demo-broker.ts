/**
 * The demo's Kafka broker, and the reader that knows nothing of our connector: both are programs of
 * the project's tests, run as processes. A broker ends with this process, however that ends.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../core/errors.js';
import { interruption } from './fraud-command.js';

/** The project's root, where the reader is run; this file is compiled to dist/cli/demo. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SERVICES = new URL('../../test/services/', import.meta.url);
const BROKER_MAIN = fileURLToPath(new URL('kafka-main.js', SERVICES));
const READER_MAIN = fileURLToPath(new URL('kafka-topic-reader-main.js', SERVICES));

export class DemoBroker {
  readonly bootstrapServers: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, bootstrapServers: string) {
    this.#child = child;
    this.bootstrapServers = bootstrapServers;
  }

  /** @throws MillraceError BROKER_UNREACHABLE saying what is missing; CANCELED when interrupted */
  static async start(interrupted: AbortSignal): Promise<DemoBroker> {
    // A process group of its own: Ctrl-C reaches this process, which ends the job before the broker.
    const child = spawnService(BROKER_MAIN, [], ['pipe', 'pipe', 'ignore'], { detached: true });
    const end = (): void => void child.stdin?.end();
    interrupted.addEventListener('abort', end);
    try {
      const { bootstrapServers, failed } = await announcement(child);
      if (interrupted.aborted) throw interruption();
      if (bootstrapServers === undefined) {
        throw unavailable('start a Kafka broker', failed ?? 'it ended without a word');
      }
      return new DemoBroker(child, bootstrapServers);
    } catch (error) {
      end();
      throw error;
    } finally {
      interrupted.removeEventListener('abort', end);
    }
  }

  /** Resolves once it is gone, and its data with it. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exited;
  }
}

/** @throws MillraceError BROKER_UNREACHABLE saying what Kafka's own reader lacks here */
export async function checkTopicReader(interrupted: AbortSignal): Promise<void> {
  await runReader([], 'ignore', interrupted);
}

/**
 * Writes the committed records of topics to a file, a line each.
 * @throws MillraceError BROKER_UNREACHABLE with the reader's own words; CANCELED when interrupted
 */
export async function readTopics(options: {
  readonly broker: string;
  readonly topics: readonly string[];
  readonly file: string;
  readonly interrupted: AbortSignal;
}): Promise<void> {
  const { broker, topics, interrupted } = options;
  const file = await open(options.file, 'w');
  try {
    await runReader([broker, ...topics], file.fd, interrupted);
  } finally {
    await file.close();
  }
}

async function runReader(
  args: readonly string[],
  stdout: 'ignore' | number,
  interrupted: AbortSignal,
): Promise<void> {
  const child = spawnService(READER_MAIN, args, ['ignore', stdout, 'pipe'], {});
  const end = (): void => void child.kill('SIGTERM');
  interrupted.addEventListener('abort', end);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  interrupted.removeEventListener('abort', end);
  if (interrupted.aborted) throw interruption();
  if (code !== 0) throw unavailable("read topics with Kafka's own consumer", stderr.trim());
}

function spawnService(
  main: string,
  args: readonly string[],
  stdio: StdioOptions,
  options: { readonly detached?: boolean },
): ChildProcess {
  if (!existsSync(main)) {
    throw unavailable(
      'run Kafka',
      'this package came without its tests, which can; use a checkout',
    );
  }
  return spawn(process.execPath, [main, ...args], { ...options, stdio, cwd: ROOT });
}

interface Announcement {
  readonly bootstrapServers?: string;
  readonly failed?: string;
}

async function announcement(child: ChildProcess): Promise<Announcement> {
  if (child.stdout === null) return {};
  for await (const line of createInterface({ input: child.stdout })) {
    return JSON.parse(line) as Announcement;
  }
  return {};
}

function unavailable(what: string, reason: string): MillraceError {
  return new MillraceError(
    'BROKER_UNREACHABLE',
    `the demo can't ${what} here: ${reason}; it needs a JDK of version 17 or newer, and Maven once`,
  );
}
