/** The layout of the cold store's keys: they sort as their parts do, come back, and never mix. */
import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import type { ByteRange } from '../../../../worker/state/cold/cold-database.js';
import {
  elementKey,
  elementRange,
  readElementName,
  readRowKey,
  readTimerKey,
  readWindowKey,
  rowKey,
  rowRange,
  timerKey,
  timerRange,
  windowKey,
  windowRange,
  type ColdKey,
} from '../../../../worker/state/cold/cold-key.js';

const bytes = fc.uint8Array({ maxLength: 6 });
const small = fc.integer({ min: 0, max: 65_535 });
const coldKey = fc.record<ColdKey>({ bytes, keyGroup: fc.integer({ min: 0, max: 32_767 }) });
const timestamp = fc.double({ noNaN: true }).map((value) => value + 0);

function contains({ from, to }: ByteRange, key: Uint8Array): boolean {
  return Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0;
}

function holds<T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => boolean | undefined): void {
  fc.assert(fc.property(arbitrary, law), { numRuns: 500 });
}

test('keys come back from their bytes', (t) => {
  holds(
    fc.tuple(small, small, coldKey, bytes, timestamp),
    ([operator, state, key, name, start]) => {
      const plain = { bytes: Buffer.from(key.bytes), keyGroup: key.keyGroup };
      deepStrictEqual(readRowKey(rowKey(operator, key)), plain);
      deepStrictEqual(readWindowKey(windowKey(operator, state, start, key)), plain);
      const found = readElementName(elementKey(operator, state, name));
      deepStrictEqual(found, Buffer.from(name));
      const timer = { timestamp: start, sequence: state, key: Buffer.from(key.bytes) };
      deepStrictEqual(readTimerKey(timerKey(operator, 1, timer)), timer);
      return undefined;
    },
  );
  t.pass();
});

test('timers sort by timestamp, then by order of registration', (t) => {
  const timer = fc.record({ timestamp, sequence: fc.maxSafeNat(), key: bytes });
  holds(fc.tuple(timer, timer), ([a, b]) => {
    fc.pre(a.timestamp !== b.timestamp || a.sequence !== b.sequence);
    const before =
      a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.sequence < b.sequence);
    return Buffer.compare(timerKey(3, 0, a), timerKey(3, 0, b)) < 0 === before;
  });
  t.pass();
});

test('a range holds exactly what it is said to hold', (t) => {
  holds(fc.tuple(small, small, small, small, coldKey, coldKey), ([op, op2, st, st2, a, b]) => {
    const element = elementKey(op2, st2, Buffer.from('name'));
    return (
      contains(rowRange(op), rowKey(op2, b)) === (op === op2) &&
      contains(rowRange(op, { start: a.keyGroup, end: a.keyGroup + 1 }), rowKey(op2, b)) ===
        (op === op2 && a.keyGroup === b.keyGroup) &&
      contains(elementRange(op, st), element) === (op === op2 && st === st2)
    );
  });
  holds(fc.tuple(small, small, timestamp, timestamp, timestamp, coldKey), (values) => {
    const [op, st, start, other, third, key] = values;
    const [from, upTo] = start <= other ? [start, other] : [other, start];
    const timer = timerKey(op, 0, { timestamp: third, sequence: 5, key: key.bytes });
    return (
      contains(windowRange(op, st, start), windowKey(op, st, other, key)) === (start === other) &&
      contains(timerRange(op, 0, { timestamp: from, sequence: -Infinity }, upTo), timer) ===
        (third >= from && third <= upTo) &&
      !contains(timerRange(op, 1, { timestamp: from, sequence: -Infinity }, upTo), timer)
    );
  });
  t.pass();
});
