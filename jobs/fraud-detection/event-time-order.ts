/** The order in which a user's transactions are judged, and how long the job waits for it. */
import type { Transaction } from './schemas.js';

/** A transaction that comes further behind than this is late; ms. */
export const MAX_OUT_OF_ORDERNESS_MS = 30_000;

/** By event time, and at equal times by id. */
export function byEventTime(a: Transaction, b: Transaction): number {
  if (a.timestamp !== b.timestamp) return a.timestamp - b.timestamp;
  return a.transaction_id < b.transaction_id ? -1 : a.transaction_id > b.transaction_id ? 1 : 0;
}
