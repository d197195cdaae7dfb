/** The contract of the time to live: from the last write, on every read, across snapshots. */
import test from 'ava';
import * as schema from '../../../api/schema-builder.js';
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
import type { KeyedStateBackend } from '../../../worker/state/keyed-state-backend.js';
import { copyRuns, restoreRuns, type RunCopies } from './run-copies.js';
import { optionsOf, type CreateBackend } from './state-fixture.js';

interface Handles {
  readonly value: ValueState<string>;
  readonly list: ListState<string>;
  readonly map: MapState<string>;
  readonly sum: ReducingState<number>;
  readonly last: AggregatingState<number, number>;
}

function declareExpiring(backend: KeyedStateBackend, ttl: { readonly ttlMs?: number }): Handles {
  const last = {
    createAccumulator: () => 0,
    add: (_accumulator: number, input: number) => input,
    getResult: (accumulator: number) => accumulator,
  };
  return {
    value: backend.state('value', valueState(schema.string, ttl)) as Handles['value'],
    list: backend.state('list', listState(schema.string, ttl)) as Handles['list'],
    map: backend.state('map', mapState(schema.string, ttl)) as Handles['map'],
    sum: backend.state(
      'sum',
      reducingState(schema.float64, (a, b) => a + b, ttl),
    ) as Handles['sum'],
    last: backend.state('last', aggregatingState(schema.float64, last, ttl)) as Handles['last'],
  };
}

function fill({ value, list, map, sum, last }: Handles): void {
  value.update('v');
  list.add('e');
  map.put('m', 'x');
  sum.add(1);
  last.add(1);
}

function read({ value, list, map, sum, last }: Handles): unknown {
  return [value.value(), [...list.get()], [...map.entries()], map.isEmpty(), sum.get(), last.get()];
}

const FULL = ['v', ['e'], [['m', 'x']], false, 1, 1];
const EMPTY = [undefined, [], [], true, undefined, undefined];

export function timeToLiveContract(create: CreateBackend): void {
  const ttl = { ttlMs: 100 };

  test('an entry is gone when its time to live has passed since the last write', (t) => {
    let now = 1000;
    const backend = create(optionsOf(0, 1, () => now));
    const handles = declareExpiring(backend, ttl);
    backend.setCurrentKey('k');
    fill(handles);
    now = 1099;
    t.deepEqual(read(handles), FULL);
    now = 1100;
    t.deepEqual(read(handles), EMPTY);
    t.false(handles.map.has('m'));
    t.is(handles.map.get('m'), undefined);
  });

  test('a write starts the time anew, a read does not; elements of a map have their own', (t) => {
    let now = 0;
    const backend = create(optionsOf(0, 1, () => now));
    const { value, list, map } = declareExpiring(backend, ttl);
    backend.setCurrentKey('k');
    value.update('v');
    list.add('old');
    map.put('old', '1');
    now = 60;
    value.update('v');
    list.add('new');
    map.put('new', '2');
    now = 120;
    t.is(value.value(), 'v');
    t.deepEqual([...list.get()], ['old', 'new']);
    t.deepEqual([...map.entries()], [['new', '2']]);
    t.deepEqual([map.has('old'), map.isEmpty()], [false, false]);
    now = 160;
    t.is(value.value(), undefined);
    t.true(map.isEmpty());
    map.put('old', '3');
    t.deepEqual([...map.entries()], [['old', '3']]);
  });

  test('the sweep removes what has expired, a bounded part at a time', (t) => {
    let now = 0;
    const backend = create(optionsOf(0, 1, () => now));
    const handles = declareExpiring(backend, { ttlMs: 100_000 });
    for (let i = 0; i < 100; i++) {
      now = i < 60 ? 0 : 50_000;
      backend.setCurrentKey(i);
      fill(handles);
    }
    t.is(backend.entryCount(), 500);
    now = 100_000;
    backend.cleanExpired(10);
    t.true(backend.entryCount() >= 490);
    for (let i = 0; i < 200; i++) backend.cleanExpired(10);
    t.is(backend.entryCount(), 200);
    backend.setCurrentKey(99);
    t.deepEqual(read(handles), FULL);
    now = 150_000;
    for (let i = 0; i < 3; i++) backend.cleanExpired(10_000);
    t.is(backend.entryCount(), 0);
  });

  test('a snapshot keeps the time of the last write and leaves out what has expired', async (t) => {
    let now = 0;
    const backend = create(optionsOf(0, 1, () => now));
    const handles = declareExpiring(backend, { ttlMs: 100_000 });
    backend.setCurrentKey('old');
    fill(handles);
    now = 50_000;
    backend.setCurrentKey('new');
    fill(handles);
    now = 100_000;
    const runs = await copyRuns(backend.snapshot(1));
    const options = optionsOf(0, 1, () => now);
    const restored = create(options);
    const after = declareExpiring(restored, { ttlMs: 100_000 });
    restoreRuns(restored, options.runs, [runs]);
    for (let i = 0; i < 3; i++) restored.cleanExpired(100);
    t.is(restored.entryCount(), 5);
    now = 149_000;
    restored.setCurrentKey('new');
    t.deepEqual(read(after), FULL);
    now = 150_000;
    t.deepEqual(read(after), EMPTY);
  });

  test('a time to live may be added, which counts from the restore, and taken away', async (t) => {
    let now = 0;
    const snapshots = [{}, ttl].map((before) => {
      const backend = create(optionsOf(0, 1, () => now));
      const handles = declareExpiring(backend, before);
      backend.setCurrentKey('k');
      fill(handles);
      return copyRuns(backend.snapshot(1));
    });
    const [without, withTtl] = (await Promise.all(snapshots)) as [RunCopies, RunCopies];
    now = 1000;
    const addedOptions = optionsOf(0, 1, () => now);
    const added = create(addedOptions);
    const addedHandles = declareExpiring(added, ttl);
    restoreRuns(added, addedOptions.runs, [without]);
    const removedOptions = optionsOf(0, 1, () => now);
    const removed = create(removedOptions);
    const removedHandles = declareExpiring(removed, {});
    restoreRuns(removed, removedOptions.runs, [withTtl]);
    added.setCurrentKey('k');
    removed.setCurrentKey('k');
    now = 1099;
    t.deepEqual([read(addedHandles), read(removedHandles)], [FULL, FULL]);
    now = 1100;
    t.deepEqual([read(addedHandles), read(removedHandles)], [EMPTY, FULL]);
  });
}
