/** Nexmark q17, auction statistics of a day: bids by price rank, least, greatest, average and sum. */
import { t, valueState, type Infer } from 'millrace';
import { dayOf, priceRank } from './bid-row.js';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

const Statistics = t.record({
  auction: t.float64,
  day: t.timestamp,
  bids: t.float64,
  rank1: t.float64,
  rank2: t.float64,
  rank3: t.float64,
  least: t.float64,
  greatest: t.float64,
  average: t.float64,
  sum: t.float64,
});
export type AuctionStatistics = Infer<typeof Statistics>;

/** `replaced` is the fingerprint of the row that this one takes the place of, 0 for none. */
const Row = t.record({ statistics: Statistics, replaced: t.float64 });

export function auctionFingerprint(statistics: AuctionStatistics): number {
  const { auction, day, bids, rank1, rank2, rank3, least, greatest, average, sum } = statistics;
  const ranks = mix(mix(mix(mix(mix(auction, day), bids), rank1), rank2), rank3);
  return fingerprintOf(mix(mix(mix(mix(ranks, least), greatest), average), sum));
}

export default nexmarkJob('q17', {
  row: Row,
  fingerprint: ({ statistics, replaced }) => auctionFingerprint(statistics) - replaced,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ auction, date_time }) => ({ auction, day: dayOf(date_time) }))
      .process('statistics', {
        state: { statistics: valueState(Statistics) },
        output: Row,
        onElement: ({ auction, date_time, price }, ctx) => {
          const before = ctx.state.statistics.value();
          const rank = priceRank(price);
          const bids = (before?.bids ?? 0) + 1;
          const sum = (before?.sum ?? 0) + price;
          const statistics: AuctionStatistics = {
            auction,
            day: dayOf(date_time),
            bids,
            rank1: (before?.rank1 ?? 0) + (rank === 1 ? 1 : 0),
            rank2: (before?.rank2 ?? 0) + (rank === 2 ? 1 : 0),
            rank3: (before?.rank3 ?? 0) + (rank === 3 ? 1 : 0),
            least: Math.min(before?.least ?? price, price),
            greatest: Math.max(before?.greatest ?? price, price),
            average: Math.floor(sum / bids),
            sum,
          };
          ctx.state.statistics.update(statistics);
          ctx.collect({
            statistics,
            replaced: before === undefined ? 0 : auctionFingerprint(before),
          });
        },
      }),
});
