/**
 * More states than an entry has bits for, with and without a time to live, over checkpoints that write
 * all keys or some, that overlap, fail or are given up, while the storage of runs fails now and then.
 */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import * as schema from '../../../api/schema-builder.js';
import {
  listState,
  mapState,
  valueState,
  type ListState,
  type MapState,
  type ValueState,
} from '../../../api/state.js';
import { MillraceError } from '../../../core/errors.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { RunBuffers } from '../../../worker/state/run-buffers.js';
import { InThreadMerger } from '../../../worker/state/run-merge.js';
import { MemoryRunStorage, type RunOutput } from '../../../worker/state/run-storage.js';
import { copyRuns, restoreRuns, testRuns, type RunCopies } from './run-copies.js';
import { optionsOf } from './state-fixture.js';

const STATES = 36;
const TTL_MS = 20;
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'];
/** No number, so no checkpoint can write it. */
const BAD = 'bad' as unknown as number;
const RECORD = schema.record({ n: schema.float64, name: schema.string });

type Cell =
  | { readonly kind: 'value'; readonly state: ValueState<{ n: number; name: string }> }
  | { readonly kind: 'list'; readonly state: ListState<number> }
  | { readonly kind: 'map'; readonly state: MapState<number> };

/** Elements by name, in order, with the time of their last write. */
type Contents = ReadonlyMap<string, { readonly n: number; readonly at: number }>;
type Model = Map<string, Contents>;

type Step =
  | { readonly do: 'set'; readonly key: string; readonly state: number; readonly n: number }
  | { readonly do: 'bad' | 'clear'; readonly key: string; readonly state: number }
  | { readonly do: 'checkpoint' | 'turn' | 'fail' | 'mend' | 'wait' | 'sweep' | 'restart' };

const key = fc.constantFrom(...KEYS);
const state = fc.integer({ min: 0, max: STATES - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constant('set' as const), key, state, n: fc.nat(99) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('clear' as const), key, state }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bad' as const), key, state }) },
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['checkpoint', 'checkpoint', 'checkpoint', 'turn', 'turn', 'turn'] as const),
        ...(['fail', 'mend', 'mend', 'wait', 'sweep', 'restart'] as const),
      ),
    }),
  },
);

function isExpiring(index: number): boolean {
  return index % 4 === 1;
}

/** Reads what it is given after a while, as files are written. */
class SlowStorage extends MemoryRunStorage {
  readonly #fails: () => boolean;

  constructor(fails: () => boolean) {
    super();
    this.#fails = fails;
  }

  override async create(name: string): Promise<RunOutput> {
    const output = await super.create(name);
    return {
      ...output,
      append: async (pieces) => {
        await new Promise(setImmediate);
        if (this.#fails()) throw new MillraceError('STORAGE_UNAVAILABLE', 'no space; free some');
        return output.append(pieces);
      },
    };
  }
}

class History {
  readonly #wholeKeysMin: number;
  #now = 0;
  #storageFails = false;
  #checkpointId = 0;
  #model: Model = new Map();
  #bad = new Set<string>();
  #backend!: HeapKeyedStateBackend;
  #cells: readonly Cell[] = [];
  #pending: Promise<void>[] = [];
  #latest: { readonly runs: RunCopies; readonly model: Model } | undefined;
  /** How many checkpoints were written. */
  written = 0;

  constructor(wholeKeysMin: number) {
    this.#wholeKeysMin = wholeKeysMin;
    this.#restart();
  }

  async perform(step: Step): Promise<void> {
    switch (step.do) {
      case 'checkpoint':
        this.#checkpoint();
        return;
      case 'turn':
        return new Promise((resolve) => setImmediate(resolve));
      case 'fail':
      case 'mend':
        this.#storageFails = step.do === 'fail';
        return;
      case 'wait':
        this.#now += 7;
        return;
      case 'sweep':
        this.#backend.cleanExpired(3);
        return;
      case 'restart':
        await this.#settle();
        return this.#restart();
      case 'set':
      case 'bad':
      case 'clear':
        this.#change(step);
    }
  }

  async finish(): Promise<void> {
    await this.#settle();
    this.#storageFails = false;
    for (const place of this.#bad) {
      const [at = '', index = ''] = place.split(' ');
      this.#change({ do: 'clear', key: at, state: Number(index) });
    }
    this.#checkpoint();
    await this.#settle();
    await this.#backend.close();
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
  }

  #checkpoint(): void {
    const model = new Map(this.#model);
    const checkpointId = ++this.#checkpointId;
    const mayFail = this.#bad.size > 0;
    const written = copyRuns(this.#backend.snapshot(checkpointId));
    this.#pending.push(
      written.then(
        (runs) => {
          if (mayFail) throw new Error('a checkpoint has what its schema does not declare');
          this.written++;
          if (checkpointId < this.#checkpointId && this.#latest !== undefined) return;
          this.#latest = { runs, model };
          const [backend, cells] = this.#create(runs);
          this.#expectSame(backend, cells, model);
        },
        (error: unknown) => {
          if (!(error instanceof MillraceError)) throw error;
        },
      ),
    );
  }

  #change(step: Extract<Step, { readonly key: string }>): void {
    const cell = this.#cells[step.state];
    if (cell === undefined) return;
    const place = `${step.key} ${String(step.state)}`;
    this.#backend.prefetch([step.key]);
    this.#backend.setCurrentKey(step.key);
    const before = this.#model.get(place) ?? new Map<string, never>();
    if (
      step.do === 'clear' ||
      (step.do === 'bad' && (cell.kind !== 'value' || isExpiring(step.state)))
    ) {
      cell.state.clear();
      this.#model.delete(place);
      this.#bad.delete(place);
    } else if (step.do === 'bad' && cell.kind === 'value') {
      cell.state.update({ n: BAD, name: '' });
      this.#bad.add(place);
    } else if (step.do === 'set') {
      this.#set(cell, place, step, this.#good(before, step.state));
    }
  }

  #set(cell: Cell, place: string, { n }: { readonly n: number }, before: Contents): void {
    const written = { n, at: this.#now };
    if (cell.kind === 'value') {
      cell.state.update({ n, name: `name ${String(n)}` });
      this.#bad.delete(place);
      this.#model.set(place, new Map([['', written]]));
    } else if (cell.kind === 'list') {
      cell.state.add(n);
      const all = new Map([...before].map(([name, { n: of }]) => [name, { n: of, at: this.#now }]));
      this.#model.set(place, all.set(String(all.size), written));
    } else {
      const name = `m${String(n % 24)}`;
      cell.state.put(name, n);
      this.#model.set(place, new Map(before).set(name, written));
    }
  }

  #good(contents: Contents, index: number): Contents {
    if (!isExpiring(index)) return contents;
    return new Map([...contents].filter(([, { at }]) => at + TTL_MS > this.#now));
  }

  #restart(): void {
    const [backend, cells] = this.#create(this.#latest?.runs ?? []);
    this.#backend = backend;
    this.#cells = cells;
    this.#model = new Map(this.#latest?.model);
    this.#bad.clear();
  }

  #create(restored: RunCopies): readonly [HeapKeyedStateBackend, readonly Cell[]] {
    const storage = new SlowStorage(() => this.#storageFails);
    const { nextTurn } = testRuns();
    // A chunk at a time.
    const merger = new InThreadMerger(storage, nextTurn, new RunBuffers(), 1);
    const backend = new HeapKeyedStateBackend({
      ...optionsOf(0, 1, () => this.#now),
      runs: { storage, merger, nextTurn, layersMax: 3 },
      wholeKeysMin: this.#wholeKeysMin,
      sliceChangesMax: 2,
    });
    const cells = Array.from({ length: STATES }, (_, index) => declare(backend, index));
    if (restored.length > 0) {
      restoreRuns(backend, { storage, merger, nextTurn }, [restored]);
    }
    return [backend, cells];
  }

  #expectSame(backend: HeapKeyedStateBackend, cells: readonly Cell[], model: Model): void {
    for (const key of KEYS) {
      cells.forEach((cell, index) => {
        backend.setCurrentKey(key);
        const expected = this.#good(model.get(`${key} ${String(index)}`) ?? new Map(), index);
        const plain = [...expected].map(([name, { n }]) => [name, n] as const);
        const found = contentsOf(cell);
        const same =
          cell.kind === 'list'
            ? isDeepStrictEqual(
                found.map(([, n]) => n),
                plain.map(([, n]) => n),
              )
            : isDeepStrictEqual(new Map(found), new Map(plain));
        if (!same) {
          throw new Error(`${key} ${String(index)}: ${String(found)}, not ${String(plain)}`);
        }
      });
    }
  }
}

function declare(backend: HeapKeyedStateBackend, index: number): Cell {
  const name = `state-${String(index)}`;
  const ttl = isExpiring(index) ? { ttlMs: TTL_MS } : {};
  switch (index % 3) {
    case 0: {
      const state = backend.state(name, valueState(RECORD, ttl));
      return { kind: 'value', state: state as ValueState<{ n: number; name: string }> };
    }
    case 1: {
      const state = backend.state(name, listState(schema.float64, ttl));
      return { kind: 'list', state: state as ListState<number> };
    }
    default: {
      const state = backend.state(name, mapState(schema.float64, ttl));
      return { kind: 'map', state: state as MapState<number> };
    }
  }
}

function contentsOf(cell: Cell): readonly (readonly [string, number])[] {
  switch (cell.kind) {
    case 'value': {
      const value = cell.state.value();
      if (value === undefined) return [];
      return [['', value.name === `name ${String(value.n)}` ? value.n : NaN]];
    }
    case 'list':
      return [...cell.state.get()].map((n, index) => [String(index), n]);
    case 'map':
      return [...cell.state.entries()];
  }
}

const RUNS = 25;

for (const wholeKeysMin of [0, 1000]) {
  test(`each checkpoint restores to its moment; all keys are written from ${String(wholeKeysMin)} on`, async (t) => {
    t.timeout(600_000);
    let written = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 150, size: 'max' }), async (script) => {
        const history = new History(wholeKeysMin);
        for (const one of script) await history.perform(one);
        await history.finish();
        written += history.written;
      }),
      { numRuns: RUNS },
    );
    t.true(written > RUNS * 2);
  });
}
