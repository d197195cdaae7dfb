/**
 * The tables of the cold store against plain maps, over the model of the database and over a real one;
 * and what their filters, bounds and background work must spare or do.
 */
import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import type { ColdDatabase } from '../../../../worker/state/cold/cold-database.js';
import type { ColdKey, ColdTimer } from '../../../../worker/state/cold/cold-key.js';
import { ColdStore } from '../../../../worker/state/cold/cold-store.js';
import { FilterBudget } from '../../../../worker/state/cold/key-filter.js';
import { DatabaseModel } from './database-model.js';
import { startDatabase } from './open-database.js';
import { plainStore, type Tables } from './plain-store.js';

const { client, runner } = startDatabase();
test.after.always(() => runner.end());

let operators = 0;
function newStore(database: ColdDatabase, filterBytes = 1024 * 1024): ColdStore {
  const filterBudget = new FilterBudget(filterBytes);
  return new ColdStore({ database, operator: operators++, filterBudget });
}

function tablesOf(store: ColdStore): Tables {
  const { rows, elements } = store;
  return {
    rows,
    elements,
    windows: store.windows(1),
    flush: () => store.flush(),
    tidy: (now) => void store.tidy(now),
  };
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('latin1');
}

function keyOf(text: string): ColdKey {
  return { bytes: Buffer.from(text), keyGroup: text.length };
}

/** All pages of something that is read on after its last item. */
function pagesOf<T>(page: (after: T | undefined) => readonly [items: readonly T[], more: boolean]) {
  const found: T[] = [];
  for (let more = true; more;) {
    const [items, isMore] = page(found.at(-1));
    found.push(...items);
    more = isMore;
  }
  return found;
}

const key = fc.constantFrom('a', 'b', 'ab', 'abc').map(keyOf);
const collection = fc.constantFrom(0, 1, 2 ** 40);
const name = fc.constantFrom('', 'x', 'y', 'xy').map((text) => Buffer.from(text));
const contents = fc.string({ maxLength: 5 }).map((text) => Buffer.from(text, 'latin1'));
const start = fc.constantFrom(-5, 0, 1.5, 1000);

/** What it returns must be the same for all stores. */
type Step = (tables: Tables) => unknown;

const rowOf = (row: ColdKey & { readonly contents: Uint8Array }): unknown => [
  row.keyGroup,
  textOf(row.bytes),
  textOf(row.contents),
];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(key, contents).map(
    ([k, c]): Step =>
      ({ rows }) =>
        rows.put(k, c),
  ),
  key.map(
    (k): Step =>
      ({ rows }) =>
        rows.delete(k),
  ),
  fc.array(key).map(
    (keys): Step =>
      ({ rows }) =>
        rows.beginRead(keys).values().map(textOf),
  ),
  fc.constant<Step>(({ rows }) => [...rows.scan({ start: 1, end: 3 })].map(rowOf)),
  fc.tuple(collection, name, contents).map(
    ([n, k, c]): Step =>
      ({ elements }) =>
        elements.put(n, k, c),
  ),
  fc.tuple(collection, name).map(
    ([n, k]): Step =>
      ({ elements }) =>
        elements.delete(n, k),
  ),
  fc.tuple(collection, name).map(
    ([n, k]): Step =>
      ({ elements }) =>
        textOf(elements.get(n, k)),
  ),
  collection.map((n): Step => ({ elements }) => {
    const found = pagesOf<{ name: Uint8Array; contents: Uint8Array }>((after) => {
      const page = elements.page(n, after?.name, 2);
      return [page.elements, page.more];
    });
    return found.map((element) => [textOf(element.name), textOf(element.contents)]);
  }),
  fc.tuple(start, key, contents).map(
    ([s, k, c]): Step =>
      ({ windows }) =>
        windows.put(s, k, c),
  ),
  fc.tuple(start, fc.array(key)).map(
    ([s, keys]): Step =>
      ({ windows }) =>
        windows.beginRead(s, keys).values().map(textOf),
  ),
  start.map(
    (s): Step =>
      ({ windows }) =>
        windows.drop(s),
  ),
  start.map((s): Step => ({ windows }) => {
    const found = pagesOf<ColdKey & { contents: Uint8Array }>((after) => {
      const page = windows.page(s, after, 2);
      return [page.rows, page.more];
    });
    return found.map(rowOf);
  }),
  fc.constant<Step>(({ windows }) => [...windows.starts()].sort()),
  fc.constant<Step>((tables) => tables.tidy(0)),
  fc.constant<Step>((tables) => tables.flush()),
);

function holdsOver(database: () => ColdDatabase, numRuns: number): void {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const [real, plain] = [tablesOf(newStore(database())), plainStore()].map((tables) =>
        steps.map((one) => one(tables) ?? null),
      );
      deepStrictEqual(real, plain);
    }),
    { numRuns },
  );
}

test('rows, elements and windows over the model are what maps would be', (t) => {
  holdsOver(() => new DatabaseModel(), 500);
  t.pass();
});

test('rows, elements and windows over RocksDB are what maps would be', (t) => {
  holdsOver(() => client, 60);
  t.pass();
});

test('timers are due in order, and the earliest is known', (t) => {
  const timer = fc.record<ColdTimer>(
    {
      timestamp: fc.constantFrom(-Infinity, -10, 0, 3, 3.5, 1e12, Infinity),
      sequence: fc.integer({ min: 0, max: 20 }),
      key: fc.constantFrom('a', 'b').map((text) => Buffer.from(text)),
    },
    { noNullPrototype: true },
  );
  const operation = fc.oneof(
    timer.map((one) => ({ add: one })),
    fc.nat().map((index) => ({ remove: index })),
    fc.constantFrom(-10, 2, 4, Infinity).map((upTo) => ({ upTo })),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), fc.boolean(), (operations, real) => {
      const { timers } = newStore(real ? client : new DatabaseModel());
      let plain: ColdTimer[] = [];
      for (const one of operations) {
        if ('add' in one) {
          // The order of registration tells timers apart.
          if (plain.some(({ sequence }) => sequence === one.add.sequence)) continue;
          timers.add('eventTime', one.add);
          plain.push(one.add);
        } else if ('remove' in one) {
          const removed = plain[one.remove % plain.length];
          if (removed === undefined) continue;
          timers.remove('eventTime', removed);
          plain = plain.filter((timer) => timer !== removed);
        } else {
          const due = plain
            .filter(({ timestamp }) => timestamp <= one.upTo)
            .sort((a, b) => a.timestamp - b.timestamp || a.sequence - b.sequence);
          for (const timer of plain) timers.rewind('eventTime', timer);
          deepStrictEqual(timers.take('eventTime', one.upTo, 3), due.slice(0, 3));
          deepStrictEqual(timers.take('eventTime', one.upTo, 30), due.slice(3));
          for (const timer of plain) timers.rewind('eventTime', timer);
        }
        const earliest = plain.map(({ timestamp }) => timestamp).sort((a, b) => a - b)[0];
        deepStrictEqual(timers.next('eventTime'), earliest);
        deepStrictEqual(timers.count('eventTime'), plain.length);
        deepStrictEqual(timers.next('processingTime'), undefined);
      }
    }),
  );
  t.pass();
});

test('a key that was never put costs no read', (t) => {
  const database = new DatabaseModel();
  const { rows, elements } = newStore(database);
  const windows = newStore(database).windows(1);
  for (let i = 0; i < 1000; i++) {
    rows.put(keyOf(`in ${i}`), Buffer.from('x'));
    elements.put(1, Buffer.from(`in ${i}`), Buffer.from('x'));
    windows.put(0, keyOf(`in ${i}`), Buffer.from('x'));
  }
  for (let i = 0; i < 1000; i++) {
    rows.get(keyOf(`out ${i}`));
    elements.get(1, Buffer.from(`out ${i}`));
    windows.get(0, keyOf(`out ${i}`));
    windows.get(1, keyOf(`in ${i}`));
  }
  t.true(database.reads < 100, `${database.reads} reads`);
});

test('deleted keys are forgotten by a filter made anew, which has all the others', (t) => {
  const database = new DatabaseModel();
  const store = newStore(database);
  for (let i = 0; i < 12_000; i++) store.rows.put(keyOf(`key ${i}`), Buffer.from('x'));
  for (let i = 0; i < 9000; i++) store.rows.delete(keyOf(`key ${i}`));
  for (let i = 0; i < 2; i++) {
    store.tidy(0);
    store.rows.put(keyOf(`put meanwhile ${i}`), Buffer.from('x'));
  }
  database.reads = 0;
  for (let i = 0; i < 9000; i++) store.rows.get(keyOf(`key ${i}`));
  t.true(database.reads < 900, `${database.reads} reads`);
  for (let i = 9000; i < 12_000; i++) t.truthy(store.rows.get(keyOf(`key ${i}`)));
  for (let i = 0; i < 2; i++) t.truthy(store.rows.get(keyOf(`put meanwhile ${i}`)));
});

test('expired rows go in the background, not before their second', (t) => {
  const database = new DatabaseModel();
  const store = newStore(database);
  for (let i = 0; i < 10_000; i++) {
    store.rows.put(keyOf(`${i}`), Buffer.from('x'), i % 2 === 0 ? 10_000 : undefined);
  }
  store.elements.put(1, Buffer.from('n'), Buffer.from('x'), 10_001);
  for (let i = 0; i < 4; i++) store.tidy(9999);
  t.is(database.size, 10_001);
  for (let i = 0; i < 4; i++) store.tidy(10_000);
  t.is(database.size, 5001);
  for (let i = 0; i < 4; i++) store.tidy(11_000);
  t.is(database.size, 5000);
});

test('what a dropped window held is deleted in slices, also when it is put into again', (t) => {
  const database = new DatabaseModel();
  const store = newStore(database);
  const windows = store.windows(1);
  for (const window of [0, 1]) {
    for (let i = 0; i < 10_000; i++) windows.put(window, keyOf(`${i}`), Buffer.from('x'));
    windows.drop(window);
  }
  t.is(database.size, 20_000);
  store.tidy(0);
  t.is(database.size, 20_000 - 4096);
  windows.put(1, keyOf('new'), Buffer.from('x'));
  t.is(database.size, 10_000 - 4096 + 1);
  for (let i = 0; i < 3; i++) store.tidy(0);
  t.is(database.size, 1);
});

test('what a dropped collection held is deleted in slices', (t) => {
  const database = new DatabaseModel();
  const { elements } = newStore(database);
  const dropped = elements.create();
  const kept = elements.create();
  for (let i = 0; i < 10_000; i++) elements.put(dropped, Buffer.from(`${i}`), Buffer.from('x'));
  elements.put(kept, Buffer.from('0'), Buffer.from('x'));
  elements.drop(dropped, 9000);
  elements.tidy(0);
  t.is(database.size, 10_001 - 4096);
  for (let i = 0; i < 2; i++) elements.tidy(0);
  t.is(database.size, 1);
});
