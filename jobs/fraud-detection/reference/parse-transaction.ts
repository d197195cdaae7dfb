/** What a transaction is, said once more without schemas, so that the reference shares no code with the engine. */
import { PAYMENT_METHODS, type PaymentMethod, type Transaction } from '../schemas.js';

const METHODS: ReadonlySet<unknown> = new Set(PAYMENT_METHODS);

/** The transaction that a line holds, reduced to the declared fields; undefined for a bad line. */
export function parseTransaction(line: string): Transaction | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(value) || !isObject(value['geolocation'])) return undefined;
  const { transaction_id, user_id, product_id, price, timestamp, payment_method } = value;
  const { lat, lon, country, city } = value['geolocation'];
  const fits =
    isString(transaction_id) &&
    isString(user_id) &&
    isString(product_id) &&
    isNumber(price) &&
    isNumber(timestamp) &&
    Number.isSafeInteger(timestamp) &&
    isPaymentMethod(payment_method) &&
    isNumber(lat) &&
    isNumber(lon) &&
    isOptionalString(country) &&
    isOptionalString(city);
  if (!fits) return undefined;
  const place = {
    ...(isString(country) ? { country } : {}),
    ...(isString(city) ? { city } : {}),
  };
  return {
    transaction_id,
    user_id,
    product_id,
    price,
    timestamp,
    payment_method,
    geolocation: { lat, lon, ...place },
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

function isOptionalString(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || isString(value);
}

function isPaymentMethod(value: unknown): value is PaymentMethod {
  return METHODS.has(value);
}
