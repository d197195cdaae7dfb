/**
 * The states of a merge: what several runs together say of each key, one class per shape of state.
 * Unlike the states of a backend they remember what is gone, since earlier runs may have it. Rows
 * after the span at hand, which a later pass will write, only take away what they replace.
 */
import type { Key } from '../../core/key-codec.js';
import { ROW_ELEMENTS_MAX } from './list-elements.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { ReplayedState, StateChanges } from './heap-state.js';
import type { ReplaySpan } from './replay-span.js';
import type { StateKind, StateRow } from './run-rows.js';
import type { MergeRequest } from './run-services.js';

export class MergedKey {
  /** By index of the state. */
  readonly cells: unknown[] = [];
  /** Sequence by timestamp. */
  timers: Readonly<Record<TimeDomain, Map<number, number>>> | undefined;

  constructor(
    readonly key: Key,
    /** As `keyHash` has it. */
    readonly hash: number,
  ) {}
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
  readonly span: Pick<ReplaySpan, 'isLater'>;
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
    if (this.options.span.isLater) {
      this.forget();
      return;
    }
    const cell = this.cell();
    cell.cleared = true;
    cell.contents = undefined;
  }

  restoreRow(row: StateRow): void {
    if (!this.options.span.isLater) {
      this.keep(row);
      return;
    }
    const contents = this.heldCell?.contents;
    if (contents !== undefined) this.replaceBy(row, contents);
  }

  restoreRemoved(_row: StateRow): void {
    // Only maps have elements with names.
  }

  protected abstract keep(row: StateRow): void;
  /** The row comes after the span. */
  protected abstract replaceBy(row: StateRow, contents: T): void;
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

  protected get heldCell(): MergedCell<T> | undefined {
    return this.options.current().cells[this.options.index] as MergedCell<T> | undefined;
  }

  protected cell(): MergedCell<T> {
    const known = this.heldCell;
    if (known !== undefined) return known;
    const cell = new MergedCell<T>();
    this.options.current().cells[this.options.index] = cell;
    return cell;
  }

  protected forget(): void {
    this.options.current().cells[this.options.index] = undefined;
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

  protected keep({ value, writtenAt }: StateRow): void {
    this.cell().contents = { value, writtenAt };
  }

  protected replaceBy(): void {
    this.forget();
  }

  protected writeContents(contents: Written, changes: StateChanges): void {
    if (this.isExpired(contents.writtenAt)) return;
    this.writeRow(contents, changes);
  }
}

interface MergedList {
  /** Those of the span. */
  readonly elements: unknown[];
  /** Of those. */
  writtenAt: number | undefined;
  /** Of all its rows, later ones too. */
  lastWrittenAt: number | undefined;
}

class MergedLists extends CellState<MergedList> {
  protected readonly replaces = false;

  /** Later rows replace none. But whether all of a list has expired depends on its last one. */
  ignoresLater(): boolean {
    return !this.options.rule.toBase || this.options.ttlMs === null;
  }

  protected keep({ value, writtenAt }: StateRow): void {
    const list = (this.cell().contents ??= {
      elements: [],
      writtenAt: undefined,
      lastWrittenAt: undefined,
    });
    for (const element of value as readonly unknown[]) list.elements.push(element);
    list.writtenAt = writtenAt;
    list.lastWrittenAt = writtenAt;
  }

  protected replaceBy({ writtenAt }: StateRow, list: MergedList): void {
    list.lastWrittenAt = writtenAt;
  }

  /** Whoever adds to a list that has not expired gives new life to all of it. */
  protected writeContents(list: MergedList, changes: StateChanges): void {
    const { elements, writtenAt, lastWrittenAt } = list;
    if (this.isExpired(lastWrittenAt, this.options.rule.completeUntil)) return;
    for (let from = 0; from < elements.length; from += ROW_ELEMENTS_MAX) {
      this.writeRow({ value: elements.slice(from, from + ROW_ELEMENTS_MAX), writtenAt }, changes);
    }
  }
}

/** undefined: the element is gone. */
type MergedElements = Map<string, Written | undefined>;

class MergedMaps extends CellState<MergedElements> {
  protected readonly replaces = false;

  override restoreRemoved({ name }: StateRow): void {
    if (this.options.span.isLater) this.heldCell?.contents?.delete(name);
    else this.#set(name, undefined);
  }

  protected keep({ name, value, writtenAt }: StateRow): void {
    this.#set(name, { value, writtenAt });
  }

  protected replaceBy({ name }: StateRow, elements: MergedElements): void {
    elements.delete(name);
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

  protected keep({ start, value }: StateRow): void {
    (this.cell().contents ??= new Map<number, unknown>()).set(start, value);
  }

  protected replaceBy({ start }: StateRow, windows: Map<number, unknown>): void {
    windows.delete(start);
  }

  protected writeContents(windows: Map<number, unknown>, changes: StateChanges): void {
    for (const [start, value] of windows) {
      changes.row.start = start;
      this.writeRow({ value, writtenAt: undefined }, changes);
    }
  }
}
