/** A transaction to change for each test. */
import type { Transaction } from '../../../jobs/fraud-detection/schemas.js';

export const NOON = Date.UTC(2026, 2, 2, 12);

export const BERLIN = { lat: 52.52, lon: 13.4 };
export const SYDNEY = { lat: -33.87, lon: 151.21 };

export function sampleTransaction(changes: Partial<Transaction> = {}): Transaction {
  return {
    transaction_id: 'tx-1',
    user_id: 'user-1',
    product_id: 'sku-1',
    price: 20,
    timestamp: NOON,
    payment_method: 'card',
    geolocation: BERLIN,
    ...changes,
  };
}
