/** The tables of a cold store as they are said to behave, made of nothing but maps. */
import type { ColdElements } from '../../../../worker/state/cold/cold-elements.js';
import type { ColdKey } from '../../../../worker/state/cold/cold-key.js';
import type { ColdRow, ColdRows } from '../../../../worker/state/cold/cold-rows.js';
import type { ColdWindows } from '../../../../worker/state/cold/cold-windows.js';

/** What random steps use of a store. */
export interface Tables {
  readonly rows: Pick<ColdRows, 'get' | 'put' | 'delete' | 'scan' | 'beginRead'>;
  readonly elements: Pick<ColdElements, 'put' | 'delete' | 'get' | 'page'>;
  readonly windows: Pick<ColdWindows, 'put' | 'drop' | 'starts' | 'beginRead' | 'page'>;
  flush(): void;
  tidy(now: number): void;
}

/** Values by something that sorts: bytes as latin1 text. */
class SortedMap<T> {
  readonly #items = new Map<string, T>();

  set(key: string, item: T): void {
    this.#items.set(key, item);
  }

  delete(key: string): void {
    this.#items.delete(key);
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  after(key: string | undefined): T[] {
    return [...this.#items]
      .filter(([one]) => key === undefined || one > key)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, item]) => item);
  }
}

interface PlainElement {
  readonly name: Uint8Array;
  readonly contents: Uint8Array;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** Sorts as key group and key do. */
function sortOf({ keyGroup, bytes }: ColdKey): string {
  return `${String(keyGroup).padStart(5, '0')} ${textOf(bytes)}`;
}

function read<T>(values: readonly T[]): { values(): readonly T[] } {
  return { values: () => values };
}

export function plainStore(): Tables {
  const rows = new SortedMap<ColdRow>();
  const elements = new Map<number, SortedMap<PlainElement>>();
  const windows = new Map<number, SortedMap<ColdRow>>();
  return {
    rows: {
      get: (key) => rows.get(sortOf(key))?.contents,
      put: (key, contents) => rows.set(sortOf(key), { ...key, contents }),
      delete: (key) => rows.delete(sortOf(key)),
      beginRead: (keys) => read(keys.map((key) => rows.get(sortOf(key))?.contents)),
      scan: ({ start, end }) =>
        rows.after(undefined).filter(({ keyGroup }) => keyGroup >= start && keyGroup < end),
    },
    elements: {
      put: (collection, name, contents) => {
        const map = elements.get(collection) ?? new SortedMap();
        elements.set(collection, map);
        map.set(textOf(name), { name, contents });
      },
      delete: (collection, name) => elements.get(collection)?.delete(textOf(name)),
      get: (collection, name) => elements.get(collection)?.get(textOf(name))?.contents,
      page: (collection, after, countMax = Infinity) => {
        const found = elements.get(collection)?.after(after && textOf(after)) ?? [];
        return { elements: found.slice(0, countMax), more: found.length > countMax };
      },
    },
    windows: {
      put: (start, key, contents) => {
        const window = windows.get(start) ?? new SortedMap();
        windows.set(start, window);
        window.set(sortOf(key), { ...key, contents });
      },
      drop: (start) => void windows.delete(start),
      starts: () => windows.keys(),
      beginRead: (start, keys) =>
        read(keys.map((key) => windows.get(start)?.get(sortOf(key))?.contents)),
      page: (start, after, countMax) => {
        const found = windows.get(start)?.after(after && sortOf(after)) ?? [];
        return { rows: found.slice(0, countMax), more: found.length > countMax };
      },
    },
    flush: () => undefined,
    tidy: () => undefined,
  };
}
