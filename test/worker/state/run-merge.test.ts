/** Merged runs say what their inputs say, to a restore and to the runs before them. */
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
import { schemaToJson } from '../../../core/schema-json.js';
import type { Schema } from '../../../core/schema.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { RunBuffers } from '../../../worker/state/run-buffers.js';
import { openRunFile } from '../../../worker/state/run-file.js';
import { mergeRuns } from '../../../worker/state/run-merge.js';
import type { MergeRequest } from '../../../worker/state/run-services.js';
import { bytesOf, joined } from '../../../worker/state/run-storage.js';
import { copyRuns, restoreRuns, type RunCopies, type RunCopy } from './run-copies.js';
import { keyText } from './state-model.js';
import { descriptors, MAX_PARALLELISM, Operator, optionsOf } from './state-fixture.js';

const FORMS: MergeRequest['states'] = [
  ...Object.entries(descriptors).map(([name, { kind, schema: form }]) => ({
    name,
    kind,
    schema: schemaToJson(form),
    ttlMs: null,
  })),
  { name: 'windows', kind: 'window', schema: 'float64', ttlMs: null },
];

/** What a merge holds at a time: all of a bucket, or a chunk of it. */
const PASSES = [
  ['one pass', Infinity],
  ['a pass for each chunk', 1],
] as const;

function merge(
  inputs: RunCopies,
  options: Partial<MergeRequest> = {},
  heldBytesMax = Infinity,
): RunCopies {
  const merged: RunCopy[] = [];
  let pieces: Uint8Array[] = [];
  const steps = mergeRuns(
    inputs.map(({ bytes, keyGroups }) => ({ file: openRunFile(bytesOf(bytes)), keyGroups })),
    {
      operator: 'per user',
      keyGroups: { start: 0, end: MAX_PARALLELISM },
      maxParallelism: MAX_PARALLELISM,
      states: FORMS,
      checkpointId: 1,
      toBase: false,
      now: 0,
      completeUntil: 0,
      ...options,
    },
    new RunBuffers(),
    heldBytesMax,
  );
  for (const step of steps) {
    pieces.push(...step.pieces);
    if (step.ended === undefined) continue;
    merged.push({ bytes: joined(pieces), keyGroups: step.ended.keyGroups });
    pieces = [];
  }
  return merged;
}

/** Never merges by itself. */
function operator(): Operator {
  const merger = { merge: () => new Promise<never>(() => undefined) };
  return new Operator(
    (options) => new HeapKeyedStateBackend({ ...options, runs: { ...options.runs, merger } }),
  );
}

/** A base and three changes, the middle one of which removes what the base and the first have. */
async function history(of: Operator): Promise<readonly RunCopy[]> {
  const fill = async (key: string, n: number): Promise<void> => {
    const { value, list, map, sum, windows, backend } = await of.at(key);
    value.update(n);
    // More than a row.
    list.addAll(Array.from({ length: 300 }, (_, index) => `${key} ${String(n)} ${String(index)}`));
    for (let i = 0; i < 20; i++) map.put(`m${String(i)}`, { n });
    sum.add(n);
    windows.put(0, n);
    windows.put(10, n);
    for (const timestamp of [1, 5, 9]) backend.timers.register('eventTime', timestamp);
  };
  for (const key of ['a', 'b', 'c']) await fill(key, 1);
  await of.snapshot();
  await fill('d', 2);
  await fill('a', 2);
  await of.snapshot();
  const { value, list, map, windows, backend } = await of.at('a');
  value.clear();
  list.clear();
  map.remove('m3');
  windows.drop(10);
  backend.timers.delete('eventTime', 9);
  of.advance('eventTime', 1);
  (await of.at('b')).map.clear();
  await of.snapshot();
  await fill('b', 4);
  const again = await of.at('a');
  again.list.add('again');
  again.backend.timers.register('eventTime', 9);
  const [runs = []] = await of.snapshot();
  return runs;
}

async function told(runs: RunCopies, parallelism: number): Promise<unknown> {
  const restored = operator().restored(parallelism, [runs]);
  const contents = [];
  for (const key of ['a', 'b', 'c', 'd']) contents.push(await restored.contents(key));
  const fired = restored.advance('eventTime', 99);
  return [
    contents,
    fired.map(({ key, timestamp }) => `${keyText(key)} ${String(timestamp)}`).sort(),
  ];
}

for (const [passes, heldBytesMax] of PASSES) {
  test(`neighbours may be merged wherever they stand: ${passes}`, async (t) => {
    const runs = await history(operator());
    t.is(runs.length, 4);
    const expected = await told(runs, 1);
    for (let from = 0; from < 4; from++) {
      for (let to = from + 1; to <= 4; to++) {
        const merged = merge(runs.slice(from, to), { toBase: from === 0 }, heldBytesMax);
        const together = [...runs.slice(0, from), ...merged, ...runs.slice(to)];
        t.deepEqual(await told(together, 1), expected, `${String(from)} to ${String(to)}`);
        t.deepEqual(await told(together, 3), expected);
      }
    }
  });

  test(`a base holds nothing of what is gone: ${passes}`, async (t) => {
    const runs = await history(operator());
    const [base = t.fail()] = merge(runs, { toBase: true }, heldBytesMax);
    const { states, timers } = openRunFile(bytesOf(base.bytes)).header;
    for (const { dropped, cleared, removed } of states) {
      t.deepEqual([dropped, cleared, removed], [[], [], []]);
    }
    t.deepEqual([timers.fired, timers.removed], [[], []]);
  });
}

test('nothing is said twice, in however many passes', async (t) => {
  const runs = await history(operator());
  // The rows of a list are as many as the passes that had some of it.
  const states = FORMS.filter(({ kind }) => kind !== 'list');
  for (const toBase of [false, true]) {
    const [one, many] = PASSES.map(([, heldBytesMax]) =>
      merge(runs.slice(toBase ? 0 : 1), { states, toBase }, heldBytesMax).map(
        ({ bytes }) => openRunFile(bytesOf(bytes)).header.changes,
      ),
    );
    t.deepEqual(many, one);
  }
});

test('ranges that are gone count in the key groups of their run only', async (t) => {
  const runs = await history(operator());
  const half = (keyGroups: RunCopy['keyGroups']): RunCopies =>
    runs.map((run) => ({ ...run, keyGroups }));
  // The lower half never heard of the last two runs.
  const lower = half({ start: 0, end: 8 }).slice(0, 2);
  const upper = half({ start: 8, end: 16 });
  const expected = await told([...lower, ...upper], 1);
  t.notDeepEqual(expected, await told(runs, 1));
  t.deepEqual(await told([...upper, ...lower], 1), expected);
  const merged = merge([...lower.slice(1), ...upper.slice(1)]);
  t.deepEqual(
    await told([...lower.slice(0, 1), ...upper.slice(0, 1), ...merged], 2),
    await told([...lower, ...upper], 2),
  );
});

test('what has expired is left out of a base, and only there', async (t) => {
  let now = 0;
  const ttlMs = 10;
  const declare = (backend: HeapKeyedStateBackend) =>
    ({
      value: backend.state('value', valueState(schema.float64, { ttlMs })),
      list: backend.state('list', listState(schema.float64, { ttlMs })),
      map: backend.state('map', mapState(schema.float64, { ttlMs })),
    }) as {
      readonly value: ValueState<number>;
      readonly list: { add(n: number): void };
      readonly map: { put(name: string, n: number): void };
    };
  const backend = new HeapKeyedStateBackend(optionsOf(0, 1, () => now));
  const { value, list, map } = declare(backend);
  for (const key of ['old', 'new']) {
    backend.setCurrentKey(key);
    value.update(1);
    list.add(1);
    map.put('x', 1);
    map.put('y', 1);
  }
  await copyRuns(backend.snapshot(1));
  now = 9;
  backend.setCurrentKey('new');
  list.add(2);
  map.put('y', 2);
  const runs = await copyRuns(backend.snapshot(2));
  const states = (['value', 'list', 'map'] as const).map((kind) => ({
    name: kind,
    kind,
    schema: 'float64' as const,
    ttlMs,
  }));
  for (const [passes, heldBytesMax] of PASSES) {
    // Each of two passes had some of a list.
    const more = heldBytesMax === Infinity ? 0 : 1;
    const rows = (toBase: boolean): number =>
      merge(runs, { states, toBase, now: 10, completeUntil: 10 }, heldBytesMax).reduce(
        (sum, { bytes }) => sum + openRunFile(bytesOf(bytes)).header.changes,
        0,
      );
    // Eight, and that the changed map was rewritten whole.
    t.is(rows(false), 9 + more, passes);
    t.is(rows(true), 2 + more, passes);
  }
});

test('a list is expired or not as a whole, by its last row', async (t) => {
  let now = 0;
  const form = listState(schema.float64, { ttlMs: 10 });
  const open = (
    options: ReturnType<typeof optionsOf>,
  ): [HeapKeyedStateBackend, ListState<number>] => {
    const backend = new HeapKeyedStateBackend(options);
    return [backend, backend.state('list', form) as ListState<number>];
  };
  const [backend, list] = open(optionsOf(0, 1, () => now));
  const many = Array.from({ length: 300 }, (_, index) => index);
  for (const key of ['old', 'new']) {
    backend.setCurrentKey(key);
    list.addAll(many);
  }
  await copyRuns(backend.snapshot(1));
  now = 9;
  backend.setCurrentKey('new');
  list.add(300);
  const states = [{ name: 'list', kind: 'list', schema: 'float64', ttlMs: 10 } as const];
  const runs = await copyRuns(backend.snapshot(2));
  for (const [passes, heldBytesMax] of PASSES) {
    const merged = (completeUntil: number): RunCopy => {
      const request = { states, toBase: true, now: 10, completeUntil };
      return merge(runs, request, heldBytesMax)[0] ?? t.fail();
    };
    const kept = (run: RunCopy): readonly unknown[] => {
      const options = optionsOf(0, 1, () => 18);
      const [restored, after] = open(options);
      restoreRuns(restored, options.runs, [[run]]);
      return ['old', 'new'].map((key) => {
        restored.setCurrentKey(key);
        return [...after.get()];
      });
    };
    const base = merged(10);
    t.deepEqual(kept(base), [[], [...many, 300]], passes);
    t.true(base.bytes.length < merged(9).bytes.length, 'somebody may have added to the old one');
  }
});

const change = fc.record({
  do: fc.constantFrom('put', 'put', 'remove', 'clear'),
  key: fc.constantFrom('a', 'b'),
  from: fc.nat(1500),
  count: fc.nat(1500),
  step: fc.integer({ min: 1, max: 5 }),
});

test('a map of many chunks is the same in any number of passes, in order of its last writes', async (t) => {
  const form = mapState(schema.float64, { ttlMs: 1e9 });
  const states = [{ name: 'map', kind: 'map', schema: 'float64', ttlMs: 1e9 } as const];
  const open = (
    options: ReturnType<typeof optionsOf>,
  ): [HeapKeyedStateBackend, MapState<number>] => {
    const merger = { merge: () => new Promise<never>(() => undefined) };
    const backend = new HeapKeyedStateBackend({ ...options, runs: { ...options.runs, merger } });
    return [backend, backend.state('map', form) as MapState<number>];
  };
  const kept = (runs: RunCopies): readonly unknown[] => {
    const options = optionsOf();
    const [backend, map] = open(options);
    restoreRuns(backend, options.runs, [runs]);
    return ['a', 'b'].map((key) => {
      backend.setCurrentKey(key);
      return [...map.entries()];
    });
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { maxLength: 4 }), { minLength: 2, maxLength: 5 }),
      fc.integer({ min: 1, max: 400_000 }),
      fc.nat(4),
      async (layers, heldBytesMax, first) => {
        const [backend, map] = open(optionsOf());
        let runs: RunCopies = [];
        let n = 0;
        for (const [index, changes] of layers.entries()) {
          for (const { do: what, key, from, count, step } of changes) {
            backend.setCurrentKey(key);
            if (what === 'clear') map.clear();
            for (let i = from; i < from + count; i += step) {
              if (what === 'put') map.put(`name ${String(i)}`, n++);
              else if (what === 'remove') map.remove(`name ${String(i)}`);
            }
          }
          runs = await copyRuns(backend.snapshot(index + 1));
        }
        const from = Math.min(first, runs.length);
        const options = { states, toBase: from === 0 };
        const merged = merge(runs.slice(from), options, heldBytesMax);
        t.deepEqual(kept([...runs.slice(0, from), ...merged]), kept(runs));
      },
    ),
    { numRuns: 30 },
  );
});

test('a state that was dropped in between does not come back, nor does a field', async (t) => {
  const write = async (
    form: Schema | undefined,
    value: unknown,
    before: RunCopies,
  ): Promise<RunCopies> => {
    const options = { ...optionsOf(), allowNonRestoredState: true };
    const backend = new HeapKeyedStateBackend(options);
    const other = backend.state('other', valueState(schema.float64)) as ValueState<number>;
    const state =
      form === undefined
        ? undefined
        : (backend.state('s', valueState(form)) as ValueState<unknown>);
    if (before.length > 0) restoreRuns(backend, options.runs, [before]);
    backend.setCurrentKey(String(before.length));
    other.update(1);
    state?.update(value);
    return copyRuns(backend.snapshot(1));
  };
  const read = (form: Schema, runs: RunCopies): unknown => {
    const options = optionsOf();
    const backend = new HeapKeyedStateBackend(options);
    backend.state('other', valueState(schema.float64));
    const state = backend.state('s', valueState(form)) as ValueState<unknown>;
    restoreRuns(backend, options.runs, [runs]);
    backend.setCurrentKey('0');
    return state.value();
  };
  const full = schema.record({ n: schema.int32, note: schema.optional(schema.string) });
  const less = schema.record({ n: schema.float64 });
  const later = schema.record({ n: schema.float64, note: schema.optional(schema.string) });
  const first = await write(full, { n: 1, note: 'old' }, []);
  t.deepEqual(read(later, first), { n: 1, note: 'old' });
  const second = await write(less, { n: 2 }, first);
  t.deepEqual(read(later, second), { n: 1 });
  t.is(read(later, await write(later, { n: 3 }, await write(undefined, 0, first))), undefined);
});

test('a subtask that changes nothing still tells of a state that was dropped', async (t) => {
  const first = new HeapKeyedStateBackend(optionsOf());
  const gone = first.state('gone', valueState(schema.float64)) as ValueState<number>;
  first.setCurrentKey('k');
  gone.update(1);
  const options = { ...optionsOf(), allowNonRestoredState: true };
  const second = new HeapKeyedStateBackend(options);
  restoreRuns(second, options.runs, [await copyRuns(first.snapshot(1))]);
  const runs = await copyRuns(second.snapshot(2));
  const strict = optionsOf();
  t.notThrows(() => {
    restoreRuns(new HeapKeyedStateBackend(strict), strict.runs, [runs]);
  });
});
