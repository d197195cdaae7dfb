/** Nexmark q7, highest bid: the bids with the highest price of each ten seconds. */
import { listState, t, tumblingWindows, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

export const SIZE_MS = 10_000;

const Row = t.record({
  auction: t.float64,
  bidder: t.float64,
  price: t.float64,
  date_time: t.timestamp,
});
export type HighBid = Infer<typeof Row>;

export function highBidFingerprint({ auction, bidder, price, date_time }: HighBid): number {
  return fingerprintOf(mix(mix(mix(auction, bidder), price), date_time));
}

/** The best of the auction in the window, all that are equal. */
const Best = t.record({ price: t.float64, bids: t.array(Row) });

export default nexmarkJob('q7', {
  row: Row,
  fingerprint: highBidFingerprint,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ auction }) => auction)
      .window(tumblingWindows(SIZE_MS))
      .aggregate('of-auction', {
        accumulator: Best,
        output: Best,
        createAccumulator: () => ({ price: 0, bids: [] }),
        add: (best, { auction, bidder, price, date_time }) => {
          if (price < best.price) return best;
          const bid = { auction, bidder, price, date_time };
          return { price, bids: price === best.price ? [...best.bids, bid] : [bid] };
        },
        getResult: (best) => best,
      })
      .flatMap('bids-of-auctions', ({ bids }) => bids, { output: Row })
      .keyBy(({ date_time }) => date_time - (date_time % SIZE_MS))
      .process('highest', {
        state: { best: listState(Row) },
        output: Row,
        onElement: (bid, ctx) => {
          const [best] = ctx.state.best.get();
          const price = best?.price ?? 0;
          if (bid.price < price) return;
          if (best === undefined) ctx.timers.registerEventTimeTimer(ctx.key + SIZE_MS - 1);
          if (bid.price === price) ctx.state.best.add(bid);
          else ctx.state.best.update([bid]);
        },
        onTimer: (_timestamp, ctx) => {
          for (const bid of ctx.state.best.get()) ctx.collect(bid);
          ctx.state.best.clear();
        },
      }),
});
