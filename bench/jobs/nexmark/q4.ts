/** Nexmark q4, average of the winning bids by category, corrected with every better bid. */
import { listState, t, valueState, type Infer } from 'millrace';
import { nexmarkJob } from './nexmark-job.js';
import type { NexmarkEvent } from './events.js';
import { fingerprintOf, mix } from './row-tally.js';

/** `replaced` is the fingerprint of the row that this one takes the place of, 0 for none. */
const Row = t.record({ category: t.float64, average: t.float64, replaced: t.float64 });
type Row = Infer<typeof Row>;

const Open = t.record({ category: t.float64, from: t.timestamp, to: t.timestamp });
type Open = Infer<typeof Open>;
const Offer = t.record({ price: t.float64, date_time: t.timestamp });
type Offer = Infer<typeof Offer>;
/** What an auction adds to its category. */
const Change = t.record({ category: t.float64, price: t.float64, count: t.float64 });
const Total = t.record({ sum: t.float64, count: t.float64 });

export function averageFingerprint(category: number, average: number): number {
  return fingerprintOf(mix(category, average));
}

function isInTime({ from, to }: Open, { date_time }: Offer): boolean {
  return date_time >= from && date_time <= to;
}

function isNotPerson(
  event: NexmarkEvent,
): event is Exclude<NexmarkEvent, { readonly kind: 'person' }> {
  return event.kind !== 'person';
}

export default nexmarkJob<Row>('q4', {
  row: Row,
  fingerprint: ({ category, average, replaced }) =>
    averageFingerprint(category, average) - replaced,
  build: (events) =>
    events
      .filter('auctions-and-bids', isNotPerson)
      .keyBy((event) => (event.kind === 'auction' ? event.id : event.auction))
      .process('winning-bids', {
        state: { open: valueState(Open), best: valueState(t.float64), early: listState(Offer) },
        output: Change,
        onElement: (event, ctx) => {
          const { open, best, early } = ctx.state;
          const offers: Offer[] = [];
          let auction = open.value();
          if (event.kind === 'auction') {
            auction = { category: event.category, from: event.date_time, to: event.expires };
            open.update(auction);
            offers.push(...early.get());
            early.clear();
          } else {
            offers.push({ price: event.price, date_time: event.date_time });
          }
          if (auction === undefined) {
            early.addAll(offers);
            return;
          }
          const before = best.value();
          let after = before;
          for (const offer of offers) {
            if (isInTime(auction, offer)) after = Math.max(after ?? 0, offer.price);
          }
          if (after === undefined || after === before) return;
          best.update(after);
          const count = before === undefined ? 1 : 0;
          ctx.collect({ category: auction.category, price: after - (before ?? 0), count });
        },
      })
      .keyBy(({ category }) => category)
      .process('average', {
        state: { total: valueState(Total) },
        output: Row,
        onElement: ({ category, price, count }, ctx) => {
          const before = ctx.state.total.value();
          const after = { sum: (before?.sum ?? 0) + price, count: (before?.count ?? 0) + count };
          ctx.state.total.update(after);
          ctx.collect({
            category,
            average: Math.floor(after.sum / after.count),
            replaced:
              before === undefined
                ? 0
                : averageFingerprint(category, Math.floor(before.sum / before.count)),
          });
        },
      }),
});
