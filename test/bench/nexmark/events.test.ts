import test from 'ava';
import { EPOCH_MS, nexmarkEvent, type NexmarkEvent } from '../../../bench/jobs/nexmark/events.js';

const EVENTS = 20_000;
const events = Array.from({ length: EVENTS }, (_, n) => nexmarkEvent(n));

function ofKind<K extends NexmarkEvent['kind']>(
  kind: K,
): readonly Extract<NexmarkEvent, { readonly kind: K }>[] {
  return events.filter(
    (event): event is Extract<NexmarkEvent, { readonly kind: K }> => event.kind === kind,
  );
}

test('of a hundred events two are people, six auctions and the rest bids', (t) => {
  t.is(ofKind('person').length, (EVENTS * 2) / 100);
  t.is(ofKind('auction').length, (EVENTS * 6) / 100);
  t.is(ofKind('bid').length, (EVENTS * 92) / 100);
});

test('ten thousand events are a second, in order', (t) => {
  t.deepEqual(
    [0, 9, 10, 9_999, 10_000].map((n) => nexmarkEvent(n).date_time - EPOCH_MS),
    [0, 0, 1, 999, 1000],
  );
});

test('people and auctions are numbered without gaps', (t) => {
  for (const kind of ['person', 'auction'] as const) {
    const ids = ofKind(kind).map(({ id }) => id);
    t.deepEqual(
      ids,
      ids.map((_, index) => 1000 + index),
    );
  }
});

test('half of the bids are for hot auctions, three quarters by hot bidders, at no price above a million', (t) => {
  const bids = ofKind('bid');
  const share = (hot: (bid: (typeof bids)[number]) => boolean): number =>
    bids.filter(hot).length / bids.length;
  t.true(Math.abs(share(({ auction }) => auction % 100 === 0) - 0.5) < 0.03);
  t.true(Math.abs(share(({ bidder }) => bidder % 100 === 1) - 0.75) < 0.03);
  t.true(Math.min(...bids.map(({ price }) => price)) >= 100);
  t.true(Math.max(...bids.map(({ price }) => price)) <= 100_000_000);
});

test('an event depends on its number alone', (t) => {
  for (const n of [0, 1, 3, 4, 777, 123_456_789]) t.deepEqual(nexmarkEvent(n), nexmarkEvent(n));
});
