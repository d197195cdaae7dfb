/** The exact edges of tumbling windows, and windows through snapshots and restores. */
import test from 'ava';
import fc from 'fast-check';
import { isMillraceError, t as types } from '../../../api/index.js';
import { MAX_WATERMARK } from '../../../core/watermark.js';
import {
  watermarkStateSchema,
  type WatermarkState,
} from '../../../worker/operators/operator-state.js';
import { WindowOperator } from '../../../worker/operators/window-operator.js';
import { OperatorHarness, type Step } from './operator-harness.js';
import type { Emission } from './recorded-output.js';
import { assertUndisturbed, stepsArbitrary } from './operator-steps.js';
import { restoredTo } from './restored-to.js';

interface Shape {
  readonly sizeMs?: number;
  readonly offsetMs?: number;
  readonly allowedLatenessMs?: number;
}

interface Sale {
  readonly key: string;
  readonly n: number;
}

function open(shape: Shape = {}): Promise<OperatorHarness<WindowOperator>> {
  return OperatorHarness.open({
    entrySchema: watermarkStateSchema,
    repeatWatermark: true,
    create: ({ backend, output, restored = [] }) =>
      new WindowOperator({
        name: 'sums',
        sizeMs: shape.sizeMs ?? 10,
        offsetMs: shape.offsetMs ?? 0,
        allowedLatenessMs: shape.allowedLatenessMs ?? 0,
        aggregate: {
          accumulator: types.float64,
          output: types.string,
          createAccumulator: () => 0,
          add: (sum, sale) => {
            if ((sale as Sale).n === 13) throw new RangeError('unlucky');
            return (sum as number) + (sale as Sale).n;
          },
          getResult: (sum, key, { start, end }) =>
            `${key as string} [${start},${end}) ${String(sum)}`,
        },
        selectKey: (sale) => (sale as Sale).key,
        backend,
        output,
        restored: restoredTo((restored as readonly WatermarkState[])[0]?.watermark),
      }),
  });
}

const sale = (n: number, timestamp: number, key = 'a'): Step => ({
  kind: 'record',
  value: { key, n },
  timestamp,
});

test('a window fires when the watermark reaches its last millisecond', async (t) => {
  const harness = await open();
  await harness.apply(sale(1, 0), sale(2, 9), sale(4, 10));
  await harness.watermark(8);
  t.deepEqual(harness.takeValues(), []);
  await harness.watermark(9);
  t.deepEqual(harness.take(), [
    { kind: 'record', value: 'a [0,10) 3', timestamp: 9 },
    { kind: 'watermark', timestamp: 9 },
  ]);
  await harness.watermark(MAX_WATERMARK);
  t.deepEqual(harness.takeValues(), ['a [10,20) 4']);
});

test('several windows under one watermark fire in order, each with all of its keys', async (t) => {
  const harness = await open();
  await harness.apply(sale(1, 25), sale(2, 5), sale(3, 15, 'b'), sale(4, 6, 'b'));
  await harness.watermark(100);
  t.deepEqual(harness.takeValues(), ['a [0,10) 2', 'b [0,10) 4', 'b [10,20) 3', 'a [20,30) 1']);
});

for (const allowedLatenessMs of [0, 5]) {
  test(`with a lateness of ${allowedLatenessMs} ms a record is late at the bound and not before it`, async (t) => {
    const harness = await open({ allowedLatenessMs });
    await harness.watermark(9 + allowedLatenessMs - 1);
    await harness.apply(sale(1, 3));
    t.deepEqual(
      harness.take().filter(({ kind }) => kind === 'side'),
      [],
    );
    await harness.watermark(9 + allowedLatenessMs);
    harness.take();
    await harness.apply(sale(2, 9), sale(3, 10));
    t.deepEqual(harness.take(), [
      { kind: 'side', output: 'late', value: { key: 'a', n: 2 }, timestamp: 9 },
    ]);
  });
}

test('an accepted late record fires its window again at once, until the lateness is over', async (t) => {
  const harness = await open({ allowedLatenessMs: 5 });
  await harness.apply(sale(1, 3), sale(10, 4, 'b'));
  await harness.watermark(9);
  t.deepEqual(harness.takeValues(), ['a [0,10) 1', 'b [0,10) 10']);
  await harness.apply(sale(2, 3));
  t.deepEqual(harness.takeValues(), ['a [0,10) 3']);
  await harness.watermark(13);
  await harness.apply(sale(4, 3));
  t.deepEqual(harness.takeValues(), ['a [0,10) 7']);
  await harness.watermark(14);
  t.deepEqual(harness.takeValues(), []);
  t.deepEqual(await contents(harness), []);
});

test('a window is dropped with its last watermark', async (t) => {
  const harness = await open();
  await harness.apply(sale(1, 3));
  await harness.watermark(9);
  t.deepEqual(await contents(harness), []);
});

/** What would still fire if the operator went on from a snapshot of now. */
async function contents(harness: OperatorHarness<WindowOperator>): Promise<unknown[]> {
  harness.take();
  await harness.restart();
  await harness.watermark(MAX_WATERMARK);
  return harness.takeValues();
}

test('a negative timestamp belongs to the window below it', async (t) => {
  const harness = await open();
  await harness.apply(sale(1, -1), sale(2, -10), sale(4, -11), sale(8, 0));
  await harness.watermark(MAX_WATERMARK);
  t.deepEqual(harness.takeValues(), ['a [-20,-10) 4', 'a [-10,0) 3', 'a [0,10) 8']);
});

test('an offset moves the bounds of all windows, a negative one too', async (t) => {
  for (const [offsetMs, expected] of [
    [3, ['a [-7,3) 1', 'a [3,13) 6']],
    [-3, ['a [-3,7) 3', 'a [7,17) 4']],
  ] as const) {
    const harness = await open({ offsetMs });
    await harness.apply(sale(1, 2), sale(2, 3), sale(4, 12));
    await harness.watermark(MAX_WATERMARK);
    t.deepEqual(harness.takeValues(), expected);
  }
});

test('windows in flight go on after a restore', async (t) => {
  const harness = await open();
  await harness.apply(sale(1, 3), sale(2, 13, 'b'));
  await harness.restart();
  await harness.apply(sale(4, 5), sale(8, 14, 'b'));
  await harness.watermark(9);
  await harness.restart();
  await harness.watermark(19);
  t.deepEqual(harness.takeValues(), ['a [0,10) 5', 'b [10,20) 10']);
});

test('a record without event time is an error that says what to do', async (t) => {
  const harness = await open();
  const error = await t.throwsAsync(harness.apply(sale(1, -Infinity)), {
    message: /"sums" got a record without an event time; give its source watermarks$/,
  });
  t.true(isMillraceError(error) && error.location?.operator === 'sums');
});

test('what the aggregate throws names the operator and the record', async (t) => {
  const harness = await open();
  const error = await t.throwsAsync(harness.apply(sale(13, 1)), {
    message:
      'USER_CODE_FAILED: operator "sums" threw in add: unlucky; the record was {"key":"a","n":13}',
  });
  t.true(error.cause instanceof RangeError);
});

/** In which order the keys of one window come out is not promised; a key's own results keep theirs. */
function inKeyOrder(emissions: readonly Emission[]): unknown[] {
  let mark = 0;
  const placed = emissions.map((one) => {
    const isRecord = one.kind === 'record';
    if (!isRecord) mark++;
    const window = isRecord ? String(one.value).replace(/[^)]*$/, '') : '';
    return { one, place: `${String(mark).padStart(6, '0')} ${isRecord ? 1 : 0} ${window}` };
  });
  return placed
    .sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0))
    .map(({ one }) => one);
}

const randomSale = fc.record({ key: fc.constantFrom('a', 'b', 'c'), n: fc.nat(9) });

for (const allowedLatenessMs of [0, 7]) {
  test(`property: with a lateness of ${allowedLatenessMs} ms no snapshot, restore or failure changes what comes out`, async (t) => {
    await assertUndisturbed(
      stepsArbitrary(randomSale),
      async () => ({ run: undefined, harness: await open({ offsetMs: 3, allowedLatenessMs }) }),
      (actual, expected) => t.deepEqual(actual, expected),
      inKeyOrder,
    );
  });
}

test('property: without late records the windows are the sums by key and window, whatever the order', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(randomSale, fc.integer({ min: -50, max: 50 })), { maxLength: 40 }),
      async (sales) => {
        const harness = await open();
        const sums = new Map<string, number>();
        for (const [{ key, n }, timestamp] of sales) {
          const start = timestamp - (((timestamp % 10) + 10) % 10);
          const window = `${key} [${start},${start + 10})`;
          sums.set(window, (sums.get(window) ?? 0) + n);
          await harness.record({ key, n }, timestamp);
        }
        await harness.watermark(MAX_WATERMARK);
        const expected = [...sums].map(([window, sum]) => `${window} ${sum}`);
        t.deepEqual(harness.takeValues().sort(), expected.sort());
      },
    ),
    { numRuns: 100 },
  );
});
