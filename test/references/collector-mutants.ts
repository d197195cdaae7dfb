/**
 * Planted bugs in what deletes checkpoint files: each keeps too little or leaves too much. A test that
 * can't tell one from the product proves nothing.
 */
import { CheckpointCollector, type OwnedPrefixes } from '../../coordinator/checkpoint-collector.js';

/** Deletes a subsumed checkpoint as if nobody else named its files. */
class SharedFileDeletedEarly extends CheckpointCollector {
  override discard(prefix: string, files: readonly string[] = []): Promise<void> {
    return super.discard(prefix, files);
  }
}

/** Looks at the prefix of what it discards only. */
class SharedFileLeftBehind extends CheckpointCollector {
  override discard(
    prefix: string,
    _files: readonly string[],
    keep: readonly string[] = [],
  ): Promise<void> {
    return super.discard(prefix, [], keep);
  }
}

/** Keeps the folders of retained checkpoints, and takes what they name elsewhere for orphans. */
class ReferencesNotCountedAtTakeover extends CheckpointCollector {
  override collectOrphans(
    owned: OwnedPrefixes,
    keep: Iterable<string>,
    upTo?: number,
  ): Promise<void> {
    const keys = [...keep];
    const folders = keys
      .filter((key) => key.endsWith('/manifest.json'))
      .map((key) => key.slice(0, key.lastIndexOf('/') + 1));
    const inFolders = keys.filter((key) => folders.some((folder) => key.startsWith(folder)));
    return super.collectOrphans(owned, inFolders, upTo);
  }
}

/** Never looks for what was left behind. */
class OrphansNeverCollected extends CheckpointCollector {
  override collectOrphans(): Promise<void> {
    return Promise.resolve();
  }
}

/** Takes a running checkpoint's files for orphans. */
class RunningCheckpointSwept extends CheckpointCollector {
  override collectOrphans(owned: OwnedPrefixes, keep: Iterable<string>): Promise<void> {
    return super.collectOrphans(owned, keep);
  }
}

/** Forgets what came with a claim. */
class ClaimedPrefixForgotten extends CheckpointCollector {
  override collectOrphans(
    { jobId }: OwnedPrefixes,
    keep: Iterable<string>,
    upTo?: number,
  ): Promise<void> {
    return super.collectOrphans({ jobId, claimed: [] }, keep, upTo);
  }
}

export const COLLECTOR_MUTANTS = {
  'shared-file-deleted-early': SharedFileDeletedEarly,
  'shared-file-left-behind': SharedFileLeftBehind,
  'references-not-counted-at-takeover': ReferencesNotCountedAtTakeover,
  'orphans-never-collected': OrphansNeverCollected,
  'running-checkpoint-swept': RunningCheckpointSwept,
  'claimed-prefix-forgotten': ClaimedPrefixForgotten,
} as const satisfies Record<string, typeof CheckpointCollector>;

export type CollectorMutant = keyof typeof COLLECTOR_MUTANTS;

export const COLLECTOR_MUTANT_NAMES = Object.keys(COLLECTOR_MUTANTS) as readonly CollectorMutant[];
