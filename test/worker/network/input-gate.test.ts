import test from 'ava';
import type { Buffer as ChannelBuffer } from '../../../worker/network/buffer.js';
import { InputGate, type GateItem } from '../../../worker/network/input-gate.js';
import { CREDIT_RETURN_BATCH } from '../../../worker/network/limits.js';

function gateOf(channels: number): { gate: InputGate; returned: [number, number][] } {
  const returned: [number, number][] = [];
  const gate = new InputGate({
    channels: Array.from({ length: channels }, (_, index) => ({ channel: 10 + index, input: 0 })),
    returnCredits: (channel, count) => returned.push([channel, count]),
    monotonic: () => 0,
    announce: () => undefined,
  });
  return { gate, returned };
}

const records = (...values: unknown[]): ChannelBuffer => ({
  kind: 'batch',
  values,
  timestamps: values.map(() => 0),
});
const barrier = (checkpointId: number): ChannelBuffer => ({
  kind: 'barrier',
  checkpointId,
  prefix: 'chk/',
  triggeredAtMs: 0,
  stopAfter: false,
  alignmentTimeoutMs: null,
});

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
