import test from 'ava';
import fc from 'fast-check';
import type {
  Buffer as ChannelBuffer,
  InFlightBuffer,
  RecordBatch,
} from '../../../worker/network/buffer.js';
import type {
  InFlightOrigin,
  InFlightRecorder,
} from '../../../worker/network/in-flight-recorder.js';
import { InputGate, type GateItem } from '../../../worker/network/input-gate.js';
import { CREDIT_RETURN_BATCH } from '../../../worker/network/limits.js';

/** @param broadcast how many of the channels, from the last, carry what all subtasks are given */
function gateOf(
  channels: number,
  broadcast = 0,
): {
  gate: InputGate;
  returned: [number, number][];
  announced: number[];
} {
  const returned: [number, number][] = [];
  const announced: number[] = [];
  const gate = new InputGate({
    channels: Array.from({ length: channels }, (_, index) => ({
      channel: 10 + index,
      input: 0,
      broadcast: index >= channels - broadcast,
    })),
    returnCredits: (channel, count) => returned.push([channel, count]),
    monotonic: () => 0,
    announce: ({ checkpointId }) => announced.push(checkpointId),
  });
  return { gate, returned, announced };
}

const records = (...values: unknown[]): ChannelBuffer => ({
  kind: 'batch',
  values,
  timestamps: values.map(() => 0),
});
const barrier = (
  checkpointId: number,
  alignmentTimeoutMs: number | null = null,
): ChannelBuffer => ({
  kind: 'barrier',
  checkpointId,
  prefix: 'chk/',
  triggeredAtMs: 0,
  stopAfter: false,
  alignmentTimeoutMs,
});

function drainBroadcast(gate: InputGate): string[] {
  const seen: string[] = [];
  for (let item = gate.poll('broadcast'); item !== undefined; item = gate.poll('broadcast')) {
    seen.push(describe(item));
  }
  return seen;
}

function drain(gate: InputGate): string[] {
  const seen: string[] = [];
  for (let item = gate.poll(); item !== undefined; item = gate.poll()) seen.push(describe(item));
  return seen;
}

function describe(item: GateItem): string {
  switch (item.kind) {
    case 'records':
      return item.records.kind === 'batch' ? item.records.values.join(',') : 'chunk';
    case 'watermark':
      return `watermark ${item.timestamp}`;
    case 'watermarkStatus':
      return item.idle ? 'idle' : 'active';
    case 'barrier':
      return `barrier ${item.barrier.checkpointId}`;
    case 'abandoned':
      return `abandoned ${item.checkpointId}`;
    case 'endOfData':
      return 'endOfData';
  }
}

test('when one channel has delivered barrier 7, its records wait', (t) => {
  const { gate } = gateOf(2);
  gate.onBuffer(10, records('a1'));
  gate.onBuffer(10, barrier(7));
  gate.onBuffer(10, records('a2'));
  gate.onBuffer(11, records('b1'));
  t.deepEqual(drain(gate), ['a1', 'b1']);
  gate.onBuffer(11, records('b2'));
  gate.onBuffer(11, barrier(7));
  t.deepEqual(drain(gate), ['b2', 'barrier 7', 'a2']);
});

test('an aborted alignment lets the waiting records go on', (t) => {
  const { gate } = gateOf(2);
  gate.onBuffer(10, barrier(1));
  gate.onBuffer(10, records('a'));
  t.deepEqual(drain(gate), []);
  gate.abortAlignment(1);
  t.deepEqual(drain(gate), ['a']);
});

test('the end of data is passed on once all channels have ended, and barriers still come after it', (t) => {
  const { gate } = gateOf(2);
  gate.onBuffer(10, { kind: 'endOfData' });
  t.deepEqual(drain(gate), []);
  gate.onBuffer(11, { kind: 'endOfData' });
  gate.onBuffer(10, barrier(2));
  gate.onBuffer(11, barrier(2));
  t.deepEqual(drain(gate), ['endOfData', 'barrier 2']);
});

test('credits come back in batches, and at once when a channel has run empty', (t) => {
  const { gate, returned } = gateOf(1);
  for (let i = 0; i < CREDIT_RETURN_BATCH + 1; i++) gate.onBuffer(10, records(i));
  drain(gate);
  t.deepEqual(returned, [
    [10, CREDIT_RETURN_BATCH],
    [10, 1],
  ]);
});

test('watermarks of a channel that is not read do not pile up', (t) => {
  const { gate } = gateOf(1);
  for (let timestamp = 1; timestamp <= 1000; timestamp++) {
    gate.onBuffer(10, { kind: 'watermark', timestamp });
  }
  t.deepEqual(drain(gate), ['watermark 1000']);
});

test('a channel that has run empty returns its credits, also when an event came last', (t) => {
  for (const last of [{ kind: 'watermark', timestamp: 5 }, barrier(1)] as const) {
    const { gate, returned } = gateOf(2);
    gate.onBuffer(10, records(1));
    gate.onBuffer(10, records(2));
    gate.onBuffer(10, last);
    drain(gate);
    t.deepEqual(returned, [[10, 2]], last.kind);
  }
});

test('a gate that was idle says that it is active, also when a watermark behind its own tells so first', (t) => {
  const { gate } = gateOf(2);
  gate.onBuffer(10, { kind: 'watermarkStatus', idle: true });
  gate.onBuffer(11, { kind: 'watermark', timestamp: 100 });
  gate.onBuffer(11, { kind: 'watermarkStatus', idle: true });
  t.deepEqual(drain(gate), ['watermark 100', 'idle']);
  gate.onBuffer(10, { kind: 'watermark', timestamp: 50 });
  gate.onBuffer(10, { kind: 'watermarkStatus', idle: false });
  t.deepEqual(drain(gate), ['active']);
});

class Recording implements InFlightRecorder {
  readonly kept = new Map<number | undefined, unknown[]>();
  state: 'open' | 'complete' | 'abandoned' = 'open';

  record({ channel }: InFlightOrigin, buffer: InFlightBuffer): void {
    const kept = this.kept.get(channel) ?? [];
    this.kept.set(channel, kept);
    if (buffer.kind === 'batch') kept.push(...buffer.values);
    else if (buffer.kind === 'watermark') kept.push(`watermark ${buffer.timestamp}`);
  }

  complete(): void {
    this.state = 'complete';
  }

  abandon(): void {
    this.state = 'abandoned';
  }
}

test('a barrier that overtakes leaves behind what was queued, which is kept and goes on', (t) => {
  const { gate, announced } = gateOf(3);
  gate.onBuffer(10, { kind: 'watermark', timestamp: 5 });
  drain(gate);
  gate.onBuffer(10, records('a1'));
  gate.onBuffer(10, barrier(7, 100));
  gate.onBuffer(10, records('a2'));
  gate.onBuffer(11, records('b1'));
  gate.onBuffer(12, barrier(7, 100));
  t.deepEqual(announced, [7, 7]);
  const recording = new Recording();
  t.is(gate.overtake(7, recording)?.barrier.checkpointId, 7);
  gate.onBuffer(11, { kind: 'watermark', timestamp: 9 });
  gate.onBuffer(11, { kind: 'watermarkStatus', idle: true });
  gate.onBuffer(12, records('c2'));
  gate.onBuffer(11, records('b2'));
  t.is(recording.state, 'open');
  gate.onBuffer(11, barrier(7, 0));
  t.is(recording.state, 'complete');
  gate.onBuffer(11, records('b3'));
  t.deepEqual(
    [...recording.kept],
    [
      [10, ['watermark 5', 'a1']],
      [11, ['b1', 'watermark 9', 'b2']],
    ],
  );
  t.deepEqual(drain(gate).sort(), ['a1', 'a2', 'b1', 'b2', 'b3', 'c2']);
  t.is(gate.overtake(7, recording), undefined, 'it was snapshotted already');
});

test('recovered buffers come first and cost no credit', (t) => {
  const { gate, returned } = gateOf(2);
  const batch = (...values: unknown[]): RecordBatch => ({
    kind: 'batch',
    values,
    timestamps: values.map(() => 0),
  });
  gate.recover({
    channels: new Map([[11, [batch('b1'), { kind: 'watermark', timestamp: 3 }, batch('b2')]]]),
    rerouted: [{ input: 0, records: batch('r1') }],
  });
  gate.onBuffer(10, records('a1'));
  gate.onBuffer(11, records('b3'));
  gate.onBuffer(10, barrier(1, 100));
  gate.onBuffer(11, barrier(1, 100));
  const recording = new Recording();
  t.truthy(gate.overtake(1, recording));
  t.deepEqual(
    [...recording.kept],
    [
      [undefined, ['r1']],
      [10, ['a1']],
      [11, ['b1', 'watermark 3', 'b2', 'b3']],
    ],
  );
  t.deepEqual(drain(gate), ['r1', 'a1', 'b1', 'b2', 'b3']);
  t.deepEqual(returned, [
    [10, 1],
    [11, 1],
  ]);
});

const CHECKPOINTS = 4;

/** What happens next: a buffer arrives on a channel, the gate is polled, a barrier overtakes, one is given up. */
const step = fc.oneof(
  { arbitrary: fc.nat().map((pick) => ({ kind: 'arrive', pick }) as const), weight: 16 },
  { arbitrary: fc.constant({ kind: 'poll' } as const), weight: 16 },
  { arbitrary: fc.constant({ kind: 'overtake' } as const), weight: 4 },
  { arbitrary: fc.constant({ kind: 'abort' } as const), weight: 1 },
);

test('property: a snapshot and what is kept with it hold exactly what came before the barrier, in order', (t) => {
  let snapshots = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(4), { minLength: CHECKPOINTS, maxLength: CHECKPOINTS }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.array(step, { maxLength: 120 }),
      (counts, steps) => {
        const { gate, announced } = gateOf(counts.length);
        // On each channel so many records before each barrier, numbered from 0.
        const streams = counts.map((records_) =>
          records_.flatMap((count, index) => [
            ...Array.from({ length: count }, () => 'record' as const),
            index + 1,
          ]),
        );
        const before = (channel: number, id: number): number =>
          (counts[channel] ?? []).slice(0, id).reduce((sum, count) => sum + count, 0);
        const sent = counts.map(() => 0);
        const processed = counts.map((): number[] => []);
        const open: { id: number; recording: Recording; seen: number[] }[] = [];
        const check = (id: number, seen: readonly number[], kept: Recording['kept']): void => {
          snapshots++;
          counts.forEach((_, channel) => {
            const rest = (kept.get(10 + channel) ?? []) as [number, number][];
            const first = seen[channel] ?? 0;
            t.is(first + rest.length, before(channel, id), `checkpoint ${id}, channel ${channel}`);
            t.true(rest.every(([from, number], i) => from === channel && number === first + i));
          });
        };
        const poll = (): boolean => {
          const item = gate.poll();
          if (item?.kind === 'records' && item.records.kind === 'batch') {
            for (const value of item.records.values) {
              const [channel, number] = value as [number, number];
              t.is(number, processed[channel]?.length ?? -1);
              processed[channel]?.push(number);
            }
          } else if (item?.kind === 'barrier') {
            check(
              item.barrier.checkpointId,
              processed.map(({ length }) => length),
              new Map(),
            );
          }
          return item !== undefined;
        };
        const arrive = (pick: number): boolean => {
          const waiting = streams.flatMap((stream, channel) =>
            stream.length > 0 ? [channel] : [],
          );
          const channel = waiting[pick % waiting.length];
          const next = channel === undefined ? undefined : streams[channel]?.shift();
          if (channel === undefined || next === undefined) return false;
          if (next !== 'record') gate.onBuffer(10 + channel, barrier(next, 100));
          else gate.onBuffer(10 + channel, records([channel, sent[channel] ?? 0]));
          if (next === 'record') sent[channel] = (sent[channel] ?? 0) + 1;
          return true;
        };
        for (const one of steps) {
          const id = announced.at(-1) ?? 0;
          if (one.kind === 'arrive') arrive(one.pick);
          else if (one.kind === 'poll') poll();
          else if (one.kind === 'abort') gate.abortAlignment(id);
          else {
            const recording = new Recording();
            const seen = processed.map(({ length }) => length);
            if (gate.overtake(id, recording) !== undefined) open.push({ id, recording, seen });
          }
        }
        while (arrive(0) || poll());
        for (const { id, recording, seen } of open) {
          t.not(recording.state, 'open');
          if (recording.state === 'complete') check(id, seen, recording.kept);
        }
        t.deepEqual(
          processed.map(({ length }) => length),
          counts.map((_, channel) => before(channel, CHECKPOINTS)),
        );
      },
    ),
    { numRuns: 2_000 },
  );
  t.true(snapshots > 2_000);
});

test('a barrier overtakes once it has come on every broadcast channel, whose records come first', (t) => {
  const { gate } = gateOf(3, 2);
  const recording = new Recording();
  gate.onBuffer(10, records('a1'));
  gate.onBuffer(10, barrier(1, 0));
  gate.onBuffer(11, records('rule1'));
  gate.onBuffer(12, barrier(1, 0));
  gate.onBuffer(11, records('rule2'));
  t.false(gate.mayOvertake(1));
  t.deepEqual(drainBroadcast(gate), ['rule1', 'rule2']);
  t.false(gate.mayOvertake(1), 'one of them may still bring rules');
  gate.onBuffer(11, records('rule3'));
  gate.onBuffer(11, barrier(1, 0));
  gate.onBuffer(11, records('rule4'));
  t.deepEqual(drainBroadcast(gate), ['rule3']);
  t.true(gate.mayOvertake(1));
  t.is(gate.overtake(1, recording)?.barrier.checkpointId, 1);
  t.deepEqual([...recording.kept], [[10, ['a1']]]);
  t.is(recording.state, 'complete');
  t.deepEqual(drain(gate).sort(), ['a1', 'rule4']);
});

test('without broadcast channels a barrier overtakes at once', (t) => {
  t.true(gateOf(2).gate.mayOvertake(1));
});
