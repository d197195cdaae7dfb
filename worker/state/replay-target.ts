/** What a replay of runs reads from and writes into; a backend or a merge. */
import { MillraceError } from '../../core/errors.js';
import type { Key } from '../../core/key-codec.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { DeclaredState } from './declared-state.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { ReplayedState } from './heap-state.js';
import type { ReplaySpan } from './replay-span.js';
import type { RunFile } from './run-file.js';

export interface ReplayTarget {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly states: ReadonlyMap<string, DeclaredState<ReplayedState>>;
  /** Whether states that are no longer declared are skipped rather than refused. */
  readonly allowNonRestoredState: boolean;
  /** Which part it holds at a time, a replay for each; undefined: all in one. */
  readonly span?: ReplaySpan;
  /** What follows is of this key. @param hash as `keyHash` has it */
  setCurrentKey(key: Key, hash: number): void;
  restoreTimer(domain: TimeDomain, timestamp: number, sequence: number): void;
  restoreRemovedTimer(domain: TimeDomain, timestamp: number): void;
}

/** A run with the key groups that count: another subtask may have the others. */
export interface ReplayedRun {
  readonly file: RunFile;
  readonly keyGroups: KeyGroupRange;
}

export function notRestorable(operator: string, what: string): MillraceError {
  return new MillraceError('STATE_NOT_RESTORABLE', `operator '${operator}': ${what}`, {
    location: { operator },
  });
}
