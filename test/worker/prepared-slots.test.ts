import test from 'ava';
import { PreparedSlots, type StartedSlot } from '../../worker/prepared-slots.js';
import type { SlotListener } from '../../worker/slot-runner.js';
import { ManualClock } from '../manual-clock.js';

class FakeSlot implements StartedSlot {
  terminated = false;

  constructor(
    readonly folder: string,
    readonly listener: SlotListener,
  ) {}

  load(): void {
    this.listener.onMessage({ kind: 'loaded' });
  }

  terminate(): Promise<void> {
    this.terminated = true;
    return Promise.resolve();
  }
}

function fixture(slotsMax = 4): {
  readonly clock: ManualClock;
  readonly started: FakeSlot[];
  readonly prepared: PreparedSlots<FakeSlot, string>;
} {
  const clock = new ManualClock();
  const started: FakeSlot[] = [];
  const start = (folder: string, listener: SlotListener): FakeSlot => {
    const slot = new FakeSlot(folder, listener);
    started.push(slot);
    return slot;
  };
  return { clock, started, prepared: new PreparedSlots({ clock, slotsMax, start }) };
}

test('slots are ready once all have loaded their bundle, and each is taken once', async (t) => {
  const { started, prepared } = fixture();
  const ready = prepared.prepare('j', 'b', '/bundle', 2);
  t.deepEqual(
    started.map(({ folder }) => folder),
    ['/bundle', '/bundle'],
  );
  for (const slot of started) slot.load();
  await ready;
  t.is(prepared.take('other', 'b'), undefined);
  t.is(prepared.take('j', 'other'), undefined);
  t.deepEqual([prepared.take('j', 'b'), prepared.take('j', 'b')], started);
  t.is(prepared.take('j', 'b'), undefined);
});

test('asked again, only those are started that are missing, and never too many', async (t) => {
  const { started, prepared } = fixture(3);
  void prepared.prepare('j', 'b', '/bundle', 1);
  const ready = prepared.prepare('j', 'b', '/bundle', 2);
  t.is(started.length, 2);
  void prepared.prepare('k', 'b', '/bundle', 5);
  t.is(started.length, 3);
  for (const slot of started) slot.load();
  await ready;
});

test('a slot that fails, ends or waits for too long is ended and forgotten', async (t) => {
  const { clock, started, prepared } = fixture();
  const ready = prepared.prepare('j', 'b', '/bundle', 3);
  const error = { code: 'BUNDLE_INVALID', message: 'BUNDLE_INVALID: no job' } as const;
  started[0]?.listener.onMessage({ kind: 'failed', task: undefined, error });
  started[1]?.listener.onReleased();
  started[2]?.load();
  await ready;
  t.deepEqual(
    started.map(({ terminated }) => terminated),
    [true, true, false],
  );
  clock.advance(60_000);
  t.true(started[2]?.terminated);
  t.is(prepared.take('j', 'b'), undefined);
});

test('closing ends what nobody took', async (t) => {
  const { started, prepared } = fixture();
  const ready = prepared.prepare('j', 'b', '/bundle', 2);
  const taken = prepared.take('j', 'b');
  await prepared.close();
  await ready;
  t.deepEqual(
    started.map((slot) => slot.terminated),
    started.map((slot) => slot !== taken),
  );
});
