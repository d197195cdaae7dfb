import test from 'ava';
import fc from 'fast-check';
import {
  alignBarrier,
  initialAligner,
  type AlignerEvent,
} from '../../../worker/network/barrier-aligner.js';

/** The effects of each event; channels that have `arrived` as a list. */
function run(channelCount: number, events: readonly AlignerEvent[]): unknown[][] {
  let state = initialAligner(channelCount);
  const channels = Array.from({ length: channelCount }, (_, channel) => channel);
  return events.map((event) => {
    const step = alignBarrier(state, event);
    state = step.state;
    return step.effects.map((effect) =>
      effect.kind === 'overtaken'
        ? { ...effect, arrived: channels.filter((channel) => effect.arrived.has(channel)) }
        : effect,
    );
  });
}

const barrier = (channel: number, checkpointId: number): AlignerEvent => ({
  kind: 'barrier',
  channel,
  checkpointId,
});

test('a single channel aligns at once', (t) => {
  t.deepEqual(run(1, [barrier(0, 1)]), [
    [{ kind: 'aligned', checkpointId: 1 }, { kind: 'unblockAll' }],
  ]);
});

test('when one channel has delivered barrier 7, it waits for the others', (t) => {
  t.deepEqual(run(2, [barrier(1, 7), barrier(0, 7)]), [
    [{ kind: 'block', channel: 1 }],
    [{ kind: 'aligned', checkpointId: 7 }, { kind: 'unblockAll' }],
  ]);
});

test('a newer barrier gives up the older checkpoint', (t) => {
  t.deepEqual(run(2, [barrier(0, 1), barrier(1, 2), barrier(0, 2)]), [
    [{ kind: 'block', channel: 0 }],
    [{ kind: 'unblockAll' }, { kind: 'abandoned', checkpointId: 1 }, { kind: 'block', channel: 1 }],
    [{ kind: 'aligned', checkpointId: 2 }, { kind: 'unblockAll' }],
  ]);
});

test('after an abort late barriers of the checkpoint block nothing', (t) => {
  t.deepEqual(
    run(2, [barrier(0, 3), { kind: 'aborted', checkpointId: 3 }, barrier(1, 3), barrier(0, 4)]),
    [
      [{ kind: 'block', channel: 0 }],
      [{ kind: 'unblockAll' }],
      [],
      [{ kind: 'block', channel: 0 }],
    ],
  );
});

test('an abort that comes before its barriers is remembered', (t) => {
  t.deepEqual(run(2, [{ kind: 'aborted', checkpointId: 5 }, barrier(0, 5), barrier(1, 5)]), [
    [],
    [],
    [],
  ]);
});

const overtake = (checkpointId: number): AlignerEvent => ({ kind: 'overtake', checkpointId });

test('a barrier that overtakes frees all channels, and records those where it has not come', (t) => {
  t.deepEqual(run(3, [barrier(1, 7), overtake(7), barrier(0, 7), barrier(2, 7)]), [
    [{ kind: 'block', channel: 1 }],
    [{ kind: 'overtaken', checkpointId: 7, arrived: [1] }, { kind: 'unblockAll' }],
    [{ kind: 'arrived', channel: 0 }],
    [
      { kind: 'arrived', channel: 2 },
      { kind: 'recorded', checkpointId: 7 },
    ],
  ]);
});

test('what is aligned, aborted or behind a newer checkpoint is not overtaken', (t) => {
  t.deepEqual(run(1, [barrier(0, 1), overtake(1)])[1], []);
  t.deepEqual(run(2, [{ kind: 'aborted', checkpointId: 3 }, overtake(3)])[1], []);
  t.deepEqual(run(2, [barrier(0, 5), overtake(4)])[1], []);
});

test('an abort ends the recording, and so does a newer barrier, which tells', (t) => {
  t.deepEqual(run(2, [overtake(1), { kind: 'aborted', checkpointId: 1 }, barrier(0, 1)]).slice(1), [
    [],
    [],
  ]);
  t.deepEqual(run(2, [overtake(1), barrier(0, 2), barrier(1, 1)]).slice(1), [
    [
      { kind: 'abandoned', checkpointId: 1 },
      { kind: 'block', channel: 0 },
    ],
    [],
  ]);
});

test('property: whichever of its barriers overtakes, a checkpoint is snapshotted once and recorded to its end', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.infiniteStream(fc.nat()),
      (channels, overtakenAfter, picks) => {
        let state = initialAligner(channels);
        const told: string[] = [];
        const tell = (event: AlignerEvent): void => {
          const step = alignBarrier(state, event);
          state = step.state;
          for (const { kind } of step.effects) {
            if (kind !== 'block' && kind !== 'unblockAll') told.push(kind);
          }
        };
        for (const [index, after] of overtakenAfter.entries()) {
          told.length = 0;
          const waiting = Array.from({ length: channels }, (_, channel) => channel);
          for (let delivered = 0; waiting.length > 0; delivered++) {
            if (delivered === after % (channels + 1)) tell(overtake(index + 1));
            const [channel = 0] = waiting.splice((picks.next().value ?? 0) % waiting.length, 1);
            tell(barrier(channel, index + 1));
          }
          tell(overtake(index + 1));
          const before = after % (channels + 1);
          const arrivals = new Array<string>(channels - before).fill('arrived');
          t.deepEqual(
            told,
            before === channels ? ['aligned'] : ['overtaken', ...arrivals, 'recorded'],
          );
        }
      },
    ),
  );
});

test('property: whatever the order over channels, every complete checkpoint aligns once, in order', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 6 }),
      fc.infiniteStream(fc.nat()),
      (channels, checkpoints, picks) => {
        const next = new Array<number>(channels).fill(1);
        const blocked = new Set<number>();
        const aligned: number[] = [];
        let state = initialAligner(channels);
        for (;;) {
          const open = next.flatMap((id, channel) =>
            id <= checkpoints && !blocked.has(channel) ? [channel] : [],
          );
          if (open.length === 0) break;
          const channel = open[(picks.next().value ?? 0) % open.length] ?? 0;
          const step = alignBarrier(state, barrier(channel, next[channel] ?? 0));
          next[channel] = (next[channel] ?? 0) + 1;
          state = step.state;
          for (const effect of step.effects) {
            if (effect.kind === 'block') blocked.add(effect.channel);
            if (effect.kind === 'unblockAll') blocked.clear();
            if (effect.kind === 'aligned') aligned.push(effect.checkpointId);
          }
        }
        t.deepEqual(
          aligned,
          Array.from({ length: checkpoints }, (_, i) => i + 1),
        );
      },
    ),
  );
});
