/** The contract of snapshots: whole, isolated, rescalable, evolvable, and safe when garbled. */
import test from 'ava';
import fc from 'fast-check';
import * as schema from '../../../api/schema-builder.js';
import { listState, mapState, valueState, type ValueState } from '../../../api/state.js';
import { isMillraceError } from '../../../core/errors.js';
import type { Schema } from '../../../core/schema.js';
import type { KeyedStateBackend } from '../../../worker/state/keyed-state-backend.js';
import { runScript, scriptArbitrary } from './state-script.js';
import { declare, hostileKeys, Operator, optionsOf, type CreateBackend } from './state-fixture.js';
import { copyRuns, restoreRuns, type RunCopies } from './run-copies.js';
import { keyText } from './state-model.js';

export function restoreContract(create: CreateBackend): void {
  test('random operations with restores at other parallelisms in between equal a model', async (t) => {
    await fc.assert(
      fc.asyncProperty(scriptArbitrary, async (script) => {
        await runScript(new Operator(create), script);
      }),
      { numRuns: 80 },
    );
    t.pass();
  });

  test('a snapshot holds what was there when it was taken', async (t) => {
    const operator = new Operator(create);
    const subtask = await operator.at('k');
    subtask.list.add('before');
    subtask.map.put('m', { n: 1 });
    subtask.backend.timers.register('eventTime', 5);
    const before = await operator.contents('k');
    const snapshot = subtask.backend.snapshot(7);
    subtask.list.add('after');
    subtask.map.put('m', { n: 2 });
    subtask.value.update(1);
    subtask.backend.timers.register('eventTime', 6);
    (await operator.at('late')).value.update(1);
    const restored = operator.restored(1, [await copyRuns(snapshot)]);
    t.deepEqual(await restored.contents('k'), before);
    t.is((await restored.contents('late')).value, undefined);
    t.deepEqual(
      restored.advance('eventTime', 9).map(({ timestamp }) => timestamp),
      [5],
    );
  });

  test('a key that was cleared before a snapshot keeps what it gets while that is taken', async (t) => {
    const operator = new Operator(create);
    const { value, backend } = await operator.at('k');
    value.update(1);
    await operator.at('other');
    await operator.snapshot();
    (await operator.at('k')).value.clear();
    await operator.at('other');
    const snapshot = backend.snapshot(2);
    (await operator.at('k')).value.update(2);
    await operator.at('other');
    t.is((await operator.at('k')).value.value(), 2);
    const before = operator.restored(1, [await copyRuns(snapshot)]);
    t.is((await before.at('k')).value.value(), undefined);
    const after = await operator.rescaled(1);
    t.is((await after.at('k')).value.value(), 2);
  });

  test('an empty snapshot restores to nothing', async (t) => {
    const operator = await new Operator(create, 2).rescaled(3);
    t.is(
      operator.subtasks.reduce((sum, { backend }) => sum + backend.entryCount(), 0),
      0,
    );
  });

  test('order among equal timestamps survives a restore', async (t) => {
    const operator = new Operator(create);
    const keys = ['d', 'a', 'c', 'b', 'e'];
    for (const key of keys) (await operator.at(key)).backend.timers.register('eventTime', 5);
    const restored = await operator.rescaled(1);
    (await restored.at('later')).backend.timers.register('eventTime', 5);
    t.deepEqual(
      restored.advance('eventTime', 5).map(({ key }) => key),
      [...keys, 'later'],
    );
  });

  test('values of any schema come back as they were', async (t) => {
    const cases: readonly (readonly [Schema, unknown])[] = [
      [schema.string, '\ud800 日本 ' + 'x'.repeat(70_000)],
      [schema.int64, -(2n ** 63n)],
      [schema.bytes, new Uint8Array([1, 2, 3])],
      [schema.array(schema.map(schema.boolean)), [new Map([['a', true]]), new Map()]],
      [schema.literal('on', 'off'), 'off'],
      [schema.optional(schema.timestamp), 5],
      [schema.record({}), {}],
      [
        schema.union('kind', { a: schema.record({ n: schema.int32 }), b: schema.record({}) }),
        { kind: 'a', n: 1 },
      ],
      [schema.map(schema.record({ s: schema.string })), new Map([['', { s: '' }]])],
    ];
    const from = create(optionsOf());
    const options = optionsOf();
    const to = create(options);
    const states = cases.map(([form], i) =>
      [from, to].map((backend) => backend.state(`s${String(i)}`, valueState(form))),
    ) as [ValueState<unknown>, ValueState<unknown>][];
    from.setCurrentKey('k');
    for (const [i, [, value]] of cases.entries()) states[i]?.[0].update(value);
    restoreRuns(to, options.runs, [await copyRuns(from.snapshot(1))]);
    to.setCurrentKey('k');
    for (const [i, [, value]] of cases.entries()) t.deepEqual(states[i]?.[1].value(), value);
  });

  test('thousands of keys cross chunk borders', async (t) => {
    const operator = new Operator(create);
    const { value, backend } = await operator.at('k');
    for (let i = 0; i < 40_000; i++) {
      backend.setCurrentKey(`user-${String(i)}`);
      value.update(i);
      backend.timers.register('eventTime', i % 100);
    }
    const restored = await operator.rescaled(2);
    t.is(
      restored.subtasks.reduce((sum, { backend: b }) => sum + b.entryCount(), 0),
      80_000,
    );
    for (const i of [0, 1023, 1024, 39_999]) {
      t.is((await restored.at(`user-${String(i)}`)).value.value(), i);
    }
  });

  test('a value that its schema does not describe fails the snapshot by the name of the state', async (t) => {
    const backend = create(optionsOf());
    const state = backend.state('price', valueState(schema.float64)) as ValueState<unknown>;
    backend.setCurrentKey('k');
    state.update('12');
    const refusal = { code: 'SCHEMA_MISMATCH', message: /'price'/ };
    await t.throwsAsync(copyRuns(backend.snapshot(1)), refusal);
    // It is no more acceptable the second time, although nothing changed.
    await t.throwsAsync(copyRuns(backend.snapshot(2)), refusal);
    state.update(12);
    t.is((await copyRuns(backend.snapshot(3))).length, 1);
  });

  test('a changed schema is migrated where it can be', async (t) => {
    const before = schema.record({ n: schema.int32, gone: schema.string });
    const after = schema.record({ n: schema.float64, note: schema.optional(schema.string) });
    const from = create(optionsOf());
    const value = from.state('v', valueState(before)) as ValueState<unknown>;
    const list = from.state('l', listState(before)) as { add(element: unknown): void };
    const map = from.state('m', mapState(before)) as { put(key: string, value: unknown): void };
    from.setCurrentKey('k');
    value.update({ n: 1, gone: 'x' });
    list.add({ n: 2, gone: 'y' });
    map.put('a', { n: 3, gone: 'z' });
    from.windowState('w', before).put(0, { n: 4, gone: '' });
    const options = optionsOf();
    const to = create(options);
    const handles = [
      to.state('v', valueState(after)) as { value(): unknown },
      to.state('l', listState(after)) as { get(): Iterable<unknown> },
      to.state('m', mapState(after)) as { get(key: string): unknown },
    ] as const;
    const windows = to.windowState('w', after);
    restoreRuns(to, options.runs, [await copyRuns(from.snapshot(1))]);
    to.setCurrentKey('k');
    t.deepEqual(
      [handles[0].value(), [...handles[1].get()], handles[2].get('a'), windows.get(0)],
      [{ n: 1 }, [{ n: 2 }], { n: 3 }, { n: 4 }],
    );
  });

  const refused = (
    what: string,
    message: RegExp,
    declareAfter: (backend: KeyedStateBackend) => unknown,
  ): void => {
    test(`${what} is refused by name`, async (t) => {
      const from = create(optionsOf());
      const state = from.state('seen', valueState(schema.record({ at: schema.float64 })));
      from.setCurrentKey('k');
      (state as ValueState<unknown>).update({ at: 1 });
      const options = optionsOf();
      const to = create(options);
      declareAfter(to);
      const runs = await copyRuns(from.snapshot(1));
      t.throws(
        () => {
          restoreRuns(to, options.runs, [runs]);
        },
        { code: 'STATE_NOT_RESTORABLE', message },
      );
    });
  };
  refused('a state that is no longer declared', /'seen' is in the snapshot but/, () => undefined);
  refused('another kind of state', /'seen' is a value state in the snapshot, now a list/, (to) =>
    to.state('seen', listState(schema.record({ at: schema.float64 }))),
  );
  refused('an incompatible schema', /'seen': field 'at': float64 can't become string/, (to) =>
    to.state('seen', valueState(schema.record({ at: schema.string }))),
  );

  test('another max parallelism is refused', async (t) => {
    const operator = new Operator(create);
    (await operator.at('k')).value.update(1);
    const lists = await operator.snapshot();
    const options = { ...optionsOf(), maxParallelism: 32, keyGroups: { start: 0, end: 32 } };
    t.throws(
      () => {
        restoreRuns(create(options), options.runs, lists);
      },
      { code: 'STATE_NOT_RESTORABLE', message: /max parallelism 16, the job 32/ },
    );
  });

  test('states that are no longer declared are skipped on demand, new ones are empty', async (t) => {
    const operator = new Operator(create);
    (await operator.at('k')).value.update(1);
    const options = { ...optionsOf(), allowNonRestoredState: true };
    const to = create(options);
    const added = to.state('added', valueState(schema.string)) as ValueState<string>;
    restoreRuns(to, options.runs, await operator.snapshot());
    to.setCurrentKey('k');
    t.is(added.value(), undefined);
    t.is(to.entryCount(), 0);
  });

  test('a garbled file is refused or read, and never anything else', async (t) => {
    const operator = new Operator(create);
    for (const [i, key] of hostileKeys.entries()) {
      const { value, list, map, windows, backend } = await operator.at(key);
      value.update(i);
      list.addAll([keyText(key), 'ü']);
      map.put('m', { n: i, note: 'n' });
      windows.put(10, i);
      backend.timers.register('eventTime', i);
    }
    const [[first] = t.fail()] = (await operator.snapshot()) as [RunCopies];
    const { bytes: file, keyGroups } = first ?? t.fail();
    const restore = (bytes: Uint8Array): void => {
      const options = optionsOf();
      restoreRuns(declare(create(options)).backend, options.runs, [[{ bytes, keyGroups }]]);
    };
    const refusedOrRead = (bytes: Uint8Array): void => {
      try {
        restore(bytes);
      } catch (error) {
        const code = isMillraceError(error) ? error.code : String(error);
        if (code !== 'CHECKPOINT_CORRUPT' && code !== 'STATE_NOT_RESTORABLE') throw error;
      }
    };
    for (const length of [0, 1, 7, 8, 9, 100, file.length - 8, file.length - 1]) {
      t.throws(
        () => {
          restore(file.subarray(0, length));
        },
        { code: 'CHECKPOINT_CORRUPT' },
      );
    }
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const garbled = file.slice();
          for (const [at, byte] of changes) garbled[at] = byte;
          refusedOrRead(garbled);
        },
      ),
      { numRuns: 600 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), refusedOrRead), { numRuns: 300 });
    t.pass();
  });
}
