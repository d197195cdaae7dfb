import test from 'ava';
import fc from 'fast-check';
import {
  alignBarrier,
  initialAligner,
  type AlignerEffect,
  type AlignerEvent,
} from '../../../worker/network/barrier-aligner.js';

function run(channelCount: number, events: readonly AlignerEvent[]): AlignerEffect[][] {
  let state = initialAligner(channelCount);
  return events.map((event) => {
    const step = alignBarrier(state, event);
    state = step.state;
    return [...step.effects];
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
