/** Rows that are bids, as most queries have them. */
import { fingerprintOf, mix, mixText } from './row-tally.js';
import type { Bid } from './events.js';

/** Of every field of a bid but the text that fills it up; not yet a fingerprint. */
export function mixBid({ auction, bidder, price, channel, url, date_time }: Bid): number {
  return mixText(mixText(mix(mix(mix(auction, bidder), price), date_time), channel), url);
}

export function bidFingerprint(bid: Bid): number {
  return fingerprintOf(mixBid(bid));
}

/** 1: below 100.00, 2: below 10,000.00, 3: above; in cents. */
export function priceRank(price: number): 1 | 2 | 3 {
  if (price < 10_000) return 1;
  return price < 1_000_000 ? 2 : 3;
}

const DAY_MS = 86_400_000;

/** Start of the day of a time, ms. */
export function dayOf(timestamp: number): number {
  return timestamp - (timestamp % DAY_MS);
}
