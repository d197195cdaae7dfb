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
    const restored = new Operator(create, 1, [snapshot.bytes()]);
    t.deepEqual(await restored.contents('k'), before);
    t.is((await restored.contents('late')).value, undefined);
    t.deepEqual(
      restored.advance('eventTime', 9).map(({ timestamp }) => timestamp),
      [5],
    );
  });

  test('an empty snapshot restores to nothing', (t) => {
    const operator = new Operator(create, 2).rescaled(3);
    t.is(
      operator.subtasks.reduce((sum, { backend }) => sum + backend.entryCount(), 0),
      0,
    );
  });

  test('order among equal timestamps survives a restore', async (t) => {
    const operator = new Operator(create);
    const keys = ['d', 'a', 'c', 'b', 'e'];
    for (const key of keys) (await operator.at(key)).backend.timers.register('eventTime', 5);
    const restored = operator.rescaled(1);
    (await restored.at('later')).backend.timers.register('eventTime', 5);
    t.deepEqual(
      restored.advance('eventTime', 5).map(({ key }) => key),
      [...keys, 'later'],
    );
  });

  test('values of any schema come back as they were', (t) => {
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
    const to = create(optionsOf());
    const states = cases.map(([form], i) =>
      [from, to].map((backend) => backend.state(`s${String(i)}`, valueState(form))),
    ) as [ValueState<unknown>, ValueState<unknown>][];
    from.setCurrentKey('k');
    for (const [i, [, value]] of cases.entries()) states[i]?.[0].update(value);
    to.restore([from.snapshot(1).bytes()]);
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
    const restored = operator.rescaled(2);
    t.is(
      restored.subtasks.reduce((sum, { backend: b }) => sum + b.entryCount(), 0),
      80_000,
    );
    for (const i of [0, 1023, 1024, 39_999]) {
      t.is((await restored.at(`user-${String(i)}`)).value.value(), i);
    }
  });

  test('a value that its schema does not describe fails the snapshot by the name of the state', (t) => {
    const backend = create(optionsOf());
    const state = backend.state('price', valueState(schema.float64)) as ValueState<unknown>;
    backend.setCurrentKey('k');
    state.update('12');
    t.throws(() => backend.snapshot(1).bytes(), { code: 'SCHEMA_MISMATCH', message: /'price'/ });
  });

  test('a changed schema is migrated where it can be', (t) => {
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
    const to = create(optionsOf());
    const handles = [
      to.state('v', valueState(after)) as { value(): unknown },
      to.state('l', listState(after)) as { get(): unknown },
      to.state('m', mapState(after)) as { get(key: string): unknown },
    ] as const;
    const windows = to.windowState('w', after);
    to.restore([from.snapshot(1).bytes()]);
    to.setCurrentKey('k');
    t.deepEqual(
      [handles[0].value(), handles[1].get(), handles[2].get('a'), windows.get(0)],
      [{ n: 1 }, [{ n: 2 }], { n: 3 }, { n: 4 }],
    );
  });

  const refused = (
    what: string,
    message: RegExp,
    declareAfter: (backend: KeyedStateBackend) => unknown,
  ): void => {
    test(`${what} is refused by name`, (t) => {
      const from = create(optionsOf());
      const state = from.state('seen', valueState(schema.record({ at: schema.float64 })));
      from.setCurrentKey('k');
      (state as ValueState<unknown>).update({ at: 1 });
      const to = create(optionsOf());
      declareAfter(to);
      t.throws(
        () => {
          to.restore([from.snapshot(1).bytes()]);
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

  test('another max parallelism is refused', (t) => {
    const file = create(optionsOf()).snapshot(1).bytes();
    const to = create({ ...optionsOf(), maxParallelism: 32, keyGroups: { start: 0, end: 32 } });
    t.throws(
      () => {
        to.restore([file]);
      },
      { code: 'STATE_NOT_RESTORABLE', message: /max parallelism 16, the job 32/ },
    );
  });

  test('states that are no longer declared are skipped on demand, new ones are empty', async (t) => {
    const operator = new Operator(create);
    (await operator.at('k')).value.update(1);
    const to = create({ ...optionsOf(), allowNonRestoredState: true });
    const added = to.state('added', valueState(schema.string)) as ValueState<string>;
    to.restore(operator.snapshot());
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
    const [file = new Uint8Array()] = operator.snapshot();
    const restore = (bytes: Uint8Array): void => {
      try {
        declare(create(optionsOf())).backend.restore([bytes]);
      } catch (error) {
        const code = isMillraceError(error) ? error.code : String(error);
        if (code !== 'CHECKPOINT_CORRUPT' && code !== 'STATE_NOT_RESTORABLE') throw error;
      }
    };
    for (const length of [0, 1, 7, 8, 9, 100, file.length - 8, file.length - 1]) {
      t.throws(() => create(optionsOf()).restore([file.subarray(0, length)]), {
        code: 'CHECKPOINT_CORRUPT',
      });
    }
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const garbled = file.slice();
          for (const [at, byte] of changes) garbled[at] = byte;
          restore(garbled);
        },
      ),
      { numRuns: 600 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), restore), { numRuns: 300 });
    t.pass();
  });
}
