/** Lists that are larger than memory, over a real database. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import * as schema from '../../../api/schema-builder.js';
import { listState, type ListState } from '../../../api/state.js';
import type { Infer } from '../../../core/schema.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { openDatabase } from './cold/open-database.js';
import { copyRuns, restoreRuns } from './run-copies.js';
import { optionsOf } from './state-fixture.js';

const ELEMENTS = 300_000;
const LIVE_BYTES = 2 * 1024 * 1024;
/** What the log lacks has to stay until it is written. */
const BOUND_BYTES = 4 * LIVE_BYTES;
/** One key, with what of its list has no row yet. */
const KEY_BYTES = 64 * 1024;
/** The elements as objects take three times as much. */
const HEAP_BYTES = 12 * 1024 * 1024;

const Reading = schema.record({ sensor: schema.string, value: schema.float64 });
type Reading = Infer<typeof Reading>;

const readingOf = (value: number): Reading => ({
  sensor: `sensor-${String(value).padStart(8, '0')}`,
  value,
});

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

function* thinned(list: ListState<Reading>): Iterable<Reading> {
  for (const reading of list.get()) if (reading.value % 2 === 1) yield reading;
}

test('three hundred thousand elements of one list are added, gone through, restored and replaced in little memory', async (t) => {
  const { client } = openDatabase(t);
  const cold = coldBelow(client, LIVE_BYTES);
  const before = heapBytes();
  let usedMax = 0;
  let heapMax = 0;
  const open = (): { backend: HeapKeyedStateBackend; list: ListState<Reading>; runs: RunsOf } => {
    const options = optionsOf();
    const backend = new HeapKeyedStateBackend({ ...options, cold });
    const list = backend.state('list', listState(Reading)) as ListState<Reading>;
    return { backend, list, runs: options.runs };
  };
  const look = (i: number): void => {
    if (i % 1000 === 0) usedMax = Math.max(usedMax, cold.memory.usedBytes);
    if (i % 100_000 === 99_999) heapMax = Math.max(heapMax, heapBytes() - before);
  };
  /** Whether they are these, in this order. */
  const areAll = (list: ListState<Reading>, first: number, step: number): boolean => {
    let expected = first;
    let count = 0;
    for (const { sensor, value } of list.get()) {
      if (value !== expected || sensor !== readingOf(expected).sensor) return false;
      expected += step;
      look(count++);
    }
    return expected === ELEMENTS + first;
  };
  const first = open();
  first.backend.setCurrentKey('k');
  for (let i = 0; i < ELEMENTS; i++) {
    first.list.add(readingOf(i));
    look(i);
  }
  t.true(areAll(first.list, 0, 1));
  const copies = await copyRuns(first.backend.snapshot(1));
  t.true(cold.memory.usedBytes < KEY_BYTES, `${cold.memory.usedBytes} bytes live`);
  await first.backend.close();
  const { backend, list, runs } = open();
  restoreRuns(backend, runs, [copies]);
  look(0);
  backend.setCurrentKey('k');
  t.true(areAll(list, 0, 1));
  list.update(thinned(list));
  t.true(areAll(list, 1, 2));
  t.true(usedMax < BOUND_BYTES, `${usedMax} bytes live`);
  t.true(heapMax < HEAP_BYTES, `${heapMax} bytes of heap`);
  list.clear();
  t.deepEqual([...list.get()], []);
  t.is(backend.entryCount(), 0);
  await backend.close();
});

test('a large list may grow or go while somebody goes through it', (t) => {
  const backend = new HeapKeyedStateBackend({
    ...optionsOf(),
    cold: coldBelow(new DatabaseModel(), LIVE_BYTES),
    collectionBound: { elementsMax: 40, bytesMax: Infinity },
  });
  const list = backend.state('list', listState(schema.float64)) as ListState<number>;
  backend.setCurrentKey('k');
  const all = Array.from({ length: 45 }, (_, index) => index);
  list.addAll(all);
  const met: number[] = [];
  for (const n of list.get()) {
    met.push(n);
    // Those after the last row become one meanwhile.
    if (n > 41) list.addAll(all.slice(0, 10));
  }
  t.deepEqual(met, all);
  list.update(all);
  const kept: number[] = [];
  for (const n of list.get()) {
    kept.push(n);
    if (n === 3) list.clear();
  }
  t.deepEqual(kept, all);
  t.deepEqual([...list.get()], []);
});

type RunsOf = ReturnType<typeof optionsOf>['runs'];
