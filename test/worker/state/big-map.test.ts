/** Maps that are larger than memory, over a real database. */
import test from 'ava';
import * as schema from '../../../api/schema-builder.js';
import { mapState, type MapState } from '../../../api/state.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import type { ColdBelow } from '../../../worker/state/key-cache.js';
import { coldBelow } from './cold-below.js';
import { openDatabase } from './cold/open-database.js';
import { copyRuns, restoreRuns } from './run-copies.js';
import { optionsOf } from './state-fixture.js';

const ENTRIES = 250_000;
const LIVE_BYTES = 2 * 1024 * 1024;
/** A trim comes after the fact, and what the log lacks has to stay until it is written. */
const BOUND_BYTES = 4 * LIVE_BYTES;

function open(cold: ColdBelow) {
  const options = optionsOf();
  const backend = new HeapKeyedStateBackend({ ...options, cold });
  const map = backend.state('map', mapState(schema.float64)) as MapState<number>;
  return { backend, map, runs: options.runs };
}

const nameOf = (i: number): string => `name-${String(i).padStart(7, '0')}`;

test('a quarter of a million elements under one key are put, read, gone through and restored in little memory', async (t) => {
  const { client } = openDatabase(t);
  const cold = coldBelow(client, LIVE_BYTES);
  const { memory } = cold;
  let usedMax = 0;
  const look = (): void => {
    usedMax = Math.max(usedMax, memory.usedBytes);
  };
  const first = open(cold);
  first.backend.setCurrentKey('k');
  for (let i = 0; i < ENTRIES; i++) {
    first.map.put(nameOf(i), i);
    if (i % 1000 === 0) look();
  }
  t.is(first.map.get(nameOf(7)), 7);
  first.map.put(nameOf(7), -7);
  first.map.remove(nameOf(8));
  const copies = await copyRuns(first.backend.snapshot(1));
  await first.backend.close();
  const { backend, map, runs } = open(cold);
  restoreRuns(backend, runs, [copies]);
  look();
  backend.setCurrentKey('k');
  t.is(map.get(nameOf(7)), -7);
  t.false(map.has(nameOf(8)));
  t.true(map.has(nameOf(ENTRIES - 1)));
  let count = 0;
  let sum = 0;
  for (const [, value] of map.entries()) {
    count++;
    sum += value;
    if (count % 1000 === 0) look();
  }
  t.is(count, ENTRIES - 1);
  t.is(sum, (ENTRIES * (ENTRIES - 1)) / 2 - 14 - 8);
  t.true(usedMax < BOUND_BYTES, `${usedMax} bytes`);
  map.clear();
  t.true(map.isEmpty());
  t.is(backend.entryCount(), 0);
  await backend.close();
});

test('what a later run says again of an element counts once', async (t) => {
  const { client } = openDatabase(t);
  const cold = coldBelow(client, 64 * 1024);
  const first = open(cold);
  first.backend.setCurrentKey('k');
  for (let i = 0; i < 5_000; i++) first.map.put(nameOf(i), i);
  await copyRuns(first.backend.snapshot(1));
  first.backend.setCurrentKey('k');
  for (let i = 0; i < 2_000; i++) first.map.put(nameOf(i), -i);
  for (let i = 4_000; i < 5_000; i++) first.map.remove(nameOf(i));
  const copies = await copyRuns(first.backend.snapshot(2));
  t.true(copies.length > 1);
  await first.backend.close();
  const { backend, map, runs } = open(cold);
  restoreRuns(backend, runs, [copies]);
  backend.setCurrentKey('k');
  t.is(map.get(nameOf(1_999)), -1_999);
  t.is(map.get(nameOf(2_000)), 2_000);
  t.false(map.has(nameOf(4_000)));
  // One that was counted twice would be left.
  for (let i = 0; i < 4_000; i++) map.remove(nameOf(i));
  t.true(map.isEmpty());
  t.is(backend.entryCount(), 0);
  await backend.close();
});
