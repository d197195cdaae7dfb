/**
 * Planted frauds. Each kind is what its rule is meant to catch, drawn from a range that begins where
 * genuine customers end: so the easiest ones can't be missed, and the hardest ones can't be told
 * from genuine purchases, as in life.
 */
import type { PaymentMethod } from '../schemas.js';
import type { City } from './cities.js';
import { cityAwayFrom, unusualMethod, type Customer } from './customers.js';
import type { SeededRandom } from './random.js';

export const INCIDENT_KINDS = ['velocity', 'amount', 'travel', 'new_payment_method'] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

/** A fraud that was planted: one line of the labels file. */
export interface Incident {
  readonly incident: string;
  readonly kind: IncidentKind;
  /** In the order in which they stand in the input. */
  readonly transaction_ids: string[];
}

/** A transaction that a thief, or a customer in a hurry, will make at a later moment. */
export interface PlannedTransaction {
  readonly customer: Customer;
  readonly timestamp: number;
  readonly price: number;
  readonly paymentMethod: PaymentMethod;
  readonly place: City;
  readonly incident: Incident | undefined;
}

const MINUTE_MS = 60_000;

/** A price that lies `deviations` above the customer's mean on the logarithmic scale. */
export function priceAt(customer: Customer, deviations: number): number {
  return Math.exp(customer.logPriceMean + deviations * customer.logPriceDeviation);
}

function favouriteMethodOf({ id, paymentMethods: [favourite] }: Customer): PaymentMethod {
  if (favourite === undefined) throw new RangeError(`${id} has no payment method`);
  return favourite;
}

/** What a thief does with the account of a customer who just bought something at `place`. */
export function planFraud(
  incident: Incident,
  customer: Customer,
  place: City,
  now: number,
  random: SeededRandom,
): PlannedTransaction[] {
  const favourite = favouriteMethodOf(customer);
  const one = (changes: Partial<PlannedTransaction>): PlannedTransaction => ({
    customer,
    timestamp: now + Math.round(random.between(1, 10) * MINUTE_MS),
    price: priceAt(customer, random.normal()),
    paymentMethod: favourite,
    place,
    incident,
    ...changes,
  });
  switch (incident.kind) {
    case 'velocity': {
      // Trying out a stolen card with small sums.
      const start = now + Math.round(random.between(0.1, 5) * MINUTE_MS);
      const purchases = 6 + random.below(6);
      const lengthMs = random.between(10_000, 45_000);
      return Array.from({ length: purchases }, (_, index) =>
        one({
          timestamp: start + Math.round((index * lengthMs) / purchases),
          price: random.between(1, 12),
        }),
      );
    }
    case 'amount':
      return [one({ price: priceAt(customer, random.between(4.2, 9)) })];
    case 'travel':
      return [
        one({
          timestamp: now + Math.round(random.between(1, 100) * MINUTE_MS),
          place: cityAwayFrom(place, 1500, random),
        }),
      ];
    case 'new_payment_method':
      return [
        one({
          price: priceAt(customer, random.between(2, 4.5)),
          paymentMethod: unusualMethod(customer, random),
        }),
      ];
  }
}

/** What looks like a fraud and is none: several genuine purchases within a minute. */
export function planSpree(
  customer: Customer,
  place: City,
  now: number,
  random: SeededRandom,
): PlannedTransaction[] {
  const favourite = favouriteMethodOf(customer);
  return Array.from({ length: 2 + random.below(3) }, (_, index) => ({
    customer,
    timestamp: now + (index + 1) * Math.round(random.between(3_000, 12_000)),
    price: priceAt(customer, random.normal()),
    paymentMethod: favourite,
    place,
    incident: undefined,
  }));
}
