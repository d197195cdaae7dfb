/**
 * Which retained checkpoint names which files. Checkpoints share files, so a file goes with the last
 * manifest that names it: these sets say which those are. Pure; kept in memory by the checkpoint
 * decider and read from the manifests once when a coordinator takes a job over.
 */
import type { StateFile } from './state-file.js';

/** Blob keys by the id of the retained checkpoint whose manifest names them. */
export type FileReferences = ReadonlyMap<number, ReadonlySet<string>>;

/** What goes with a checkpoint that is no longer retained. */
export interface DiscardedFiles {
  /** Files outside its prefix that only it named. */
  readonly files: readonly string[];
  /** Files under its prefix that retained checkpoints name; everything else there goes. */
  readonly keep: readonly string[];
}

export function keysOf(tasks: Iterable<{ readonly files: readonly StateFile[] }>): Set<string> {
  const keys = new Set<string>();
  for (const { files } of tasks) for (const { key } of files) keys.add(key);
  return keys;
}

export function isNamed(references: FileReferences, key: string): boolean {
  for (const keys of references.values()) if (keys.has(key)) return true;
  return false;
}

/** Every file that some retained checkpoint names, once. */
export function namedFiles(references: FileReferences): readonly string[] {
  const named = new Set<string>();
  for (const keys of references.values()) for (const key of keys) named.add(key);
  return [...named];
}

/**
 * @param named what the manifest of the discarded checkpoint names
 * @param references those that are still retained
 */
export function discardedFiles(
  prefix: string,
  named: ReadonlySet<string>,
  references: FileReferences,
): DiscardedFiles {
  const files: string[] = [];
  const keep: string[] = [];
  for (const key of named) {
    const isOwn = key.startsWith(prefix);
    if (isNamed(references, key)) {
      if (isOwn) keep.push(key);
    } else if (!isOwn) files.push(key);
  }
  return { files, keep };
}
