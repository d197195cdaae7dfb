/** Nexmark q18, last bid: of each bidder for each auction, replaced by every later one. */
import { t, valueState } from 'millrace';
import { bidFingerprint, mixBid } from './bid-row.js';
import { Bid } from './events.js';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { bidOf } from './q0.js';

/** `replaced` is the fingerprint of the row that this one takes the place of, 0 for none. */
const Row = t.record({ bid: Bid, replaced: t.float64 });

/** Of two bids in one millisecond, the choice depends on the bids alone. */
export function isLater(bid: Bid, than: Bid): boolean {
  if (bid.date_time !== than.date_time) return bid.date_time > than.date_time;
  return mixBid(bid) > mixBid(than);
}

export default nexmarkJob('q18', {
  row: Row,
  fingerprint: ({ bid, replaced }) => bidFingerprint(bid) - replaced,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ bidder, auction }) => ({ bidder, auction }))
      .process('last', {
        state: { last: valueState(Bid) },
        output: Row,
        onElement: (event, ctx) => {
          const bid = bidOf(event);
          const last = ctx.state.last.value();
          if (last !== undefined && !isLater(bid, last)) return;
          ctx.state.last.update(bid);
          ctx.collect({ bid, replaced: last === undefined ? 0 : bidFingerprint(last) });
        },
      }),
});
