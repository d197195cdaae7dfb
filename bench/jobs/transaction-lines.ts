/** A transaction as one line of JSON text, and back: what a source of text decodes. */
import { json } from 'millrace/formats';
import { Transaction } from './transactions.js';

/** Of about 190 characters; each field as JSON.stringify writes it. */
export function lineOf(record: Transaction): string {
  const { transaction_id, user_id, product_id, price, timestamp, payment_method, geolocation } =
    record;
  return (
    `{"transaction_id":"${transaction_id}","user_id":"${user_id}","product_id":"${product_id}",` +
    `"price":${price},"timestamp":${timestamp},"payment_method":"${payment_method}",` +
    `"geolocation":"${geolocation}"}`
  );
}

export const transactionIn = json(Transaction).parse;

/** Field `count` of a total's text, found by its name: reading the text whole is the tally's work. */
export function countIn(line: string): number {
  const from = line.indexOf(COUNT) + COUNT.length;
  return Number(line.slice(from, line.indexOf(',', from)));
}

const COUNT = '"count":';
