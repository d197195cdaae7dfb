/** Backends of one operator at some parallelism, with one state of each kind, as tests drive them. */
import * as t from '../../../api/schema-builder.js';
import {
  aggregatingState,
  listState,
  mapState,
  reducingState,
  valueState,
  type AggregatingState,
  type ListState,
  type MapState,
  type ReducingState,
  type ValueState,
} from '../../../api/state.js';
import { keyHash, type Key } from '../../../core/key-codec.js';
import { keyGroupOf, keyGroupRange, subtaskOf } from '../../../core/key-group.js';
import type {
  KeyedStateBackend,
  KeyedStateBackendOptions,
  TimeDomain,
  WindowState,
} from '../../../worker/state/keyed-state-backend.js';
import { copyRuns, restoreRuns, testRuns, type RunCopies } from './run-copies.js';
import type { KeyContents, ModelTimer } from './state-model.js';

export type CreateBackend = (
  options: KeyedStateBackendOptions & { readonly allowNonRestoredState?: boolean },
) => KeyedStateBackend;

export const MAX_PARALLELISM = 16;
export const WINDOWS = [-10, 0, 10, 20] as const;

export const hostileKeys: readonly Key[] = [
  '',
  '1',
  1,
  1n,
  true,
  'true',
  false,
  0,
  1.5,
  -7,
  -(2n ** 63n),
  Infinity,
  '__proto__',
  'constructor',
  'toString',
  'größe',
  '日本語',
  '\ud800',
  '\ud801',
  'a'.repeat(40),
  'Ā'.repeat(40),
  'key-0001',
  'key-0002',
  { user: 'a', shop: 1 },
  { user: 'a', shop: '1' },
  { user: 'ab', shop: 1 },
  ['a', 1],
  ['a1'],
  [],
];

export const descriptors = {
  value: valueState(t.float64),
  list: listState(t.string),
  map: mapState(t.record({ n: t.int32, note: t.optional(t.string) })),
  sum: reducingState(t.float64, (a, b) => a + b),
  mean: aggregatingState(t.record({ sum: t.float64, count: t.int32 }), {
    createAccumulator: () => ({ sum: 0, count: 0 }),
    add: ({ sum, count }, input: number) => ({ sum: sum + input, count: count + 1 }),
    getResult: ({ sum, count }) => sum / count,
  }),
} as const;

export interface Subtask {
  readonly backend: KeyedStateBackend;
  readonly value: ValueState<number>;
  readonly list: ListState<string>;
  readonly map: MapState<{ readonly n: number; readonly note?: string }>;
  readonly sum: ReducingState<number>;
  readonly mean: AggregatingState<number, number>;
  readonly windows: WindowState<number>;
}

export function declare(backend: KeyedStateBackend): Subtask {
  return {
    backend,
    value: backend.state('value', descriptors.value) as Subtask['value'],
    list: backend.state('list', descriptors.list) as Subtask['list'],
    map: backend.state('map', descriptors.map) as Subtask['map'],
    sum: backend.state('sum', descriptors.sum) as Subtask['sum'],
    mean: backend.state('mean', descriptors.mean) as Subtask['mean'],
    windows: backend.windowState('windows', t.float64),
  };
}

/** All subtasks of the operator. */
export class Operator {
  readonly subtasks: readonly Subtask[];
  #checkpointId = 0;

  constructor(
    private readonly create: CreateBackend,
    parallelism = 1,
    lists: readonly RunCopies[] = [],
  ) {
    this.subtasks = Array.from({ length: parallelism }, (_, subtask) => {
      const options = optionsOf(subtask, parallelism);
      const declared = declare(create(options));
      if (lists.length > 0) restoreRuns(declared.backend, options.runs, lists);
      return declared;
    });
  }

  /** The subtask of a key, with the key as its current one. */
  at(key: Key): Promise<Subtask> {
    const group = keyGroupOf(keyHash(key), MAX_PARALLELISM);
    const index = subtaskOf(group, this.subtasks.length, MAX_PARALLELISM);
    const subtask = this.subtasks[index] as Subtask;
    subtask.backend.prefetch([key]);
    subtask.backend.setCurrentKey(key);
    return Promise.resolve(subtask);
  }

  /** Maps in order of their keys: in which order a backend gives them is its own affair. */
  async contents(key: Key): Promise<KeyContents> {
    const { value, list, map, sum, mean, windows } = await this.at(key);
    return {
      value: value.value(),
      list: [...list.get()],
      map: new Map([...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1))),
      sum: sum.get(),
      mean: mean.get(),
      windows: new Map(
        WINDOWS.flatMap((start) => {
          const held = windows.get(start);
          return held === undefined ? [] : [[start, held] as const];
        }),
      ),
    };
  }

  advance(domain: TimeDomain, time: number): readonly ModelTimer[] {
    const fired: ModelTimer[] = [];
    for (const { backend } of this.subtasks) {
      backend.timers.advance(domain, time, (timestamp, key) => {
        fired.push({ key, domain, timestamp });
      });
    }
    return fired;
  }

  /** Of all subtasks at this moment, though their runs may be written later. */
  snapshot(): Promise<readonly RunCopies[]> {
    const checkpointId = ++this.#checkpointId;
    const snapshots = this.subtasks.map(({ backend }) => backend.snapshot(checkpointId));
    return Promise.all(snapshots.map(copyRuns));
  }

  /** The same operator after a restore at another parallelism. */
  async rescaled(parallelism: number): Promise<Operator> {
    return this.restored(parallelism, await this.snapshot());
  }

  /** A new instance that goes on from a snapshot. */
  restored(parallelism: number, lists: readonly RunCopies[]): Operator {
    return new Operator(this.create, parallelism, lists);
  }

  async close(): Promise<void> {
    await Promise.all(this.subtasks.map(({ backend }) => backend.close()));
  }
}

export function optionsOf(
  subtask = 0,
  parallelism = 1,
  now: () => number = () => 0,
): KeyedStateBackendOptions {
  return {
    operator: 'per user',
    keyGroups: keyGroupRange(subtask, parallelism, MAX_PARALLELISM),
    maxParallelism: MAX_PARALLELISM,
    now,
    runs: testRuns(),
  };
}
