/** Random steps and interruptions for an operator under the harness. */
import fc from 'fast-check';
import type { Interruption, OperatorHarness, Step } from './operator-harness.js';
import type { StreamOperator } from '../../../worker/operators/operator.js';
import type { Emission } from './recorded-output.js';

/**
 * Event time in a small range, so that timers and windows collide; watermarks only go forward.
 * @param broadcast what comes on the broadcast input, if there is one
 */
export function stepsArbitrary(
  value: fc.Arbitrary<unknown>,
  broadcast?: fc.Arbitrary<unknown>,
): fc.Arbitrary<Step[]> {
  const record = fc
    .tuple(value, fc.integer({ min: -20, max: 60 }))
    .map(([one, ahead]): Step => ({ kind: 'record', value: one, timestamp: ahead }));
  const told = (broadcast ?? value).map((one): Step => ({
    kind: broadcast === undefined ? 'record' : 'broadcast',
    value: one,
    timestamp: 0,
  }));
  const step = fc.oneof(
    { weight: 6, arbitrary: record },
    { weight: broadcast === undefined ? 0 : 3, arbitrary: told },
    {
      weight: 2,
      arbitrary: fc.nat(15).map((timestamp): Step => ({ kind: 'watermark', timestamp })),
    },
    { weight: 1, arbitrary: fc.nat(20).map((byMs): Step => ({ kind: 'time', byMs })) },
    { weight: 1, arbitrary: fc.boolean().map((idle): Step => ({ kind: 'status', idle })) },
  );
  return fc.array(step, { minLength: 15, maxLength: 30 }).map((steps) => {
    let watermark = -10;
    return steps.map((one): Step => {
      if (one.kind === 'watermark') {
        watermark += one.timestamp;
        return { kind: 'watermark', timestamp: watermark };
      }
      return one.kind === 'record' || one.kind === 'broadcast'
        ? { ...one, timestamp: watermark + one.timestamp }
        : one;
    });
  });
}

export const interruptionsArbitrary: fc.Arbitrary<Interruption[]> = fc.array(
  fc.record({
    at: fc.nat(30),
    kind: fc.constantFrom<Interruption['kind']>('checkpoint', 'unheardCheckpoint', 'failure'),
  }),
  { minLength: 4, maxLength: 12 },
);

/**
 * Whatever snapshots and restores come between, what comes out in the end is what an undisturbed run
 * gives. `open` is called for each run and must share nothing between two; `resultOf` is what is
 * compared, the emissions unless told.
 */
export async function assertUndisturbed<Operator extends StreamOperator, Run>(
  steps: fc.Arbitrary<readonly Step[]>,
  open: () => Promise<{ readonly harness: OperatorHarness<Operator>; readonly run: Run }>,
  equal: (actual: unknown, expected: unknown) => void,
  resultOf: (emissions: readonly Emission[], run: Run) => unknown = (emissions) => emissions,
  numRuns = 60,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, interruptionsArbitrary, async (script, interruptions) => {
      const plain = await open();
      const expected = resultOf(await plain.harness.run(script), plain.run);
      const disturbed = await open();
      const actual = resultOf(await disturbed.harness.run(script, interruptions), disturbed.run);
      equal(actual, expected);
    }),
    { numRuns },
  );
}
