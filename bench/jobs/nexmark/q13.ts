/** Nexmark q13, side input: every bid with the value that a table has for its auction. */
import { t, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix, mixText } from './row-tally.js';

const TABLE_SIZE = 10_000;

/** The bounded side input: what the table says of an auction. */
const sideInput: ReadonlyMap<number, string> = new Map(
  Array.from({ length: TABLE_SIZE }, (_, key) => [key, `value-${key * 7}`]),
);

export function sideValueOf(auction: number): string {
  return sideInput.get(auction % TABLE_SIZE) ?? '';
}

const Row = t.record({
  auction: t.float64,
  bidder: t.float64,
  price: t.float64,
  date_time: t.timestamp,
  value: t.string,
});
type Row = Infer<typeof Row>;

export function enrichedFingerprint({ auction, bidder, price, date_time, value }: Row): number {
  return fingerprintOf(mixText(mix(mix(mix(auction, bidder), price), date_time), value));
}

export default nexmarkJob('q13', {
  row: Row,
  fingerprint: enrichedFingerprint,
  build: (events) =>
    events.filter('bids', isBid).map(
      'enriched',
      ({ auction, bidder, price, date_time }) => ({
        auction,
        bidder,
        price,
        date_time,
        value: sideValueOf(auction),
      }),
      { output: Row },
    ),
});
