/** Nexmark q19, top ten bids of each auction by price; a new one moves the ranks of those below it. */
import { t, valueState } from 'millrace';
import { mixBid } from './bid-row.js';
import { Bid } from './events.js';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { bidOf } from './q0.js';
import { fingerprintOf, mix } from './row-tally.js';

export const TOP = 10;

/** `replaced` is the fingerprint of the row that this one takes the place of, 0 for none. */
const Row = t.record({ bid: Bid, rank: t.int32, replaced: t.float64 });

export function rankedFingerprint(bid: Bid, rank: number): number {
  return fingerprintOf(mix(mixBid(bid), rank));
}

/** Highest price first; what is equal in price is in an order that depends on the bids alone. */
export function byPrice(a: Bid, b: Bid): number {
  return b.price - a.price || a.date_time - b.date_time || mixBid(a) - mixBid(b);
}

export default nexmarkJob('q19', {
  row: Row,
  fingerprint: ({ bid, rank, replaced }) => rankedFingerprint(bid, rank) - replaced,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ auction }) => auction)
      .process('top', {
        state: { top: valueState(t.array(Bid)) },
        output: Row,
        onElement: (event, ctx) => {
          const bid = bidOf(event);
          const before = ctx.state.top.value() ?? [];
          const found = before.findIndex((other) => byPrice(bid, other) < 0);
          const at = found < 0 ? before.length : found;
          if (at >= TOP) return;
          const after = [...before.slice(0, at), bid, ...before.slice(at)].slice(0, TOP);
          ctx.state.top.update(after);
          for (const [index, moved] of after.entries()) {
            if (index < at) continue;
            const former = before[index];
            ctx.collect({
              bid: moved,
              rank: index + 1,
              replaced: former === undefined ? 0 : rankedFingerprint(former, index + 1),
            });
          }
        },
      }),
});
