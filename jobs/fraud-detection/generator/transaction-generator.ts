/**
 * A day of transactions at MadHatter, made up from a seed: the same seed and size give the same
 * bytes on every machine. Event time advances evenly and arrives in slight disorder; a few records
 * come really late, a few customers do unusual things, and a few frauds are planted and labelled.
 */
import type { PaymentMethod, Transaction } from '../schemas.js';
import type { City } from './cities.js';
import { Customers, placeOf, unusualMethod, type Customer } from './customers.js';
import {
  INCIDENT_KINDS,
  planFraud,
  planSpree,
  priceAt,
  type Incident,
  type PlannedTransaction,
} from './incidents.js';
import { SeededRandom } from './random.js';

/** 2 March 2026, 08:00 UTC. */
export const DAY_START_MS = Date.UTC(2026, 2, 2, 8);
const DAY_MS = 10 * 3_600_000;
/** Small days are shorter rather than thinner: at least one transaction a second. */
const STEP_MS_MAX = 1000;
/** On average a customer buys this often. */
const PURCHASES_PER_HOUR = 4;

/** A transaction arrives at most this much later than one with the same event time could. */
export const DISORDER_MAX_MS = 20_000;
/** How long the really late ones were on their way. */
export const LATE_BY_MS = 600_000;

const CHANCES = {
  late: 0.0005,
  /** Incidents, not transactions: a burst is one incident. */
  fraud: 0.0011,
  spree: 0.0002,
  bigPurchase: 0.00002,
  newMethod: 0.001,
  /** A location that is plainly wrong, as from a VPN. */
  wrongLocation: 0.00001,
} as const;

/** Thieves choose accounts that have been used, since fresh ones are watched. */
const HISTORY_FOR_FRAUD = 16;
const PRODUCTS = 5000;

export interface GeneratedTransaction {
  readonly transaction: Transaction;
  /** True for one that comes minutes late. */
  readonly late: boolean;
  readonly planted: boolean;
}

export class TransactionGenerator {
  /** Frauds of which at least one transaction has been made. */
  readonly incidents: Incident[] = [];
  readonly #count: number;
  readonly #stepMs: number;
  readonly #random: SeededRandom;
  readonly #customers: Customers;
  /** What is planned for later, earliest first; a handful at any time. */
  readonly #planned: PlannedTransaction[] = [];
  #made = 0;

  /**
   * @param count transactions of the day, 1 or more
   * @param seed any 32-bit integer
   */
  constructor(count: number, seed: number) {
    this.#count = count;
    this.#stepMs = Math.min(DAY_MS / count, STEP_MS_MAX);
    this.#random = new SeededRandom(seed);
    const customers = Math.round(3_600_000 / this.#stepMs / PURCHASES_PER_HOUR);
    const dayMs = this.#stepMs * count;
    this.#customers = new Customers(customers, DAY_START_MS, dayMs, this.#random);
  }

  /** The next transaction in order of arrival; undefined at the end of the day. */
  next(): GeneratedTransaction | undefined {
    if (this.#made === this.#count) return undefined;
    const now = DAY_START_MS + Math.floor(this.#made * this.#stepMs);
    this.#made += 1;
    const planned = this.#planned[0];
    if (planned !== undefined && planned.timestamp <= now) {
      this.#planned.shift();
      return this.#fromPlan(planned);
    }
    return this.#genuine(now);
  }

  #fromPlan(planned: PlannedTransaction): GeneratedTransaction {
    const { customer, timestamp, price, paymentMethod, place, incident } = planned;
    const transaction = this.#make(customer, timestamp, price, paymentMethod, place);
    if (incident !== undefined) {
      if (incident.transaction_ids.length === 0) this.incidents.push(incident);
      incident.transaction_ids.push(transaction.transaction_id);
    }
    return { transaction, late: false, planted: true };
  }

  #genuine(now: number): GeneratedTransaction {
    const random = this.#random;
    const late = random.chance(CHANCES.late);
    // Most arrive within a second or two, few take as long as it may take.
    const delayMs = late ? LATE_BY_MS : Math.floor(random.next() ** 4 * DISORDER_MAX_MS);
    const timestamp = now - delayMs;
    const { customer, place } = this.#pickCustomer(timestamp);
    const deviations = random.chance(CHANCES.bigPurchase)
      ? random.between(3.5, 5.5)
      : random.normal();
    const location = random.chance(CHANCES.wrongLocation) ? this.#pickCustomer(now).place : place;
    const transaction = this.#make(
      customer,
      timestamp,
      priceAt(customer, deviations),
      this.#pickMethod(customer),
      location,
    );
    if (!late) this.#planAfter(customer, place, now);
    return { transaction, late, planted: false };
  }

  /** What this purchase leads to, if anything. */
  #planAfter(customer: Customer, place: City, now: number): void {
    const random = this.#random;
    if (random.chance(CHANCES.fraud) && customer.transactions >= HISTORY_FOR_FRAUD) {
      const kind = INCIDENT_KINDS[random.below(INCIDENT_KINDS.length)] ?? 'amount';
      const incident = { incident: `fraud-${this.#made}`, kind, transaction_ids: [] };
      this.#plan(planFraud(incident, customer, place, now, random));
    } else if (random.chance(CHANCES.spree)) {
      this.#plan(planSpree(customer, place, now, random));
    }
  }

  #plan(transactions: readonly PlannedTransaction[]): void {
    this.#planned.push(...transactions);
    this.#planned.sort((a, b) => a.timestamp - b.timestamp);
  }

  #pickCustomer(timestamp: number): { customer: Customer; place: City } {
    for (;;) {
      const customer = this.#customers.pick(this.#random);
      const place = placeOf(customer, timestamp);
      if (place !== undefined) return { customer, place };
    }
  }

  #pickMethod(customer: Customer): PaymentMethod {
    const random = this.#random;
    const [favourite, second] = customer.paymentMethods;
    if (favourite === undefined || random.chance(CHANCES.newMethod)) {
      return unusualMethod(customer, random);
    }
    return second !== undefined && random.chance(0.35) ? second : favourite;
  }

  #make(
    customer: Customer,
    timestamp: number,
    price: number,
    payment_method: PaymentMethod,
    place: City,
  ): Transaction {
    const random = this.#random;
    customer.transactions += 1;
    return {
      transaction_id: `tx-${String(this.#made).padStart(9, '0')}`,
      user_id: customer.id,
      product_id: `sku-${1 + random.below(PRODUCTS)}`,
      price: Math.max(0.5, Math.round(price * 100) / 100),
      timestamp,
      payment_method,
      geolocation: {
        lat: toFourDecimals(place.lat + random.between(-0.2, 0.2)),
        lon: toFourDecimals(place.lon + random.between(-0.2, 0.2)),
        country: place.country,
        city: place.city,
      },
    };
  }
}

function toFourDecimals(degrees: number): number {
  return Math.round(degrees * 10_000) / 10_000;
}
