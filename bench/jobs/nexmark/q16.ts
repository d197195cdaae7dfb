/**
 * Nexmark q16, channel statistics of a day: bids, bidders and auctions, by three ranks of price. Every
 * bid corrects the row of its channel.
 */
import { mapState, t, valueState, type Infer } from 'millrace';
import { dayOf, priceRank } from './bid-row.js';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix, mixText } from './row-tally.js';

/** Of all, and of the three ranks. */
const Counts = t.record({
  total: t.float64,
  rank1: t.float64,
  rank2: t.float64,
  rank3: t.float64,
});
type Counts = Infer<typeof Counts>;

const Statistics = t.record({
  channel: t.string,
  day: t.timestamp,
  /** Of the latest bid. */
  minute: t.timestamp,
  bids: Counts,
  bidders: Counts,
  auctions: Counts,
});
export type ChannelStatistics = Infer<typeof Statistics>;

/** `replaced` is the fingerprint of the row that this one takes the place of, 0 for none. */
const Row = t.record({ statistics: Statistics, replaced: t.float64 });

const MINUTE_MS = 60_000;
const NONE: Counts = { total: 0, rank1: 0, rank2: 0, rank3: 0 };

function mixCounts(mixed: number, { total, rank1, rank2, rank3 }: Counts): number {
  return mix(mix(mix(mix(mixed, total), rank1), rank2), rank3);
}

export function channelFingerprint(statistics: ChannelStatistics): number {
  const { channel, day, minute, bids, bidders, auctions } = statistics;
  const mixed = mixText(mix(mix(0, day), minute), channel);
  return fingerprintOf(mixCounts(mixCounts(mixCounts(mixed, bids), bidders), auctions));
}

function counted(counts: Counts, rank: 1 | 2 | 3, isNew: boolean, isNewInRank: boolean): Counts {
  return {
    total: counts.total + (isNew ? 1 : 0),
    rank1: counts.rank1 + (isNewInRank && rank === 1 ? 1 : 0),
    rank2: counts.rank2 + (isNewInRank && rank === 2 ? 1 : 0),
    rank3: counts.rank3 + (isNewInRank && rank === 3 ? 1 : 0),
  };
}

export default nexmarkJob('q16', {
  row: Row,
  fingerprint: ({ statistics, replaced }) => channelFingerprint(statistics) - replaced,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ channel, date_time }) => ({ channel, day: dayOf(date_time) }))
      .process('statistics', {
        state: {
          statistics: valueState(Statistics),
          // By id, the ranks in which it was seen, as bits.
          bidders: mapState(t.int32),
          auctions: mapState(t.int32),
        },
        output: Row,
        onElement: ({ channel, date_time, bidder, auction, price }, ctx) => {
          const before = ctx.state.statistics.value();
          const rank = priceRank(price);
          const bidderRanks = ctx.state.bidders.get(String(bidder)) ?? 0;
          const auctionRanks = ctx.state.auctions.get(String(auction)) ?? 0;
          const bit = 1 << rank;
          ctx.state.bidders.put(String(bidder), bidderRanks | bit);
          ctx.state.auctions.put(String(auction), auctionRanks | bit);
          const statistics: ChannelStatistics = {
            channel,
            day: dayOf(date_time),
            minute: Math.max(before?.minute ?? 0, date_time - (date_time % MINUTE_MS)),
            bids: counted(before?.bids ?? NONE, rank, true, true),
            bidders: counted(
              before?.bidders ?? NONE,
              rank,
              bidderRanks === 0,
              (bidderRanks & bit) === 0,
            ),
            auctions: counted(
              before?.auctions ?? NONE,
              rank,
              auctionRanks === 0,
              (auctionRanks & bit) === 0,
            ),
          };
          ctx.state.statistics.update(statistics);
          ctx.collect({
            statistics,
            replaced: before === undefined ? 0 : channelFingerprint(before),
          });
        },
      }),
});
