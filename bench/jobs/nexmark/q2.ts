/** Nexmark q2, selection: auction and price of the bids for each 123rd auction. */
import { t, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

export const EACH_AUCTION = 123;

const Row = t.record({ auction: t.float64, price: t.float64 });
type Row = Infer<typeof Row>;

export function selectionFingerprint({ auction, price }: Row): number {
  return fingerprintOf(mix(auction, price));
}

export default nexmarkJob('q2', {
  row: Row,
  fingerprint: selectionFingerprint,
  build: (events) =>
    events
      .filter('bids', isBid)
      .filter('selected', ({ auction }) => auction % EACH_AUCTION === 0)
      .map('price', ({ auction, price }) => ({ auction, price }), { output: Row }),
});
