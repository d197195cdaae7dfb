/**
 * The states of a merge: what several runs together say of each key, one class per shape of state.
 * Unlike the states of a backend they remember what is gone, since earlier runs may have it.
 */
import type { Key } from '../../core/key-codec.js';
import { ROW_ELEMENTS_MAX } from './list-elements.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { ForetoldState, ReplayedState, StateChanges } from './heap-state.js';
import type { StateKind, StateRow } from './run-rows.js';
import type { MergeRequest } from './run-services.js';

export class MergedKey {
  /** By index of the state. */
  readonly cells: unknown[] = [];
  /** Sequence by timestamp. */
  timers: Readonly<Record<TimeDomain, Map<number, number>>> | undefined;

  constructor(readonly key: Key) {}
}

/** What goes into the merged run. */
export type MergeRule = Pick<MergeRequest, 'toBase' | 'now' | 'completeUntil'>;

export interface MergedState extends ReplayedState {
  write(key: MergedKey, changes: StateChanges): void;
}

export interface MergedStateOptions {
  readonly index: number;
  readonly ttlMs: number | null;
  readonly rule: MergeRule;
  /** The key at hand. */
  readonly current: () => MergedKey;
  /** Where rows of the key at hand go in this state. */
  readonly changes: (index: number) => StateChanges | undefined;
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

interface Written {
  readonly value: unknown;
  readonly writtenAt: number | undefined;
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
  protected abstract writeContents(contents: T, changes: StateChanges): void;
  /** Whether the rows replace those of earlier runs anyway. */
  protected abstract readonly replaces: boolean;

  write(key: MergedKey, changes: StateChanges): void {
    const cell = key.cells[this.options.index] as MergedCell<T> | undefined;
    if (cell === undefined) return;
    const { cleared, contents } = cell;
    const replaced = this.replaces && contents !== undefined;
    if (cleared && !this.options.rule.toBase && !replaced) changes.clear();
    if (contents !== undefined) this.writeContents(contents, changes);
  }

  protected cell(): MergedCell<T> {
    const { cells } = this.options.current();
    const known = cells[this.options.index] as MergedCell<T> | undefined;
    if (known !== undefined) return known;
    const cell = new MergedCell<T>();
    cells[this.options.index] = cell;
    return cell;
  }

  protected isExpired(writtenAt: number | undefined, by = this.options.rule.now): boolean {
    const { ttlMs, rule } = this.options;
    return rule.toBase && ttlMs !== null && writtenAt !== undefined && writtenAt + ttlMs <= by;
  }

  /** A time to live that was declared later counts from the merge. */
  protected writeRow({ value, writtenAt }: Written, changes: StateChanges): void {
    changes.row.value = value;
    changes.row.writtenAt = writtenAt ?? this.options.rule.now;
    changes.put();
  }
}

class MergedValues extends CellState<Written> {
  protected readonly replaces = true;

  restoreRow({ value, writtenAt }: StateRow): void {
    this.cell().contents = { value, writtenAt };
  }

  restoreRemoved(): void {
    // There are no elements.
  }

  protected writeContents(contents: Written, changes: StateChanges): void {
    if (this.isExpired(contents.writtenAt)) return;
    this.writeRow(contents, changes);
  }
}

class MergedList {
  /** How many clears are still to come; what comes before them is not worth keeping. */
  clearsLeft = 0;
  /** Of all its rows. */
  lastWrittenAt: number | undefined;
  /** Those of its elements that are not written yet. */
  elements: unknown[] = [];
  /** Of those. */
  writtenAt: number | undefined;
}

/** Rows go on as they come, for a list may be larger than memory. */
class MergedLists extends CellState<MergedList> {
  protected readonly replaces = false;
  readonly foretold: ForetoldState = {
    foretellCleared: () => {
      this.#list().clearsLeft++;
    },
    // Whether all of it has expired depends on its last row.
    foretellRow:
      this.options.ttlMs === null || !this.options.rule.toBase
        ? undefined
        : ({ writtenAt }) => {
            this.#list().lastWrittenAt = writtenAt;
          },
  };

  override restoreCleared(): void {
    this.cell().cleared = true;
    this.#list().clearsLeft--;
  }

  restoreRow({ value, writtenAt }: StateRow): void {
    const list = this.#list();
    if (list.clearsLeft > 0 || this.#isExpired(list)) return;
    for (const element of value as readonly unknown[]) list.elements.push(element);
    list.writtenAt = writtenAt;
    while (list.elements.length >= ROW_ELEMENTS_MAX) {
      const row = list.elements.splice(0, ROW_ELEMENTS_MAX);
      const changes = this.options.changes(this.options.index);
      if (changes !== undefined) this.writeRow({ value: row, writtenAt }, changes);
    }
  }

  restoreRemoved(): void {
    // Elements of a list have no names.
  }

  protected writeContents({ elements, writtenAt }: MergedList, changes: StateChanges): void {
    if (elements.length > 0) this.writeRow({ value: elements, writtenAt }, changes);
  }

  /** Whoever adds to a list that has not expired gives new life to all of it. */
  #isExpired({ lastWrittenAt }: MergedList): boolean {
    return this.isExpired(lastWrittenAt, this.options.rule.completeUntil);
  }

  #list(): MergedList {
    return (this.cell().contents ??= new MergedList());
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

  protected writeContents(elements: MergedElements, changes: StateChanges): void {
    for (const [name, element] of elements) {
      changes.row.name = name;
      if (element === undefined) {
        if (!this.options.rule.toBase) changes.remove();
      } else if (!this.isExpired(element.writtenAt)) {
        this.writeRow(element, changes);
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

  protected writeContents(windows: Map<number, unknown>, changes: StateChanges): void {
    for (const [start, value] of windows) {
      changes.row.start = start;
      this.writeRow({ value, writtenAt: undefined }, changes);
    }
  }
}
