/**
 * Reads the CPU profiles of a run and splits the time of each thread by what it was spent on. A
 * function without a place of its own (a built-in of the engine) counts for whoever called it.
 */
import { cp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Profiler } from 'node:inspector';

export const PROFILE_FOLDER = path.join('.millrace', 'profiles');

interface Rule {
  readonly part: string;
  readonly url: RegExp;
  readonly name?: RegExp;
}

/** The first that fits decides. */
const RULES: readonly Rule[] = [
  { part: 'codec in', url: /^millrace:record-codec/, name: /^decode$/ },
  { part: 'codec out', url: /^millrace:record-codec/ },
  { part: 'hash', url: /\/core\/(key-codec|murmur3|key-group)\.js|record-writer\.js/ },
  { part: 'source', url: /\/connectors\/generator\/|source-operator\.js|split-watermarks\.js/ },
  { part: 'source', url: /job\.mjs/, name: /^(generate|transactionId)?$/ },
  { part: 'map', url: /job\.mjs/, name: /^withTax$/ },
  { part: 'sink', url: /job\.mjs/, name: /^(add|write|fingerprint|whenWritable|.*trace)$|sink/ },
  { part: 'sink', url: /sink-operator\.js/ },
  { part: 'operator', url: /job\.mjs|\/worker\/operators\// },
  { part: 'state', url: /\/worker\/state\// },
  { part: 'chain', url: /^$/, name: /^collect(Batch)?$/ },
  { part: 'chain', url: /operator-chain\.js|chain-compiler\.js/ },
  { part: 'task', url: /\/worker\/task\// },
  {
    part: 'slot <-> main',
    url: /slot-thread\.js|slot-runner\.js|slot-messages\.js|worker\/io|worker$/,
  },
  { part: 'subpartition, gate', url: /result-subpartition\.js|input-gate\.js|barrier-aligner\.js/ },
  { part: 'exchange', url: /\/worker\/network\// },
  {
    part: 'gRPC',
    url: /grpc-js|http2|node:net|node:internal\/(streams|stream_base|timers)|protobuf|proto\/gen/,
  },
  { part: 'probe', url: /probe\.js|perf|observe/ },
];

const SPECIAL: ReadonlyMap<string, string> = new Map([
  ['(idle)', 'idle'],
  ['(program)', 'native, system'],
  ['(garbage collector)', 'GC'],
]);

function partOf({ functionName, url }: Profiler.ProfileNode['callFrame']): string | undefined {
  const special = SPECIAL.get(functionName);
  if (special !== undefined) return special;
  return RULES.find(
    (rule) => rule.url.test(url) && (rule.name === undefined || rule.name.test(functionName)),
  )?.part;
}

export interface ThreadSplit {
  readonly thread: string;
  readonly seconds: number;
  /** Share of the thread's time by part, 0..1. */
  readonly parts: ReadonlyMap<string, number>;
  /** Share by function `name file:line`. */
  readonly functions: ReadonlyMap<string, number>;
}

function splitProfile(thread: string, profile: Profiler.Profile): ThreadSplit {
  const parents = new Map<number, Profiler.ProfileNode>();
  const nodes = new Map<number, Profiler.ProfileNode>();
  for (const node of profile.nodes) {
    nodes.set(node.id, node);
    for (const child of node.children ?? []) parents.set(child, node);
  }
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  const total = (profile.timeDeltas ?? []).reduce((sum, delta) => sum + delta, 0);
  profile.samples?.forEach((id, at) => {
    const share = (profile.timeDeltas?.[at] ?? 0) / total;
    const leaf = nodes.get(id);
    if (leaf === undefined) return;
    let part: string | undefined;
    for (
      let node: typeof leaf | undefined = leaf;
      node !== undefined;
      node = parents.get(node.id)
    ) {
      part = partOf(node.callFrame);
      if (part !== undefined) break;
    }
    const name = part ?? 'other';
    parts.set(name, (parts.get(name) ?? 0) + share);
    const { functionName, url, lineNumber } = leaf.callFrame;
    const where = `${functionName === '' ? '(anonymous)' : functionName} ${path.basename(url)}:${lineNumber + 1}`;
    functions.set(where, (functions.get(where) ?? 0) + share);
  });
  return { thread, seconds: total / 1e6, parts, functions };
}

/** Threads that were worth a profile: those of the workers, by process and thread. */
export async function readProfiles(folder: string): Promise<ThreadSplit[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile')).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(path.join(folder, name), 'utf8');
      return splitProfile(path.basename(name, '.cpuprofile'), JSON.parse(text) as Profiler.Profile);
    }),
  );
}

const TOP_FUNCTIONS = 25;
const IDLE_SHARE = 0.98;

/** Prints the split of all busy threads and keeps the profiles for a closer look. */
export async function printProfile(
  folder: string,
  recordsPerSecond: number,
  note: (text: string) => void,
): Promise<void> {
  const threads = (await readProfiles(folder)).filter(
    ({ parts, seconds }) => seconds > 1 && (parts.get('idle') ?? 0) < IDLE_SHARE,
  );
  const sumOf = (maps: readonly ReadonlyMap<string, number>[]): [string, number][] => {
    const sums = new Map<string, number>();
    for (const map of maps)
      for (const [key, share] of map) sums.set(key, (sums.get(key) ?? 0) + share);
    return [...sums].sort(([, a], [, b]) => b - a);
  };
  note(`threads: ${threads.map(({ thread }) => thread).join('  ')}`);
  for (const [part, cores] of sumOf(threads.map(({ parts }) => parts))) {
    const each = threads.map(({ parts }) =>
      `${((parts.get(part) ?? 0) * 100).toFixed(1)}%`.padStart(7),
    );
    const perRecord = ((cores * 1e6) / recordsPerSecond).toFixed(3);
    note(`${part.padEnd(20)} ${perRecord.padStart(7)} us a record  ${each.join(' ')}`);
  }
  note('functions, by cores used:');
  for (const [where, cores] of sumOf(threads.map(({ functions }) => functions)).slice(
    0,
    TOP_FUNCTIONS,
  )) {
    note(`${cores.toFixed(3)}  ${where}`);
  }
  await cp(folder, PROFILE_FOLDER, { recursive: true });
  note(`profiles are in ${PROFILE_FOLDER}`);
}
