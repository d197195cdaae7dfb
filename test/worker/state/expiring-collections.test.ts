/** Random operations on maps and lists with a time to live, small and big, against a plain model. */
import { inspect, isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import * as schema from '../../../api/schema-builder.js';
import { listState, mapState, type ListState, type MapState } from '../../../api/state.js';
import { elementsOf } from '../../../worker/state/cold/cold-key.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { copyRuns, restoreRuns } from './run-copies.js';
import { optionsOf } from './state-fixture.js';

const TTL_MS = 10_000;
/** Those of all operators. */
const ELEMENTS = { from: elementsOf(0).from, to: elementsOf(0xffff).to };
const KEYS = ['a', 'b', 'c'];

type Step =
  | { readonly do: 'put' | 'remove' | 'add'; readonly key: string; readonly n: number }
  | { readonly do: 'addMany' | 'thin'; readonly key: string }
  | { readonly do: 'clearList' | 'clearMap'; readonly key: string }
  | { readonly do: 'wait'; readonly ms: number }
  /** Idle moments. */
  | { readonly do: 'sweep' }
  /** A checkpoint, and on from it in another backend. */
  | { readonly do: 'restore' };

const key = fc.constantFrom(...KEYS);
const n = fc.integer({ min: 0, max: 9 });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('put', 'remove', 'add'), key, n }),
  fc.record({ do: fc.constantFrom('addMany', 'thin'), key }),
  fc.record({ do: fc.constantFrom('clearList', 'clearMap'), key }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1000, 4500, 9999, 10_000) }),
  fc.record({ do: fc.constantFrom('sweep', 'restore') }),
);

interface Limits {
  readonly liveBytes: number;
  readonly elementsMax: number;
}

/** What one key has, with the times of the last writes. */
interface Expected {
  list: number[];
  listWrittenAt: number;
  readonly map: Map<string, { readonly n: number; readonly writtenAt: number }>;
}

class World {
  #now = 0;
  readonly #limits: Limits;
  #database = new DatabaseModel();
  readonly #expected = new Map<string, Expected>();
  #backend: HeapKeyedStateBackend;
  #list: ListState<number>;
  #map: MapState<number>;
  #runs: ReturnType<typeof optionsOf>['runs'];

  constructor(limits: Limits) {
    this.#limits = limits;
    [this.#backend, this.#runs] = this.#open();
    this.#list = listOf(this.#backend);
    this.#map = mapOf(this.#backend);
    for (const of of KEYS) {
      this.#expected.set(of, { list: [], listWrittenAt: 0, map: new Map() });
    }
  }

  get elementRows(): number {
    return this.#database.page(ELEMENTS, Infinity).rows.length;
  }

  async perform(now: Step): Promise<void> {
    switch (now.do) {
      case 'wait':
        this.#now += now.ms;
        return;
      case 'sweep':
        for (let i = 0; i < 5; i++) this.#backend.cleanExpired(100);
        return;
      case 'restore':
        await this.#restore();
        return;
      default:
        this.#backend.setCurrentKey(now.key);
        this.#change(now, this.#of(now.key));
        this.check(now.key);
    }
  }

  check(of: string): void {
    const { list, map } = this.#of(of);
    this.#backend.setCurrentKey(of);
    expectSame([...this.#list.get()], list);
    const good = [...map].map(([name, element]) => [name, element.n]);
    expectSame([...this.#map.entries()].sort(), good.sort());
    expectSame(this.#map.isEmpty(), map.size === 0);
  }

  /** Once all has expired, no element is left anywhere. */
  async end(): Promise<void> {
    for (const of of KEYS) this.check(of);
    this.#now += 2 * TTL_MS;
    // Each step of the background walks is a bounded one.
    for (let i = 0; i < 40; i++) this.#backend.cleanExpired(100);
    expectSame(this.elementRows, 0);
    await this.#backend.close();
  }

  #change(now: Extract<Step, { readonly key: string }>, expected: Expected): void {
    const before = expected.list.length;
    switch (now.do) {
      case 'put':
        this.#map.put(`name ${String(now.n)}`, this.#now);
        expected.map.set(`name ${String(now.n)}`, { n: this.#now, writtenAt: this.#now });
        break;
      case 'remove':
        this.#map.remove(`name ${String(now.n)}`);
        expected.map.delete(`name ${String(now.n)}`);
        break;
      case 'add':
        this.#list.add(now.n);
        expected.list.push(now.n);
        break;
      case 'addMany':
        this.#list.addAll(new Set([1, 2, 3, 4, 5]));
        expected.list.push(1, 2, 3, 4, 5);
        break;
      case 'thin':
        this.#list.update(thinned(this.#list));
        expected.list = expected.list.filter((_, index) => index % 2 === 1);
        break;
      case 'clearList':
        this.#list.clear();
        expected.list = [];
        break;
      case 'clearMap':
        this.#map.clear();
        expected.map.clear();
        break;
    }
    if (now.do === 'thin' || expected.list.length > before) expected.listWrittenAt = this.#now;
  }

  /** Without what has expired. */
  #of(of: string): Expected {
    const expected = this.#expected.get(of);
    if (expected === undefined) throw new Error(`no key ${of}`);
    if (expected.listWrittenAt + TTL_MS <= this.#now) expected.list = [];
    for (const [name, { writtenAt }] of expected.map) {
      if (writtenAt + TTL_MS <= this.#now) expected.map.delete(name);
    }
    return expected;
  }

  #open(): [HeapKeyedStateBackend, ReturnType<typeof optionsOf>['runs']] {
    const { liveBytes, elementsMax } = this.#limits;
    const options = optionsOf(0, 1, () => this.#now);
    const backend = new HeapKeyedStateBackend({
      ...options,
      sliceChangesMax: 3,
      cold: coldBelow(this.#database, liveBytes),
      collectionBound: { elementsMax, bytesMax: Infinity },
    });
    return [backend, options.runs];
  }

  async #restore(): Promise<void> {
    const copies = await copyRuns(this.#backend.snapshot(1));
    await this.#backend.close();
    // A slot begins with an empty database.
    this.#database = new DatabaseModel();
    [this.#backend, this.#runs] = this.#open();
    this.#list = listOf(this.#backend);
    this.#map = mapOf(this.#backend);
    restoreRuns(this.#backend, this.#runs, [copies]);
  }
}

function listOf(backend: HeapKeyedStateBackend): ListState<number> {
  return backend.state('list', listState(schema.float64, { ttlMs: TTL_MS })) as ListState<number>;
}

function mapOf(backend: HeapKeyedStateBackend): MapState<number> {
  return backend.state('map', mapState(schema.float64, { ttlMs: TTL_MS })) as MapState<number>;
}

function* thinned(list: ListState<number>): Iterable<number> {
  let index = 0;
  for (const element of list.get()) if (index++ % 2 === 1) yield element;
}

/** Not an assertion of the test runner, so that a failing script can still be shrunk. */
function expectSame(actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`the backend has ${inspect(actual)}, the model ${inspect(expected)}`);
}

test('random operations on collections that expire equal a model and leave nothing behind', async (t) => {
  const limits = fc.record({
    liveBytes: fc.constantFrom(0, 2000, 1_000_000),
    elementsMax: fc.constantFrom(1, 4, 12),
  });
  const script = fc.array(step, { maxLength: 60, size: 'max' });
  await fc.assert(
    fc.asyncProperty(limits, script, async (limit, steps) => {
      const world = new World(limit);
      for (const now of steps) await world.perform(now);
      await world.end();
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test('a large list lives on while it is written, in memory or not, and its rows go once it is expired', async (t) => {
  const world = new World({ liveBytes: 0, elementsMax: 1 });
  const perform = async (...steps: readonly Step[]): Promise<void> => {
    for (const now of steps) await world.perform(now);
  };
  const [wait, sweep] = [{ do: 'wait', ms: 9999 }, { do: 'sweep' }] as const;
  // A restore leaves it in the log, so that it may leave memory.
  await perform({ do: 'addMany', key: 'a' }, { do: 'restore' }, wait);
  await perform({ do: 'clearMap', key: 'b' }, { do: 'add', key: 'a', n: 1 }, wait, sweep);
  await perform({ do: 'add', key: 'a', n: 2 }, { do: 'clearMap', key: 'b' }, sweep);
  world.check('a');
  await perform({ do: 'restore' }, { do: 'clearMap', key: 'b' });
  t.true(world.elementRows > 0);
  await perform(wait, sweep);
  t.true(world.elementRows > 0);
  await perform(wait, sweep);
  t.is(world.elementRows, 0);
  await world.end();
});
