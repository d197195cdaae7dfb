/**
 * Whether the files that a manifest names can be one consistent state: no subtask names a file twice,
 * or key groups of another subtask, so that each key group is held once; no restore has to replay more
 * runs than the limit; and a key means the same file everywhere. Checked when a manifest is made and
 * whenever one is read. Pure.
 */
import { keyGroupRange, type KeyGroupRange } from './key-group.js';
import type { StateFile, VertexFiles } from './state-file.js';

/**
 * Runs that may lie upon each other in one key group. Workers merge long before; this keeps a restore
 * from having to replay without end what a defect made.
 */
export const RUNS_MAX = 64;

interface ManifestFiles {
  readonly maxParallelism: number;
  readonly vertices: readonly VertexFiles[];
}

/** @returns what is wrong, naming operator, subtask and file; undefined: nothing */
export function findManifestFault({ vertices, maxParallelism }: ManifestFiles): string | undefined {
  const known = new Map<string, StateFile>();
  for (const { vertex, parallelism, tasks } of vertices) {
    if (parallelism < 1 || parallelism > maxParallelism) {
      return `${vertex} has parallelism ${parallelism}, but there are ${maxParallelism} key groups`;
    }
    for (const { subtask, files } of tasks) {
      const own = keyGroupRange(subtask, parallelism, maxParallelism);
      const fault = findListFault(files, own) ?? findChangedFile(files, known);
      if (fault !== undefined) return `subtask ${subtask} of ${vertex}: ${fault}`;
    }
  }
  return undefined;
}

function findListFault(files: readonly StateFile[], own: KeyGroupRange): string | undefined {
  const listed = new Map<string, StateFile[]>();
  const keyed = new Map<string, StateFile[]>();
  for (const file of files) {
    const others = listed.get(file.key) ?? [];
    // Of a file that two subtasks shared, the one that takes over from both has two parts.
    if (others.some((other) => file.kind !== 'keyed' || isOverlapping(file, other))) {
      return `${file.key} is named twice`;
    }
    listed.set(file.key, [...others, file]);
    if (file.kind !== 'keyed') continue;
    const { keyGroupStart: start, keyGroupEnd: end } = file;
    if (start >= end || start < own.start || end > own.end) {
      return `${file.key} holds key groups ${start} to ${end}, not within ${own.start} to ${own.end}`;
    }
    keyed.set(file.operator, [...(keyed.get(file.operator) ?? []), file]);
  }
  for (const [operator, runs] of keyed) {
    const depth = depthOf(runs);
    if (depth > RUNS_MAX) {
      return `operator "${operator}" has ${depth} runs of one key group, at most ${RUNS_MAX} may be`;
    }
  }
  return undefined;
}

function isOverlapping(left: StateFile, right: StateFile): boolean {
  return left.keyGroupStart < right.keyGroupEnd && right.keyGroupStart < left.keyGroupEnd;
}

/** Walks over the borders of the runs' key groups: how many lie upon each other at most. */
function depthOf(runs: readonly StateFile[]): number {
  const borders = runs
    .flatMap(({ keyGroupStart, keyGroupEnd }) => [
      { at: keyGroupStart, step: 1 },
      { at: keyGroupEnd, step: -1 },
    ])
    .sort((left, right) => left.at - right.at || left.step - right.step);
  let depth = 0;
  let deepest = 0;
  for (const { step } of borders) {
    depth += step;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function findChangedFile(
  files: readonly StateFile[],
  known: Map<string, StateFile>,
): string | undefined {
  for (const file of files) {
    const other = known.get(file.key);
    known.set(file.key, file);
    if (other === undefined) continue;
    if (file.kind !== 'keyed' || other.operator !== file.operator) {
      return `${file.key} is also another's file`;
    }
    if (other.sha256 !== file.sha256 || other.lengthBytes !== file.lengthBytes) {
      return `${file.key} has another length or checksum elsewhere`;
    }
  }
  return undefined;
}
