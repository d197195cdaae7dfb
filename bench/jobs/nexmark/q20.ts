/** Nexmark q20, every bid with its auction, for auctions in category 10. */
import { listState, t, valueState, type Infer } from 'millrace';
import { mixBid } from './bid-row.js';
import { Auction, Bid, type NexmarkEvent } from './events.js';
import { nexmarkJob } from './nexmark-job.js';
import { bidOf } from './q0.js';
import { fingerprintOf, mix, mixText } from './row-tally.js';

export const CATEGORY = 10;

const Row = t.record({ bid: Bid, auction: Auction });
type Row = Infer<typeof Row>;

export function expandedFingerprint({ bid, auction }: Row): number {
  const { item_name, description, initial_bid, reserve, date_time, expires, seller } = auction;
  const texts = mixText(mixText(mixBid(bid), item_name), description);
  return fingerprintOf(
    mix(mix(mix(mix(mix(texts, initial_bid), reserve), date_time), expires), seller),
  );
}

function isNotPerson(
  event: NexmarkEvent,
): event is Exclude<NexmarkEvent, { readonly kind: 'person' }> {
  return event.kind !== 'person';
}

/** An auction without the mark that tells it from other events. */
export function auctionOf(event: Auction): Auction {
  const { id, item_name, description, initial_bid, reserve } = event;
  const { date_time, expires, seller, category, extra } = event;
  return {
    ...{ id, item_name, description, initial_bid, reserve },
    ...{ date_time, expires, seller, category, extra },
  };
}

export default nexmarkJob('q20', {
  row: Row,
  fingerprint: expandedFingerprint,
  build: (events) =>
    events
      .filter('auctions-and-bids', isNotPerson)
      .keyBy((event) => (event.kind === 'auction' ? event.id : event.auction))
      .process('join', {
        // Of an auction in another category only that it is known, so that no bid waits for it.
        state: {
          auction: valueState(Auction),
          known: valueState(t.boolean),
          early: listState(Bid),
        },
        output: Row,
        onElement: (event, ctx) => {
          const { auction, known, early } = ctx.state;
          if (event.kind === 'auction') {
            known.update(true);
            if (event.category === CATEGORY) {
              const opened = auctionOf(event);
              auction.update(opened);
              for (const bid of early.get()) ctx.collect({ bid, auction: opened });
            }
            early.clear();
            return;
          }
          const opened = auction.value();
          if (opened !== undefined) ctx.collect({ bid: bidOf(event), auction: opened });
          else if (known.value() === undefined) early.add(bidOf(event));
        },
      }),
});
