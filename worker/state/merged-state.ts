/**
 * The states of a merge: what several runs together say of each key, one class per shape of state.
 * Unlike the states of a backend they remember what is gone, since earlier runs may have it.
 */
import type { Key } from '../../core/key-codec.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { ReplayedState, StateChanges } from './memory-state.js';
import type { StateKind, StateRow } from './run-rows.js';
import type { MergeRequest } from './run-services.js';

/** Elements in one row of a list. */
const ROW_ELEMENTS_MAX = 256;

export class MergedKey {
  /** By index of the state. */
  readonly cells: unknown[] = [];
  /** Sequence by timestamp. */
  timers: Readonly<Record<TimeDomain, Map<number, number>>> | undefined;

  constructor(readonly key: Key) {}
}

/** What goes into the merged run. */
export type MergeRule = Pick<MergeRequest, 'toBase' | 'now'>;

export interface MergedState extends ReplayedState {
  write(key: MergedKey, changes: StateChanges, rule: MergeRule): void;
}

export interface MergedStateOptions {
  readonly index: number;
  readonly ttlMs: number | null;
  /** The key at hand. */
  readonly current: () => MergedKey;
}

export function mergedState(kind: StateKind, options: MergedStateOptions): MergedState {
  switch (kind) {
    case 'list':
      return new MergedLists(options);
    case 'map':
      return new MergedMaps(options);
    case 'window':
      return new MergedWindows(options);
    default:
      return new MergedValues(options);
  }
}

class MergedCell<T> {
  /** Whatever earlier runs have of the key is gone. */
  cleared = false;
  contents: T | undefined;
}

/** Reads and makes the cells of one state. */
abstract class CellState<T> implements MergedState {
  protected readonly options: MergedStateOptions;

  constructor(options: MergedStateOptions) {
    this.options = options;
  }

  restoreCleared(): void {
    const cell = this.cell();
    cell.cleared = true;
    cell.contents = undefined;
  }

  abstract restoreRow(row: StateRow): void;
  abstract restoreRemoved(row: StateRow): void;
  protected abstract writeContents(contents: T, changes: StateChanges, rule: MergeRule): void;
  /** Whether the rows replace those of earlier runs anyway. */
  protected abstract readonly replaces: boolean;

  write(key: MergedKey, changes: StateChanges, rule: MergeRule): void {
    const cell = key.cells[this.options.index] as MergedCell<T> | undefined;
    if (cell === undefined) return;
    const { cleared, contents } = cell;
    const replaced = this.replaces && contents !== undefined;
    if (cleared && !rule.toBase && !replaced) changes.clear();
    if (contents !== undefined) this.writeContents(contents, changes, rule);
  }

  protected cell(): MergedCell<T> {
    const { cells } = this.options.current();
    const known = cells[this.options.index] as MergedCell<T> | undefined;
    if (known !== undefined) return known;
    const cell = new MergedCell<T>();
    cells[this.options.index] = cell;
    return cell;
  }

  protected isExpired(writtenAt: number | undefined, { toBase, now }: MergeRule): boolean {
    const { ttlMs } = this.options;
    return toBase && ttlMs !== null && writtenAt !== undefined && writtenAt + ttlMs <= now;
  }
}

interface Written {
  readonly value: unknown;
  readonly writtenAt: number | undefined;
}

class MergedValues extends CellState<Written> {
  protected readonly replaces = true;

  restoreRow({ value, writtenAt }: StateRow): void {
    this.cell().contents = { value, writtenAt };
  }

  restoreRemoved(): void {
    // There are no elements.
  }

  protected writeContents(contents: Written, changes: StateChanges, rule: MergeRule): void {
    if (this.isExpired(contents.writtenAt, rule)) return;
    writeRow(contents, changes, rule);
  }
}

interface MergedList {
  readonly elements: unknown[];
  writtenAt: number | undefined;
}

class MergedLists extends CellState<MergedList> {
  protected readonly replaces = false;

  restoreRow({ value, writtenAt }: StateRow): void {
    const list = (this.cell().contents ??= { elements: [], writtenAt });
    for (const element of value as readonly unknown[]) list.elements.push(element);
    list.writtenAt = writtenAt;
  }

  restoreRemoved(): void {
    // Elements of a list have no names.
  }

  protected writeContents(list: MergedList, changes: StateChanges, rule: MergeRule): void {
    const { elements, writtenAt } = list;
    if (this.isExpired(writtenAt, rule)) return;
    for (let at = 0; at < elements.length; at += ROW_ELEMENTS_MAX) {
      writeRow({ value: elements.slice(at, at + ROW_ELEMENTS_MAX), writtenAt }, changes, rule);
    }
  }
}

/** undefined: the element is gone. */
type MergedElements = Map<string, Written | undefined>;

class MergedMaps extends CellState<MergedElements> {
  protected readonly replaces = false;

  restoreRow({ name, value, writtenAt }: StateRow): void {
    this.#set(name, { value, writtenAt });
  }

  restoreRemoved({ name }: StateRow): void {
    this.#set(name, undefined);
  }

  protected writeContents(elements: MergedElements, changes: StateChanges, rule: MergeRule): void {
    for (const [name, element] of elements) {
      changes.row.name = name;
      if (element === undefined) {
        if (!rule.toBase) changes.remove();
      } else if (!this.isExpired(element.writtenAt, rule)) {
        writeRow(element, changes, rule);
      }
    }
  }

  #set(name: string, element: Written | undefined): void {
    const elements = (this.cell().contents ??= new Map());
    // In order of the last write, which the sweep for expired elements goes by.
    elements.delete(name);
    elements.set(name, element);
  }
}

class MergedWindows extends CellState<Map<number, unknown>> {
  protected readonly replaces = true;

  restoreRow({ start, value }: StateRow): void {
    (this.cell().contents ??= new Map<number, unknown>()).set(start, value);
  }

  restoreRemoved(): void {
    // Windows are dropped by ranges.
  }

  protected writeContents(
    windows: Map<number, unknown>,
    changes: StateChanges,
    rule: MergeRule,
  ): void {
    for (const [start, value] of windows) {
      changes.row.start = start;
      writeRow({ value, writtenAt: undefined }, changes, rule);
    }
  }
}

/** A time to live that was declared later counts from the merge. */
function writeRow({ value, writtenAt }: Written, changes: StateChanges, { now }: MergeRule): void {
  changes.row.value = value;
  changes.row.writtenAt = writtenAt ?? now;
  changes.put();
}
