/**
 * The customers of a generated day: where they live, what they spend, how they pay and when they
 * travel. A customer's place is a function of the time alone, so that transactions that arrive in
 * any order still tell one plausible journey.
 */
import { distanceKm } from '../geography.js';
import { PAYMENT_METHODS, type PaymentMethod } from '../schemas.js';
import { CITIES, type City } from './cities.js';
import type { SeededRandom } from './random.js';

interface Trip {
  readonly to: City;
  readonly departureMs: number;
  readonly arrivalMs: number;
}

export interface Customer {
  readonly id: string;
  readonly home: City;
  readonly trip: Trip | undefined;
  /** Mean and standard deviation of ln(price). */
  readonly logPriceMean: number;
  readonly logPriceDeviation: number;
  /** Usual payment methods, the favourite first. */
  readonly paymentMethods: readonly PaymentMethod[];
  /** Transactions made so far; planted frauds pick on customers with a history. */
  transactions: number;
}

/** Share of customers who fly somewhere during the day. */
const TRAVELLERS = 0.04;
const AIRLINER_KMH = 780;

/** How uneven activity is: the busiest customers are about 50 times as active as the quietest. */
const ZIPF_SHIFT = 0.02;

export class Customers {
  readonly #all: readonly Customer[];

  /** @param dayMs length of the day, for departures */
  constructor(count: number, startMs: number, dayMs: number, random: SeededRandom) {
    this.#all = Array.from({ length: count }, (_, index) => {
      const home = pickCity(random);
      const favourite = pickMethod(random);
      return {
        id: `user-${String(index + 1).padStart(6, '0')}`,
        home,
        trip: random.chance(TRAVELLERS)
          ? tripFrom(home, startMs + random.next() * dayMs, random)
          : undefined,
        logPriceMean: random.between(2.6, 4.8),
        logPriceDeviation: random.between(0.3, 0.6),
        paymentMethods: random.chance(0.4)
          ? [favourite]
          : [...new Set([favourite, pickMethod(random)])],
        transactions: 0,
      };
    });
  }

  /** A customer, the busy ones more often: probability falls as 1 / (rank + shift) (Zipf-Mandelbrot). */
  pick(random: SeededRandom): Customer {
    const share = ZIPF_SHIFT * (Math.pow((1 + ZIPF_SHIFT) / ZIPF_SHIFT, random.next()) - 1);
    const customer =
      this.#all[Math.min(this.#all.length - 1, Math.floor(share * this.#all.length))];
    if (customer === undefined) throw new RangeError('a day without customers; give at least one');
    return customer;
  }
}

/** Where a customer is: at home or at the destination; undefined in the air, where nobody buys. */
export function placeOf(customer: Customer, timestamp: number): City | undefined {
  const { home, trip } = customer;
  if (trip === undefined || timestamp <= trip.departureMs) return home;
  return timestamp >= trip.arrivalMs ? trip.to : undefined;
}

/** A city at least `kmMin` away. */
export function cityAwayFrom(place: City, kmMin: number, random: SeededRandom): City {
  for (;;) {
    const city = pickCity(random);
    if (distanceKm(place, city) >= kmMin) return city;
  }
}

/** A payment method that the customer does not use. */
export function unusualMethod(customer: Customer, random: SeededRandom): PaymentMethod {
  for (;;) {
    const method = pickMethod(random);
    if (!customer.paymentMethods.includes(method)) return method;
  }
}

function tripFrom(home: City, departureMs: number, random: SeededRandom): Trip {
  const to = cityAwayFrom(home, 200, random);
  const flightMs = (distanceKm(home, to) / AIRLINER_KMH) * 3_600_000;
  return { to, departureMs, arrivalMs: departureMs + flightMs };
}

function pickCity(random: SeededRandom): City {
  return at(CITIES, random.below(CITIES.length));
}

function pickMethod(random: SeededRandom): PaymentMethod {
  return at(PAYMENT_METHODS, random.below(PAYMENT_METHODS.length));
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index} in a list of ${list.length}`);
  return item;
}
