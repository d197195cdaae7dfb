/**
 * A real run under V8's coverage: a cluster of three processes, a submit, and afterwards the answer to
 * which functions of which files ran, in whatever process or thread. Ends whatever it started.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../house/source-tree.js';

const MILLRACE = join(ROOT, 'dist/cli/main.js');
const TIMEOUT_MS = 180_000;

export class CoveredRun {
  readonly #folder: string;
  readonly #children = new Set<ChildProcess>();

  /** @param folder an empty one, for coverage and the cluster's data */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts a cluster and resolves once it is up. */
  async startCluster(): Promise<ChildProcess> {
    const cluster = this.#millrace('cluster', '--workers', '2', '--slots', '1');
    for await (const line of createInterface({ input: cluster.stdout ?? process.stdin })) {
      if (line.startsWith('cluster is up')) return cluster;
    }
    throw new Error('the cluster ended before it was up');
  }

  /** Runs a command to its end and returns its exit code. */
  async command(...args: readonly string[]): Promise<number | null> {
    const child = this.#millrace(...args);
    child.stdout?.resume();
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  }

  /** Ends a process as Ctrl-C does, so that it and its children write their coverage. */
  async interrupt(child: ChildProcess): Promise<void> {
    child.stdout?.resume();
    child.kill('SIGINT');
    await once(child, 'exit');
  }

  /** Ends whatever still runs. */
  close(): void {
    for (const child of this.#children) child.kill('SIGTERM');
  }

  /** Names of the functions that ran, by the compiled file's source. */
  functionsThatRan(): Map<string, Set<string>> {
    const ran = new Map<string, Set<string>>();
    for (const name of readdirSync(this.#coverageFolder)) {
      const { result } = JSON.parse(
        readFileSync(join(this.#coverageFolder, name), 'utf8'),
      ) as V8Coverage;
      for (const { url, functions } of result) {
        if (!url.startsWith('file:')) continue;
        const file = relative(join(ROOT, 'dist'), fileURLToPath(url)).replace(/\.js$/, '.ts');
        const names = ran.get(file) ?? new Set();
        ran.set(file, names);
        for (const { functionName, ranges } of functions) {
          // The nameless function at the top is the module itself: it runs when it is imported.
          if (functionName !== '' && (ranges[0]?.count ?? 0) > 0) names.add(functionName);
        }
      }
    }
    return ran;
  }

  get #coverageFolder(): string {
    return join(this.#folder, 'coverage');
  }

  #millrace(...args: readonly string[]): ChildProcess {
    const child = spawn(
      process.execPath,
      [MILLRACE, ...args, '--data', join(this.#folder, 'data')],
      {
        cwd: ROOT,
        env: { ...process.env, NODE_V8_COVERAGE: this.#coverageFolder },
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: TIMEOUT_MS,
      },
    );
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

interface V8Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      readonly ranges: readonly { readonly count: number }[];
    }[];
  }[];
}
