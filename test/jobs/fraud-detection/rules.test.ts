import test from 'ava';
import fc from 'fast-check';
import {
  EMPTY_PROFILE,
  updateProfile,
  type Profile,
} from '../../../jobs/fraud-detection/profile.js';
import {
  amountRule,
  amountZScore,
  evaluate,
  LIMITS,
  newPaymentMethodRule,
  travelRule,
  velocityRule,
} from '../../../jobs/fraud-detection/rules.js';
import type { Transaction } from '../../../jobs/fraud-detection/schemas.js';
import { BERLIN, NOON, sampleTransaction, SYDNEY } from './sample-transaction.js';

const HOUR_MS = 3_600_000;

function profileAfter(transactions: readonly Transaction[]): Profile {
  return transactions.reduce(
    (profile, transaction) => updateProfile(profile, transaction, true),
    EMPTY_PROFILE,
  );
}

/** Purchases of 20.00 by card in Berlin, one an hour until an hour before noon. */
const regular = profileAfter(
  Array.from({ length: 20 }, (_, index) =>
    sampleTransaction({ timestamp: NOON - (20 - index) * HOUR_MS, price: index % 2 ? 18 : 22 }),
  ),
);

test('a first transaction is never suspicious', (t) => {
  const { profile, candidate } = evaluate(EMPTY_PROFILE, sampleTransaction({ price: 1e6 }));
  t.is(candidate, undefined);
  t.is(profile.transactions, 1);
});

test('velocity: one purchase more than usual in a minute', (t) => {
  const burst = (count: number): Profile =>
    profileAfter(
      Array.from({ length: count }, (_, i) => sampleTransaction({ timestamp: NOON + i * 1000 })),
    );
  const next = sampleTransaction({ timestamp: NOON + 30_000 });
  t.is(velocityRule(burst(LIMITS.velocityMax - 1), next), undefined);
  t.deepEqual(velocityRule(burst(LIMITS.velocityMax), next), {
    rule: 'velocity',
    transactions: LIMITS.velocityMax + 1,
    window_seconds: 60,
  });
});

test('velocity: the window (t - 60 s, t] excludes its beginning', (t) => {
  const profile = profileAfter(
    Array.from({ length: LIMITS.velocityMax }, () => sampleTransaction({ timestamp: NOON })),
  );
  t.truthy(velocityRule(profile, sampleTransaction({ timestamp: NOON + 59_999 })));
  t.is(velocityRule(profile, sampleTransaction({ timestamp: NOON + 60_000 })), undefined);
});

test('amount: far above the mean is suspicious, above or below it is not', (t) => {
  t.is(amountRule(regular, sampleTransaction({ price: 30 })), undefined);
  t.is(amountRule(regular, sampleTransaction({ price: 0.5 })), undefined);
  const evidence = amountRule(regular, sampleTransaction({ price: 500 }));
  t.is(evidence?.rule, 'amount');
  t.true(evidence?.rule === 'amount' && evidence.z_score > LIMITS.amountZMax);
  t.true(evidence?.rule === 'amount' && Math.abs(evidence.usual_price - 20) < 0.2);
});

test('amount: says nothing before there is a history', (t) => {
  const few = profileAfter(
    Array.from({ length: LIMITS.historyMin - 1 }, () => sampleTransaction()),
  );
  t.is(amountRule(few, sampleTransaction({ price: 1e6 })), undefined);
});

test('amount: free and refunded purchases leave the profile finite', (t) => {
  const profile = profileAfter(
    Array.from({ length: 20 }, (_, index) => sampleTransaction({ price: index % 2 ? 0 : -5 })),
  );
  t.true(Number.isFinite(amountZScore(profile, 0)));
  t.true(Number.isFinite(amountZScore(profile, 100)));
});

test('amount: the running mean and deviation are those of the whole history', (t) => {
  const prices = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 2 });
  fc.assert(
    fc.property(prices, (given) => {
      const logs = given.map((price) => Math.log(price));
      const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
      const m2 = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0);
      const profile = profileAfter(given.map((price) => sampleTransaction({ price })));
      t.true(Math.abs(profile.log_price_mean - mean) < 1e-9 * Math.max(1, Math.abs(mean)));
      t.true(Math.abs(profile.log_price_m2 - m2) < 1e-6 * Math.max(1, m2));
    }),
  );
});

test('travel: Berlin to Sydney takes a day, not an hour', (t) => {
  const later = (hours: number): Transaction =>
    sampleTransaction({ timestamp: NOON - HOUR_MS + hours * HOUR_MS, geolocation: SYDNEY });
  const evidence = travelRule(regular, later(1));
  t.true(evidence?.rule === 'travel' && Math.abs(evidence.km - 16_090) < 50);
  t.is(travelRule(regular, later(24)), undefined);
});

test('travel: two places at the same instant are suspicious, the error of a geolocation is not', (t) => {
  const now = { timestamp: NOON - HOUR_MS };
  t.truthy(travelRule(regular, sampleTransaction({ ...now, geolocation: SYDNEY })));
  const nearby = { lat: BERLIN.lat + 0.5, lon: BERLIN.lon };
  t.is(travelRule(regular, sampleTransaction({ ...now, geolocation: nearby })), undefined);
});

test('travel: a forged place does not make the genuine next one suspicious', (t) => {
  const forged = evaluate(regular, sampleTransaction({ geolocation: SYDNEY }));
  t.deepEqual(
    forged.candidate?.evidence.map(({ rule }) => rule),
    ['travel'],
  );
  const genuine = sampleTransaction({ timestamp: NOON + 60_000 });
  t.is(evaluate(forged.profile, genuine).candidate, undefined);
});

test('new payment method: suspicious only together with a high price', (t) => {
  const byInvoice = (price: number): Transaction =>
    sampleTransaction({ price, payment_method: 'invoice' });
  t.is(newPaymentMethodRule(regular, byInvoice(21)), undefined);
  t.truthy(newPaymentMethodRule(regular, byInvoice(80)));
  t.is(newPaymentMethodRule(regular, sampleTransaction({ price: 80 })), undefined);
  const known = updateProfile(regular, byInvoice(21), true);
  t.is(newPaymentMethodRule(known, byInvoice(80)), undefined);
});

test('several rules may object to one transaction, and the features say what they saw', (t) => {
  const { candidate } = evaluate(
    regular,
    sampleTransaction({ price: 900, payment_method: 'gift_card', geolocation: SYDNEY }),
  );
  t.deepEqual(
    candidate?.evidence.map(({ rule }) => rule),
    ['amount', 'travel', 'new_payment_method'],
  );
  t.is(candidate?.features.new_method, 1);
  t.is(candidate?.features.history, 20);
  t.true((candidate?.features.speed ?? 0) > 1);
});

test('a profile stays small however many purchases there are', (t) => {
  const busy = profileAfter(Array.from({ length: 500 }, () => sampleTransaction()));
  t.true(busy.recent.length <= 32);
  t.deepEqual(busy.payment_methods, ['card']);
});
