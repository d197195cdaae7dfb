/** Nexmark q0, pass-through: every bid as it is. */
import { bidFingerprint } from './bid-row.js';
import { Bid } from './events.js';
import { isBid, nexmarkJob } from './nexmark-job.js';

export default nexmarkJob('q0', {
  row: Bid,
  fingerprint: bidFingerprint,
  build: (events) => events.filter('bids', isBid).map('bid', bidOf, { output: Bid }),
});

/** A bid without the mark that tells it from other events. */
export function bidOf({ auction, bidder, price, channel, url, date_time, extra }: Bid): Bid {
  return { auction, bidder, price, channel, url, date_time, extra };
}
