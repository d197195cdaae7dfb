/** Counts and revenue of a payment method per minute, as an aggregate that takes records in any order. */
import type { AggregateFunction } from 'millrace';
import {
  revenuePerMinuteSchema,
  revenueTotalsSchema,
  type PaymentMethod,
  type RevenuePerMinute,
  type RevenueTotals,
  type Transaction,
} from './schemas.js';

export const MINUTE_MS = 60_000;

export const revenuePerMinute: AggregateFunction<
  PaymentMethod,
  Transaction,
  RevenueTotals,
  RevenuePerMinute
> = {
  accumulator: revenueTotalsSchema,
  output: revenuePerMinuteSchema,
  createAccumulator: () => ({ transactions: 0, revenue_cents: 0 }),
  add(totals, transaction) {
    totals.transactions += 1;
    totals.revenue_cents += Math.round(transaction.price * 100);
    return totals;
  },
  getResult: (totals, payment_method, window) => ({
    minute: window.start,
    payment_method,
    ...totals,
  }),
};
