import test from 'ava';
import { BufferDebloater } from '../../../worker/network/buffer-debloater.js';
import {
  CHANNEL_CREDITS,
  CHUNK_RECORDS_MAX,
  CHUNK_RECORDS_MIN,
  IN_FLIGHT_MIN,
  IN_FLIGHT_TARGET_MS,
} from '../../../worker/network/limits.js';
import { ManualClock } from '../../manual-clock.js';

/** Sends as much as is admitted, then lets the consumer take all of it, `perChunkMs` each. */
function round(debloater: BufferDebloater, clock: ManualClock, perChunkMs: number): number {
  while (debloater.admits()) debloater.sent();
  const inFlight = debloater.inFlight;
  for (let i = 0; i < inFlight; i++) {
    clock.advance(perChunkMs);
    debloater.consumed(1);
  }
  return inFlight;
}

test('a fast consumer gets the whole window', (t) => {
  const clock = new ManualClock();
  const debloater = new BufferDebloater(() => clock.monotonic(), CHANNEL_CREDITS);
  for (let i = 0; i < 50; i++) round(debloater, clock, 0.1);
  t.is(round(debloater, clock, 0.1), CHANNEL_CREDITS);
  t.is(debloater.chunkRecords, CHUNK_RECORDS_MAX);
});

test('a slow consumer has no more in flight than it works off in the target time', (t) => {
  const clock = new ManualClock();
  const debloater = new BufferDebloater(() => clock.monotonic(), CHANNEL_CREDITS);
  for (let i = 0; i < 50; i++) round(debloater, clock, 20);
  t.true(round(debloater, clock, 20) * 20 <= 2 * IN_FLIGHT_TARGET_MS);
});

test('a consumer slower than two chunks in the target time gets smaller chunks, and large ones when it recovers', (t) => {
  const clock = new ManualClock();
  const debloater = new BufferDebloater(() => clock.monotonic(), CHANNEL_CREDITS);
  for (let i = 0; i < 50; i++) round(debloater, clock, 1000);
  t.is(round(debloater, clock, 1000), IN_FLIGHT_MIN);
  t.is(debloater.chunkRecords, CHUNK_RECORDS_MIN);
  for (let i = 0; i < 50; i++) round(debloater, clock, 0.1);
  t.is(debloater.chunkRecords, CHUNK_RECORDS_MAX);
});
