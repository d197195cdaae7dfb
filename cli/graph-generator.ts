/**
 * Runs a job's builder where it can do no harm: in a child process with bounded time and memory,
 * from a temporary folder that holds the compiled modules and a link to this engine. User code never
 * runs in the CLI or the coordinator. Errors come back with the user's own files and lines.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserializeError, MillraceError, type SerializedError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';
import type { Environment } from './cli-context.js';
import type { GeneratorReply, GeneratorRequest } from './graph-generator-messages.js';
import { SourcePositions, type CompiledModule } from './source-positions.js';

const GENERATOR_MAIN = fileURLToPath(new URL('./graph-generator-main.js', import.meta.url));
/** The folder of this package: compiled code is in dist/cli. */
const ENGINE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const GENERATOR_LIMITS = {
  /** For each request; a builder only declares streams and takes milliseconds. */
  timeoutMs: 30_000,
  heapMbMax: 512,
  /** Of what user code prints. */
  outputBytesMax: 64 * 1024,
} as const;

export interface GraphGeneratorOptions {
  /** Folder of the job file, which positions in messages are resolved against. */
  readonly jobFolder: string;
  /** Folder that paths in messages are relative to. */
  readonly displayRoot: string;
  /** The environment in which sources and sinks look for what they read and write; without it they don't. */
  readonly checkIn?: Environment;
  readonly timeoutMs?: number;
  readonly heapMbMax?: number;
  /** Ends a request early. */
  readonly signal?: AbortSignal;
  /** Receives what user code prints while it is loaded and built. */
  readonly onOutput?: (text: string) => void;
}

type ReplyTo<K extends GeneratorReply['kind']> = Extract<GeneratorReply, { kind: K }>;

/** One disposable process; `close` always ends it and removes its folder. */
export class GraphGenerator {
  readonly #options: GraphGeneratorOptions;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #modules: CompiledModule[] = [];
  #output = '';

  private constructor(options: GraphGeneratorOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    // A builder sees no environment. Authorities are read once, when a process starts.
    const authorities = options.checkIn?.['NODE_EXTRA_CA_CERTS'];
    this.#child = fork(GENERATOR_MAIN, [], {
      cwd: folder,
      env: authorities === undefined ? {} : { NODE_EXTRA_CA_CERTS: authorities },
      execArgv: [`--max-old-space-size=${options.heapMbMax ?? GENERATOR_LIMITS.heapMbMax}`],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(0, GENERATOR_LIMITS.outputBytesMax);
      });
    }
  }

  static async start(options: GraphGeneratorOptions): Promise<GraphGenerator> {
    const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'millrace-graph-')));
    await mkdir(path.join(folder, 'node_modules'));
    await symlink(ENGINE_ROOT, path.join(folder, 'node_modules', 'millrace'), 'junction');
    return new GraphGenerator(options, folder);
  }

  /** Puts compiled modules (with their maps) where `build` and `checkScore` find them. */
  async add(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    for (const [file, content] of files) {
      const target = path.join(this.#folder, file);
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, content);
      const map = files.get(`${file}.map`);
      if (map !== undefined) this.#modules.push({ path: file, map });
    }
  }

  /**
   * @param workingFolder that relative paths among the parameters are relative to
   * @throws MillraceError what the module or the builder is refused for, in the user's files and lines
   */
  async build(
    module: string,
    sourceName: string,
    params: Readonly<Record<string, string>>,
    workingFolder: string,
  ): Promise<{
    readonly graph: StreamGraph;
    readonly params: Readonly<Record<string, string>>;
  }> {
    const built = await this.#ask('built', {
      kind: 'build',
      file: path.join(this.#folder, module),
      sourceName,
      params,
      workingFolder,
      ...(this.#options.checkIn === undefined ? {} : { checkIn: this.#options.checkIn }),
    });
    const positions = this.#positions();
    const nodes = built.graph.nodes.map((node) => ({
      ...node,
      declaredAt: positions.restore(node.declaredAt, (source) => source),
    }));
    return { graph: { ...built.graph, nodes }, params: built.params };
  }

  /** @throws MillraceError JOB_INVALID when the module exports no function `score` */
  async checkScore(module: string, sourceName: string): Promise<void> {
    const file = path.join(this.#folder, module);
    await this.#ask('checked', { kind: 'checkScore', file, sourceName });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGKILL');
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #ask<K extends Exclude<GeneratorReply['kind'], 'failed'>>(
    kind: K,
    request: GeneratorRequest,
  ): Promise<ReplyTo<K>> {
    const reply = await this.#awaitReply(request);
    if (this.#output !== '') this.#options.onOutput?.(this.#output);
    this.#output = '';
    if (reply.kind === 'failed') throw this.#userError(reply.error);
    if (reply.kind !== kind) {
      throw new MillraceError(
        'JOB_INVALID',
        `${request.sourceName} sent a message of its own to its parent process; remove that`,
      );
    }
    return reply as ReplyTo<K>;
  }

  #awaitReply(request: GeneratorRequest): Promise<GeneratorReply> {
    const { timeoutMs = GENERATOR_LIMITS.timeoutMs, signal } = this.#options;
    const child = this.#child;
    return new Promise<GeneratorReply>((resolve, reject) => {
      const timeout = AbortSignal.timeout(timeoutMs);
      const settle = (act: () => void): void => {
        timeout.removeEventListener('abort', onTimeout);
        signal?.removeEventListener('abort', onInterrupt);
        child.off('message', onMessage).off('exit', onExit).off('error', onError);
        act();
      };
      const onMessage = (message: GeneratorReply): void => settle(() => resolve(message));
      const onError = (error: Error): void => settle(() => reject(error));
      const onExit = (code: number | null, by: string | null): void =>
        settle(() => reject(this.#ended(request.sourceName, code, by)));
      const onInterrupt = (): void =>
        settle(() => reject(new MillraceError('CANCELED', 'interrupted; nothing was changed')));
      const onTimeout = (): void =>
        settle(() =>
          reject(
            new MillraceError(
              'JOB_INVALID',
              `${request.sourceName} was not done after ${timeoutMs / 1000} s; a builder only ` +
                'declares streams, so move whatever waits or computes into an operator',
            ),
          ),
        );
      timeout.addEventListener('abort', onTimeout);
      signal?.addEventListener('abort', onInterrupt);
      child.on('message', onMessage).on('exit', onExit).on('error', onError);
      if (signal?.aborted === true) onInterrupt();
      else if (child.exitCode !== null || child.signalCode !== null) {
        onExit(child.exitCode, child.signalCode);
      } else child.send(request);
    });
  }

  #positions(): SourcePositions {
    return new SourcePositions(this.#folder, this.#modules);
  }

  /** The error with compiled positions replaced; its cause carries the user's frames. */
  #userError(serialized: SerializedError): MillraceError {
    const positions = this.#positions();
    const { jobFolder, displayRoot } = this.#options;
    const restore = (text: string): string =>
      positions.restore(text, (source) => path.relative(displayRoot, path.join(jobFolder, source)));
    return deserializeError({
      ...serialized,
      message: restore(serialized.message),
      ...(serialized.stack === undefined ? {} : { stack: restore(serialized.stack) }),
    });
  }

  #ended(sourceName: string, code: number | null, signal: string | null): MillraceError {
    const heapMb = this.#options.heapMbMax ?? GENERATOR_LIMITS.heapMbMax;
    const reason =
      signal === 'SIGABRT' || this.#output.includes('heap out of memory')
        ? `ran out of memory (${heapMb} MB)`
        : `ended its process (${signal ?? `exit code ${code}`})`;
    return new MillraceError(
      'JOB_INVALID',
      `${sourceName} ${reason} while the graph was made; a builder must only declare streams`,
    );
  }
}
