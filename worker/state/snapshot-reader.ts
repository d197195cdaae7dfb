/**
 * Takes the key groups of one backend out of snapshot files, whatever parallelism they were written
 * at. Values are decoded with the schema in the file and migrated to the declared one. Everything
 * read is checked, and whatever does not fit is refused by the name of the state.
 */
import { MillraceError } from '../../core/errors.js';
import { decodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { evolve, type Migration } from '../../core/schema-evolution.js';
import { schemaFromJson } from '../../core/schema-json.js';
import type { Schema } from '../../core/schema.js';
import type { DeclaredState } from './declared-state.js';
import type { KeyTable } from './key-table.js';
import type { MemoryTimers } from './memory-timers.js';
import {
  corruptSnapshot,
  readSnapshotFile,
  type ChunkEntry,
  type SnapshotFile,
  type StateSection,
} from './snapshot-file.js';
import { stateRowSchema, type KeyColumn, type StateRow, type TimerRow } from './snapshot-rows.js';

export interface RestoreTarget {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly keys: KeyTable;
  readonly states: ReadonlyMap<string, DeclaredState>;
  readonly timers: MemoryTimers;
  readonly timerCodec: (keys: KeyColumn) => RecordCodec<TimerRow>;
  /** Whether states that are no longer declared are skipped rather than refused. */
  readonly allowNonRestoredState: boolean;
}

/** @throws MillraceError CHECKPOINT_CORRUPT or STATE_NOT_RESTORABLE naming the state */
export function restoreSnapshot(bytes: Uint8Array, target: RestoreTarget): void {
  const file = readSnapshotFile(bytes);
  if (file.header.maxParallelism !== target.maxParallelism) {
    throw notRestorable(
      target,
      `the snapshot has max parallelism ${String(file.header.maxParallelism)}, the job ${String(target.maxParallelism)}; set the job's max parallelism to the former`,
    );
  }
  for (const section of file.header.states) {
    const declared = target.states.get(section.name);
    if (declared !== undefined) {
      restoreState(file, section, declared, target);
    } else if (!target.allowNonRestoredState) {
      throw notRestorable(
        target,
        `state '${section.name}' is in the snapshot but no longer declared; declare it, or restore with --allow-non-restored-state to drop it`,
      );
    }
  }
  restoreTimers(file, target);
}

function restoreState(
  file: SnapshotFile,
  section: StateSection,
  declared: DeclaredState,
  target: RestoreTarget,
): void {
  const { kind } = declared.form;
  if (section.kind !== kind) {
    throw notRestorable(
      target,
      `state '${section.name}' is a ${section.kind} state in the snapshot, now a ${kind} state; give the new one another name`,
    );
  }
  const { schema, migrate } = evolution(section, declared, target);
  const ttl = section.ttlMs !== null;
  const codec =
    migrate === null && ttl === declared.form.ttl
      ? declared.codec(file.header.keys)
      : compileRecordCodec(stateRowSchema({ kind, schema, ttl }, file.header.keys));
  eachRow(file, section.chunks, codec, target, (row) => {
    if (migrate !== null) {
      row.value =
        kind === 'list' ? (row.value as readonly unknown[]).map(migrate) : migrate(row.value);
    }
    declared.state.restoreRow(row);
  });
}

function evolution(
  section: StateSection,
  declared: DeclaredState,
  target: RestoreTarget,
): { readonly schema: Schema; readonly migrate: Migration | null } {
  let schema: Schema;
  try {
    schema = schemaFromJson(section.schema);
  } catch (cause) {
    throw corruptSnapshot(`the schema of state '${section.name}' is unreadable`, cause);
  }
  const step = evolve(schema, declared.form.schema);
  if (!step.compatible) {
    throw notRestorable(
      target,
      `state '${section.name}': ${step.reason}; keep the schema compatible, or give the new state another name`,
    );
  }
  return { schema, migrate: step.migrate };
}

function restoreTimers(file: SnapshotFile, target: RestoreTarget): void {
  const codec = target.timerCodec(file.header.keys);
  eachRow(file, file.header.timers, codec, target, (row) => {
    if (Number.isNaN(row.timestamp) || !Number.isSafeInteger(row.sequence)) {
      throw corruptSnapshot('a timer without a time');
    }
    const domain = row.processingTime ? 'processingTime' : 'eventTime';
    target.timers.restore(domain, row.timestamp, row.sequence);
  });
}

/** Visits the rows of the target's key groups, with the row's key as the current one. */
function eachRow<Row extends StateRow | TimerRow>(
  file: SnapshotFile,
  chunks: readonly ChunkEntry[],
  codec: RecordCodec<Row>,
  { keys, keyGroups, maxParallelism }: RestoreTarget,
  visit: (row: Row) => void,
): void {
  const into = { values: [] as Row[], timestamps: new Float64Array(0), count: 0 };
  for (const chunk of chunks) {
    const keyGroup = chunk[0];
    if (keyGroup < keyGroups.start || keyGroup >= keyGroups.end) continue;
    decoding(() => codec.decode(file.chunk(chunk), into));
    for (const row of into.values) {
      const key = decoding(() => keyOf(row));
      // A key that belongs elsewhere would never be found again.
      if (decoding(() => keyGroupOf(keyHash(key), maxParallelism)) !== keyGroup) {
        throw corruptSnapshot('a key outside of its key group');
      }
      keys.setCurrentKey(key);
      visit(row);
      if (keys.current !== undefined) keys.current.keyGroup = keyGroup;
    }
  }
}

function keyOf(row: StateRow | TimerRow): Key {
  return typeof row.key === 'string' ? row.key : decodeKey(row.key);
}

/** Whatever goes wrong in here is the fault of the bytes. */
function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw corruptSnapshot('a chunk that does not decode', cause);
  }
}

function notRestorable(target: RestoreTarget, what: string): MillraceError {
  return new MillraceError('STATE_NOT_RESTORABLE', `operator '${target.operator}': ${what}`, {
    location: { operator: target.operator },
  });
}
