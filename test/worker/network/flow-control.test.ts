import test from 'ava';
import fc from 'fast-check';
import type { StreamEvent } from '../../../worker/network/buffer.js';
import { InputGate } from '../../../worker/network/input-gate.js';
import { CHANNEL_CREDITS } from '../../../worker/network/limits.js';
import { ResultSubpartition } from '../../../worker/network/result-subpartition.js';
import { ManualClock } from '../../manual-clock.js';

/** One channel with both of its ends and nothing between them. */
function channel(clock: ManualClock): {
  readonly producer: ResultSubpartition;
  readonly gate: InputGate;
} {
  const monotonic = (): number => clock.monotonic();
  const gate = new InputGate({
    channels: [{ channel: 0, input: 0, broadcast: false }],
    returnCredits: (_channel, count) => producer.addCredits(count),
    monotonic,
    announce: () => undefined,
  });
  const producer: ResultSubpartition = new ResultSubpartition(
    0,
    (number, buffer) => gate.onBuffer(number, buffer),
    undefined,
    monotonic,
  );
  return { producer, gate };
}

const event: fc.Arbitrary<StreamEvent> = fc.oneof(
  fc.nat().map((timestamp): StreamEvent => ({ kind: 'watermark', timestamp })),
  fc.boolean().map((idle): StreamEvent => ({ kind: 'watermarkStatus', idle })),
);

test('property: whatever the consumer’s pace and the events between, every record arrives in order', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          records: fc.nat(2000),
          events: fc.array(event, { maxLength: 3 }),
          polls: fc.nat(30),
          consumerMs: fc.constantFrom(0, 1, 20, 200, 3000),
        }),
        { minLength: 1, maxLength: 40 },
      ),
      (rounds) => {
        const clock = new ManualClock();
        const { producer, gate } = channel(clock);
        const received: unknown[] = [];
        const take = (limit: number, consumerMs: number): void => {
          for (let polls = 0; polls < limit; polls++) {
            const item = gate.poll();
            if (item === undefined) return;
            if (item.kind !== 'records' || item.records.kind !== 'batch') continue;
            received.push(...item.records.values);
            clock.advance(consumerMs);
          }
        };
        let sent = 0;
        for (const { records, events, polls, consumerMs } of rounds) {
          for (let i = 0; i < records && !producer.isFull; i++) producer.append(sent++, 0);
          for (const one of events) producer.emit(one);
          take(polls, consumerMs);
        }
        producer.flush();
        take(Infinity, 200);
        t.is(received.length, sent);
        t.true(received.every((value, index) => value === index));
        t.true(producer.isReceiverIdle);
      },
    ),
    { numRuns: 300 },
  );
});

test('a slow consumer with a watermark behind every chunk does not stop its producer', (t) => {
  const clock = new ManualClock();
  const { producer, gate } = channel(clock);
  let received = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; !producer.isFull && i < CHANNEL_CREDITS * 256; i++) producer.append(i, 0);
    producer.emit({ kind: 'watermark', timestamp: round });
    for (let item = gate.poll(); item !== undefined; item = gate.poll()) {
      if (item.kind !== 'records') continue;
      received++;
      clock.advance(200);
    }
    t.false(producer.isFull, `round ${round}`);
  }
  t.true(received > 200);
});
