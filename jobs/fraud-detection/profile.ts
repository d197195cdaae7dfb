/**
 * What the job remembers of a user: the usual price, the last trusted place, the latest purchases
 * and the known payment methods. A profile is changed by the user's transactions in event-time
 * order, and never grows beyond a few hundred bytes.
 */
import { t, type Infer } from 'millrace';
import { paymentMethodSchema, type Transaction } from './schemas.js';

/** Length of the sliding window in which purchases are counted; ms. */
export const VELOCITY_WINDOW_MS = 60_000;

/** Purchases remembered for the window; more than this many within it count as this many. */
const RECENT_MAX = 32;

export const profileSchema = t.record({
  transactions: t.int32,
  /** Mean of ln(price), and the sum of squared deviations from it (Welford). */
  log_price_mean: t.float64,
  log_price_m2: t.float64,
  /** Event times within the last velocity window, oldest first. */
  recent: t.array(t.timestamp),
  payment_methods: t.array(paymentMethodSchema),
  /** Where and when the user last was, as far as that is credible. */
  last_seen: t.optional(t.record({ lat: t.float64, lon: t.float64, timestamp: t.timestamp })),
});
export type Profile = Infer<typeof profileSchema>;

export const EMPTY_PROFILE: Profile = Object.freeze({
  transactions: 0,
  log_price_mean: 0,
  log_price_m2: 0,
  recent: [],
  payment_methods: [],
});

/**
 * The profile after one more transaction, which must not be older than any before it.
 * @param placeIsCredible false keeps the last trusted place: one forged location must not make the
 *   genuine next one look impossible. It heals by itself, since within a day any place can be reached.
 */
export function updateProfile(
  profile: Profile,
  transaction: Transaction,
  placeIsCredible: boolean,
): Profile {
  const { timestamp, price, payment_method, geolocation } = transaction;
  const transactions = profile.transactions + 1;
  const deviation = logPrice(price) - profile.log_price_mean;
  const log_price_mean = profile.log_price_mean + deviation / transactions;
  const last_seen =
    placeIsCredible || profile.last_seen === undefined
      ? { lat: geolocation.lat, lon: geolocation.lon, timestamp }
      : profile.last_seen;
  return {
    transactions,
    log_price_mean,
    log_price_m2: profile.log_price_m2 + deviation * (logPrice(price) - log_price_mean),
    recent: [...withinWindow(profile.recent, timestamp), timestamp].slice(-RECENT_MAX),
    payment_methods: profile.payment_methods.includes(payment_method)
      ? profile.payment_methods
      : [...profile.payment_methods, payment_method],
    last_seen,
  };
}

/** ln(price), with what is free or refunded counted as a cent: prices spread evenly on this scale. */
export function logPrice(price: number): number {
  return Math.log(Math.max(price, 0.01));
}

/** Those of `times` that lie in the velocity window ending at `now`: (now - window, now]. */
export function withinWindow(times: readonly number[], now: number): readonly number[] {
  const first = times.findIndex((time) => time > now - VELOCITY_WINDOW_MS);
  return first === 0 ? times : first < 0 ? [] : times.slice(first);
}
