/** Nexmark q1, currency conversion: every bid with its price in euros. */
import { bidFingerprint } from './bid-row.js';
import { Bid } from './events.js';
import { isBid, nexmarkJob } from './nexmark-job.js';

export default nexmarkJob('q1', {
  row: Bid,
  fingerprint: bidFingerprint,
  build: (events) => events.filter('bids', isBid).map('in-euros', inEuros, { output: Bid }),
});

/** The price in whole cents, so that every machine has the same. */
export function inEuros({ auction, bidder, price, channel, url, date_time, extra }: Bid): Bid {
  return {
    auction,
    bidder,
    price: Math.floor((price * 908) / 1000),
    channel,
    url,
    date_time,
    extra,
  };
}
