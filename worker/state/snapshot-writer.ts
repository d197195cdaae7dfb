/**
 * Writes the contents of a memory backend into chunks, key group by key group. All of it happens
 * before `writeSnapshot` returns: values are live objects that the next record may change.
 */
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { encodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import { NO_TIMESTAMP, type RecordBuilder, type RecordCodec } from '../../core/record-codec.js';
import { schemaToJson } from '../../core/schema-json.js';
import type { DeclaredState } from './declared-state.js';
import type { KeyEntry, KeyTable } from './key-table.js';
import type { KeyedStateSnapshot, TimeDomain } from './keyed-state-backend.js';
import type { MemoryTimers } from './memory-timers.js';
import { ChunkList, SNAPSHOT_VERSION, type ChunkEntry } from './snapshot-file.js';
import { StateRow, TimerRow, type KeyColumn } from './snapshot-rows.js';
import type { Timer } from './timer-queue.js';

/** A chunk is closed at either; large enough for columns to pay, small beside one heap page run. */
const CHUNK_ROWS_MAX = 1024;
const CHUNK_BYTES_MAX = 256 * 1024;

export interface SnapshotContents {
  readonly operator: string;
  readonly checkpointId: number;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly keys: KeyTable;
  readonly states: readonly DeclaredState[];
  readonly timers: MemoryTimers;
  readonly timerCodec: (keys: KeyColumn) => RecordCodec<TimerRow>;
}

export function writeSnapshot(contents: SnapshotContents): KeyedStateSnapshot {
  const { keyGroups, operator, checkpointId, maxParallelism, timers } = contents;
  const { groups, column } = byKeyGroup(contents);
  const list = new ChunkList();
  const states = contents.states.map((declared) => ({
    name: declared.name,
    kind: declared.form.kind,
    schema: schemaToJson(declared.form.schema),
    ttlMs: declared.ttlMs ?? null,
    chunks: writeState(declared, groups, keyGroups.start, column, list, operator),
  }));
  const timerGroups = groups.map((): [TimeDomain, Timer][] => []);
  for (const domain of ['eventTime', 'processingTime'] as const) {
    for (const timer of timers.queue(domain).timers()) {
      timerGroups[timer.entry.keyGroup - keyGroups.start]?.push([domain, timer]);
    }
  }
  const codec = contents.timerCodec(column);
  const header = {
    version: SNAPSHOT_VERSION,
    operator,
    checkpointId,
    maxParallelism,
    keyGroups,
    keys: column,
    states,
    timers: writeTimers(codec.builder(CHUNK_ROWS_MAX), timerGroups, keyGroups.start, column, list),
  } as const;
  return { keyGroups, bytes: () => list.join(header) };
}

interface GroupedEntries {
  readonly groups: readonly KeyEntry[][];
  readonly column: KeyColumn;
}

function byKeyGroup({ keys, keyGroups, maxParallelism }: SnapshotContents): GroupedEntries {
  const { start, end } = keyGroups;
  const groups = Array.from({ length: end - start }, (): KeyEntry[] => []);
  let onlyStrings = true;
  for (const entry of keys.entries()) {
    if (entry.keyGroup < 0) entry.keyGroup = keyGroupOf(keyHash(entry.key), maxParallelism);
    const group = groups[entry.keyGroup - start];
    if (group === undefined) throw foreignKey(entry, keyGroups);
    group.push(entry);
    onlyStrings &&= typeof entry.key === 'string';
  }
  return { groups, column: onlyStrings ? 'string' : 'bytes' };
}

function writeState(
  declared: DeclaredState,
  groups: readonly (readonly KeyEntry[])[],
  firstGroup: number,
  column: KeyColumn,
  list: ChunkList,
  operator: string,
): readonly ChunkEntry[] {
  const chunks: ChunkEntry[] = [];
  const row = new StateRow();
  const builder = declared.codec(column).builder(CHUNK_ROWS_MAX);
  let keyGroup = firstGroup;
  const emit = (): void => {
    builder.append(row, NO_TIMESTAMP);
    if (isFull(builder)) chunks.push(list.add(keyGroup, builder.finish()));
  };
  try {
    for (const entries of groups) {
      for (const entry of entries) {
        row.key = keyCell(entry.key, column);
        declared.state.eachRow(entry, row, emit);
      }
      if (builder.count > 0) chunks.push(list.add(keyGroup, builder.finish()));
      keyGroup++;
    }
  } catch (error) {
    throw namingState(error, declared.name, operator);
  }
  return chunks;
}

function writeTimers(
  builder: RecordBuilder<TimerRow>,
  groups: readonly (readonly [TimeDomain, Timer][])[],
  firstGroup: number,
  column: KeyColumn,
  list: ChunkList,
): readonly ChunkEntry[] {
  const chunks: ChunkEntry[] = [];
  const row = new TimerRow();
  let keyGroup = firstGroup;
  for (const timers of groups) {
    for (const [domain, timer] of timers) {
      row.key = keyCell(timer.entry.key, column);
      row.timestamp = timer.timestamp;
      row.sequence = timer.sequence;
      row.processingTime = domain === 'processingTime';
      builder.append(row, NO_TIMESTAMP);
      if (isFull(builder)) chunks.push(list.add(keyGroup, builder.finish()));
    }
    if (builder.count > 0) chunks.push(list.add(keyGroup, builder.finish()));
    keyGroup++;
  }
  return chunks;
}

function isFull(builder: RecordBuilder<unknown>): boolean {
  return builder.count >= CHUNK_ROWS_MAX || builder.byteEstimate >= CHUNK_BYTES_MAX;
}

function keyCell(key: Key, column: KeyColumn): string | Uint8Array {
  return column === 'string' && typeof key === 'string' ? key : encodeKey(key);
}

function foreignKey(entry: KeyEntry, { start, end }: KeyGroupRange): MillraceError {
  return new MillraceError(
    'KEY_GROUP_RANGE',
    `a key of group ${String(entry.keyGroup)} reached the owner of groups ${String(start)} to ${String(end - 1)}; make the key selector return the same key each time`,
  );
}

function namingState(error: unknown, state: string, operator: string): unknown {
  if (!isMillraceError(error) || error.code !== 'SCHEMA_MISMATCH') return error;
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `state '${state}' holds what its schema does not declare: ${error.message.replace('SCHEMA_MISMATCH: ', '')}`,
    { cause: error, location: { operator } },
  );
}
