/**
 * The four rules, as pure functions of a user's profile and the user's next transaction. They are
 * deliberately suspicious: what they object to is only a candidate, and the model decides.
 */
import { distanceKm } from './geography.js';
import {
  logPrice,
  updateProfile,
  VELOCITY_WINDOW_MS,
  withinWindow,
  type Profile,
} from './profile.js';
import type { Candidate, Evidence, Features, Transaction } from './schemas.js';

export const LIMITS = {
  /** Purchases within the velocity window that are still usual. */
  velocityMax: 4,
  /** Purchases a profile needs before it says anything about prices or payment methods. */
  historyMin: 10,
  /** Deviations above the usual price that are still usual. */
  amountZMax: 3.5,
  /** The same for a payment by a method that is new to the user. */
  newMethodZMax: 1.8,
  /** Faster than any airliner between two places; km/h. */
  speedMaxKmh: 1000,
  /** Closer places are within the error of a geolocation; km. */
  distanceMinKm: 150,
} as const;

/**
 * Before a user has a history, the spread of prices is taken to be that of most users: as if this
 * many purchases with this deviation (of ln(price)) had been seen already.
 */
const PRIOR = { purchases: 12, deviation: 0.5 } as const;

/** Event times are whole ms; two places at one instant are taken to be this far apart in time. */
const ELAPSED_MIN_MS = 1000;

/** Standard deviations between ln(price) and the user's mean; 0 without a history. */
export function amountZScore(profile: Profile, price: number): number {
  if (profile.transactions < LIMITS.historyMin) return 0;
  const variance =
    (profile.log_price_m2 + PRIOR.purchases * PRIOR.deviation ** 2) /
    (profile.transactions - 1 + PRIOR.purchases);
  return (logPrice(price) - profile.log_price_mean) / Math.sqrt(variance);
}

/** More than `velocityMax` purchases in the sliding window (t - 60 s, t]. */
export function velocityRule(profile: Profile, transaction: Transaction): Evidence | undefined {
  const transactions = withinWindow(profile.recent, transaction.timestamp).length + 1;
  return transactions <= LIMITS.velocityMax
    ? undefined
    : { rule: 'velocity', transactions, window_seconds: VELOCITY_WINDOW_MS / 1000 };
}

/** A price far above what the user usually spends. */
export function amountRule(profile: Profile, transaction: Transaction): Evidence | undefined {
  const z_score = amountZScore(profile, transaction.price);
  return z_score <= LIMITS.amountZMax
    ? undefined
    : {
        rule: 'amount',
        price: transaction.price,
        usual_price: Math.exp(profile.log_price_mean),
        z_score,
      };
}

/** Two places too far apart for the time between them. */
export function travelRule(profile: Profile, transaction: Transaction): Evidence | undefined {
  if (profile.last_seen === undefined) return undefined;
  const km = distanceKm(profile.last_seen, transaction.geolocation);
  const elapsedMs = Math.max(transaction.timestamp - profile.last_seen.timestamp, ELAPSED_MIN_MS);
  const km_per_hour = km / (elapsedMs / 3_600_000);
  return km < LIMITS.distanceMinKm || km_per_hour <= LIMITS.speedMaxKmh
    ? undefined
    : { rule: 'travel', km, minutes: elapsedMs / 60_000, km_per_hour };
}

/** A high price paid by a method that the user never used before. */
export function newPaymentMethodRule(
  profile: Profile,
  transaction: Transaction,
): Evidence | undefined {
  if (!isNewPaymentMethod(profile, transaction)) return undefined;
  const z_score = amountZScore(profile, transaction.price);
  return z_score <= LIMITS.newMethodZMax
    ? undefined
    : {
        rule: 'new_payment_method',
        payment_method: transaction.payment_method,
        price: transaction.price,
        z_score,
      };
}

function isNewPaymentMethod(profile: Profile, transaction: Transaction): boolean {
  return (
    profile.transactions >= LIMITS.historyMin &&
    !profile.payment_methods.includes(transaction.payment_method)
  );
}

const RULES = [velocityRule, amountRule, travelRule, newPaymentMethodRule] as const;

/**
 * Judges the user's next transaction and remembers it.
 * @returns the profile after it, and the candidate if any rule objects
 */
export function evaluate(
  profile: Profile,
  transaction: Transaction,
): { readonly profile: Profile; readonly candidate: Candidate | undefined } {
  const evidence = RULES.flatMap((rule) => rule(profile, transaction) ?? []);
  const { transaction_id, user_id, timestamp } = transaction;
  return {
    profile: updateProfile(
      profile,
      transaction,
      evidence.every(({ rule }) => rule !== 'travel'),
    ),
    candidate:
      evidence.length === 0
        ? undefined
        : {
            transaction_id,
            user_id,
            timestamp,
            evidence,
            features: featuresOf(profile, transaction, evidence),
          },
  };
}

function featuresOf(
  profile: Profile,
  transaction: Transaction,
  evidence: readonly Evidence[],
): Features {
  const travel = evidence.find((one) => one.rule === 'travel');
  return {
    velocity: withinWindow(profile.recent, transaction.timestamp).length + 1,
    amount_z: amountZScore(profile, transaction.price),
    speed: travel === undefined ? 0 : travel.km_per_hour / LIMITS.speedMaxKmh,
    new_method: isNewPaymentMethod(profile, transaction) ? 1 : 0,
    history: profile.transactions,
  };
}
