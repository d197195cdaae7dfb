/**
 * What travels through the fraud detection job: the transactions it reads, the candidates its rules
 * pick out, and the three kinds of records it writes. Nothing here computes anything.
 */
import { t, type Infer } from 'millrace';

export const PAYMENT_METHODS = [
  'card',
  'paypal',
  'apple_pay',
  'bank_transfer',
  'invoice',
  'gift_card',
] as const;

export const paymentMethodSchema = t.literal(...PAYMENT_METHODS);
export type PaymentMethod = Infer<typeof paymentMethodSchema>;

/** Where a transaction was made; degrees. */
export const geolocationSchema = t.record({
  lat: t.float64,
  lon: t.float64,
  country: t.optional(t.string),
  city: t.optional(t.string),
});

/** One line of the input. */
export const transactionSchema = t.record({
  transaction_id: t.string,
  user_id: t.string,
  product_id: t.string,
  /** In the shop's currency, with at most two decimals. */
  price: t.float64,
  /** When the customer paid; ms since the epoch. */
  timestamp: t.timestamp,
  payment_method: paymentMethodSchema,
  geolocation: geolocationSchema,
});
export type Transaction = Infer<typeof transactionSchema>;

/** Why a transaction is suspicious, as data: one variant per rule. */
export const evidenceSchema = t.union('rule', {
  velocity: t.record({ transactions: t.int32, window_seconds: t.int32 }),
  amount: t.record({ price: t.float64, usual_price: t.float64, z_score: t.float64 }),
  travel: t.record({ km: t.float64, minutes: t.float64, km_per_hour: t.float64 }),
  new_payment_method: t.record({
    payment_method: paymentMethodSchema,
    price: t.float64,
    z_score: t.float64,
  }),
});
export type Evidence = Infer<typeof evidenceSchema>;

/** What the model is given: plain numbers, 0 where a rule found nothing. */
export const featuresSchema = t.record({
  /** Transactions of the user within the velocity window, this one included. */
  velocity: t.float64,
  /** Standard deviations of the price above the user's usual one. */
  amount_z: t.float64,
  /** Speed since the user's last trusted location, in multiples of the fastest plausible one. */
  speed: t.float64,
  /** 1 when the user never paid this way before, else 0. */
  new_method: t.float64,
  /** Transactions of the user seen before this one. */
  history: t.float64,
});
export type Features = Infer<typeof featuresSchema>;

/** A transaction that at least one rule objects to; the model decides. */
export const candidateSchema = t.record({
  transaction_id: t.string,
  user_id: t.string,
  timestamp: t.timestamp,
  evidence: t.array(evidenceSchema),
  features: featuresSchema,
});
export type Candidate = Infer<typeof candidateSchema>;

/** What the model answers: the probability of fraud, 0..1. */
export const scoreSchema = t.record({ probability: t.float64 });
export type Score = Infer<typeof scoreSchema>;

export const severitySchema = t.literal('low', 'medium', 'high', 'critical');
export type Severity = Infer<typeof severitySchema>;

export const alertSchema = t.record({
  /** Made of the transaction's id alone, so that the same transaction always raises the same alert. */
  alert_id: t.string,
  transaction_id: t.string,
  user_id: t.string,
  timestamp: t.timestamp,
  /** One sentence per rule, for people. */
  reasons: t.array(t.string),
  evidence: t.array(evidenceSchema),
  score: t.float64,
  severity: severitySchema,
});
export type Alert = Infer<typeof alertSchema>;

/** Running totals of one payment method within one minute. */
export const revenueTotalsSchema = t.record({
  transactions: t.int32,
  /** Whole cents: integers add up to the same sum in any order, fractions don't. */
  revenue_cents: t.float64,
});
export type RevenueTotals = Infer<typeof revenueTotalsSchema>;

export const revenuePerMinuteSchema = t.record({
  /** Start of the minute; ms since the epoch. */
  minute: t.timestamp,
  payment_method: paymentMethodSchema,
  transactions: t.int32,
  revenue_cents: t.float64,
});
export type RevenuePerMinute = Infer<typeof revenuePerMinuteSchema>;
