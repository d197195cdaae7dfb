/**
 * What a list of runs says is gone by ranges: windows with all of their keys, and timers up to a
 * time. Each tombstone hits the rows of earlier runs, in the key groups of the run that it is from;
 * later rows of the same window or time are not meant.
 */
import type { KeyGroupRange } from '../../core/key-group.js';
import { contains, intersect } from './key-group-buckets.js';
import { corruptRun, type RunFile } from './run-file.js';
import { ROW_CODECS, type DroppedRow, type FiredRow, type TimerRow } from './run-rows.js';
import { decodeRows } from './decode-rows.js';

interface Dropped extends DroppedRow {
  readonly run: number;
}

interface Fired extends FiredRow {
  readonly run: number;
}

export class RangeTombstones {
  /** By name of the state, then by start of the window. */
  readonly #dropped = new Map<string, Map<number, Dropped[]>>();
  readonly #fired: Fired[] = [];

  constructor(runs: readonly { readonly file: RunFile; readonly keyGroups: KeyGroupRange }[]) {
    runs.forEach(({ file, keyGroups }, run) => {
      const { states, timers } = file.header;
      for (const { name, dropped } of states) {
        for (const row of clipped(decodeRows(file, dropped, ROW_CODECS.dropped()), keyGroups)) {
          this.#drop(name, { ...row, run });
        }
      }
      for (const row of clipped(decodeRows(file, timers.fired, ROW_CODECS.fired()), keyGroups)) {
        if (Number.isNaN(row.bound)) throw corruptRun('a time that is none');
        this.#fired.push({ ...row, run });
      }
    });
  }

  /** Whether a later run than `run` dropped the window. */
  isDropped(state: string, start: number, keyGroup: number, run: number): boolean {
    const dropped = this.#dropped.get(state)?.get(start);
    return dropped?.some((row) => row.run > run && contains(groupsOf(row), keyGroup)) === true;
  }

  /** Whether a later run than `run` says that no such timer is left. */
  isFired(timer: TimerRow, keyGroup: number, run: number): boolean {
    return this.#fired.some(
      (row) =>
        row.run > run &&
        row.processingTime === timer.processingTime &&
        (timer.timestamp < row.bound || (row.inclusive && timer.timestamp === row.bound)) &&
        contains(groupsOf(row), keyGroup),
    );
  }

  /** Those of a state that say something of these key groups. */
  droppedIn(state: string, keyGroups: KeyGroupRange): readonly DroppedRow[] {
    const all = [...(this.#dropped.get(state)?.values() ?? [])].flat();
    return distinct(clipped(all, keyGroups), ({ start }) => String(start));
  }

  firedIn(keyGroups: KeyGroupRange): readonly FiredRow[] {
    return distinct(
      clipped(this.#fired, keyGroups),
      (row) => `${String(row.processingTime)} ${String(row.bound)} ${String(row.inclusive)}`,
    );
  }

  #drop(state: string, row: Dropped): void {
    let starts = this.#dropped.get(state);
    if (starts === undefined) {
      starts = new Map();
      this.#dropped.set(state, starts);
    }
    const known = starts.get(row.start);
    if (known === undefined) starts.set(row.start, [row]);
    else known.push(row);
  }
}

function groupsOf(row: { readonly groupStart: number; readonly groupEnd: number }): KeyGroupRange {
  return { start: row.groupStart, end: row.groupEnd };
}

/** Those that have a part within `keyGroups`, cut down to it. */
function clipped<Row extends DroppedRow | FiredRow>(
  rows: readonly Row[],
  keyGroups: KeyGroupRange,
): readonly Row[] {
  return rows.flatMap((row) => {
    const { start: groupStart, end: groupEnd } = intersect(groupsOf(row), keyGroups);
    return groupStart < groupEnd ? [{ ...row, groupStart, groupEnd }] : [];
  });
}

function distinct<Row extends DroppedRow | FiredRow>(
  rows: readonly Row[],
  what: (row: Row) => string,
): readonly Row[] {
  const seen = new Map(
    rows.map((row) => [`${what(row)} ${String(row.groupStart)} ${String(row.groupEnd)}`, row]),
  );
  return [...seen.values()];
}
