import test from 'ava';
import type { CheckpointBarrier, InFlightBuffer } from '../../../worker/network/buffer.js';
import { IN_FLIGHT_MIN } from '../../../worker/network/limits.js';
import { ResultSubpartition } from '../../../worker/network/result-subpartition.js';

const barrierOf = (checkpointId: number): CheckpointBarrier => ({
  kind: 'barrier',
  checkpointId,
  prefix: 'chk/',
  triggeredAtMs: 0,
  stopAfter: false,
  alignmentTimeoutMs: 500,
});

function subpartition(): { producer: ResultSubpartition; sent: string[] } {
  const sent: string[] = [];
  const producer = new ResultSubpartition(
    3,
    (_channel, buffer) => sent.push(describe(buffer as InFlightBuffer | CheckpointBarrier)),
    undefined,
    () => 0,
  );
  return { producer, sent };
}

function describe(buffer: InFlightBuffer | CheckpointBarrier): string {
  switch (buffer.kind) {
    case 'batch':
      return buffer.values.join(' ');
    case 'barrier':
      return `barrier ${buffer.checkpointId} within ${String(buffer.alignmentTimeoutMs)} ms`;
    default:
      return buffer.kind;
  }
}

/** One chunk each. */
function write(producer: ResultSubpartition, ...values: string[]): void {
  for (const value of values) {
    producer.append(value, 0);
    producer.flush();
  }
}

test('a barrier before which nothing waits leaves at once', (t) => {
  const { producer, sent } = subpartition();
  const told: (readonly InFlightBuffer[])[] = [];
  write(producer, 'a');
  producer.emitBarrier(barrierOf(1), (overtaken) => told.push(overtaken));
  t.deepEqual(sent, ['a', 'barrier 1 within 500 ms']);
  t.deepEqual(told, [[]]);
  producer.overtake(1);
  t.is(told.length, 1);
});

test('a barrier overtakes what waits for credits, the open chunk included; all of it follows in order', (t) => {
  const { producer, sent } = subpartition();
  const inFlight = Array.from({ length: IN_FLIGHT_MIN }, (_, index) => `f${index}`);
  write(producer, ...inFlight, 'a', 'b');
  producer.emit({ kind: 'watermark', timestamp: 1 });
  producer.append('c', 0);
  const told: string[][] = [];
  producer.emitBarrier(barrierOf(2), (overtaken) => told.push(overtaken.map(describe)));
  write(producer, 'd');
  t.deepEqual(sent, inFlight);
  t.deepEqual(told, []);
  producer.overtake(2);
  t.deepEqual(sent, [...inFlight, 'barrier 2 within 0 ms']);
  t.deepEqual(told, [['a', 'b', 'watermark', 'c']]);
  for (let credits = 0; credits < 10; credits++) producer.addCredits(1);
  t.deepEqual(sent.slice(IN_FLIGHT_MIN + 1), ['a', 'b', 'watermark', 'c', 'd']);
});

test('a barrier of a checkpoint that was given up stays in its place and is no longer waited for', (t) => {
  const { producer, sent } = subpartition();
  const inFlight = Array.from({ length: IN_FLIGHT_MIN }, (_, index) => `f${index}`);
  write(producer, ...inFlight, 'a');
  const told: string[] = [];
  producer.emitBarrier(barrierOf(1), () => told.push('1'));
  write(producer, 'b');
  producer.emitBarrier(barrierOf(2), (overtaken) => told.push(overtaken.map(describe).join(' ')));
  producer.overtake(1);
  t.deepEqual(sent, inFlight);
  producer.overtake(2);
  for (let credits = 0; credits < 10; credits++) producer.addCredits(1);
  t.deepEqual(told, ['a b']);
  t.deepEqual(sent.slice(IN_FLIGHT_MIN), [
    'barrier 2 within 0 ms',
    'a',
    'barrier 1 within 500 ms',
    'b',
  ]);
});
