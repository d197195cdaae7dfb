/** A transaction as one line of JSON text, and back: what a source of text decodes. */
import { json } from 'millrace/formats';
import { Transaction } from './transactions.js';

const format = json(Transaction);

/** Of about 190 characters; each field as JSON.stringify writes it. */
export const lineOf = format.stringify;

export const transactionIn = format.parse;

/** Field `count` of a total's text, found by its name: reading the text whole is the tally's work. */
export function countIn(line: string): number {
  const from = line.indexOf(COUNT) + COUNT.length;
  return Number(line.slice(from, line.indexOf(',', from)));
}

const COUNT = '"count":';
