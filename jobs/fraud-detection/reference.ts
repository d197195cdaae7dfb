/**
 * What the job must write for an input, computed in one thread from the whole file at once: sort each
 * user's transactions, apply the rules and the model, add up the minutes. It shares the rules, the
 * model and the record types with the job, and nothing with the engine, so that an error in the
 * engine can't hide in both.
 */
import { isRaised, toAlert } from './alert.js';
import { byEventTime } from './event-time-order.js';
import { score } from './model.js';
import type { OutputName } from './outputs.js';
import { EMPTY_PROFILE } from './profile.js';
import { canonicalRecord } from './reference/canonical-record.js';
import { readLines } from './reference/line-reader.js';
import { parseTransaction } from './reference/parse-transaction.js';
import { SplitLateness } from './reference/split-lateness.js';
import { evaluate } from './rules.js';
import type { Candidate, RevenuePerMinute, Transaction } from './schemas.js';

export interface ReferenceOptions {
  /** The job's input file. */
  readonly input: string;
  /** As given to the job; a line belongs to the split in which its first byte stands. */
  readonly splitBytes: number;
  /** As in the job's watermark strategy; ms. */
  readonly maxOutOfOrdernessMs: number;
}

/** The records of one output as a multiset: identity -> canonical contents, mostly one. */
export type ExpectedOutput = ReadonlyMap<string, readonly string[]>;

export interface Reference {
  /** Lines that are transactions, late ones included. */
  readonly transactions: number;
  readonly outputs: Readonly<Record<OutputName, ExpectedOutput>>;
}

const MINUTE_MS = 60_000;
/** Of a bad line, this much is written. */
const DEAD_LETTER_CHARACTERS = 4096;

/**
 * About 5 s and 500 MB for a million transactions.
 * @throws the system's error when the input can't be read
 */
export async function computeReference(options: ReferenceOptions): Promise<Reference> {
  const lateness = new SplitLateness(options.splitBytes, options.maxOutOfOrdernessMs);
  const computation = new ReferenceComputation();
  await readLines(options.input, (line, position) => {
    computation.add(line, position, (timestamp) => lateness.isLate(position, timestamp));
  });
  return computation.finish();
}

/** The same for lines from anywhere, handed over one by one. */
export class ReferenceComputation {
  readonly #outputs = {
    alerts: new Map<string, string[]>(),
    late: new Map<string, string[]>(),
    'dead-letters': new Map<string, string[]>(),
    'revenue-per-minute': new Map<string, string[]>(),
  } satisfies Record<OutputName, ExpectedOutput>;
  readonly #users = new Map<string, Transaction[]>();
  readonly #minutes = new Map<string, RevenuePerMinute>();
  #transactions = 0;

  /**
   * @param position as the job writes it with a line that is not a transaction
   * @param isLate asked once for each transaction, with its event time (ms)
   * @returns the transaction; undefined for a bad line
   */
  add(
    line: string,
    position: number,
    isLate: (timestamp: number) => boolean,
  ): Transaction | undefined {
    const transaction = parseTransaction(line);
    if (transaction === undefined) {
      this.#expect('dead-letters', { position, raw: line.slice(0, DEAD_LETTER_CHARACTERS) });
      return undefined;
    }
    this.#transactions += 1;
    if (isLate(transaction.timestamp)) {
      this.#expect('late', transaction);
      return transaction;
    }
    const ofUser = this.#users.get(transaction.user_id);
    if (ofUser === undefined) this.#users.set(transaction.user_id, [transaction]);
    else ofUser.push(transaction);
    addToMinute(this.#minutes, transaction);
    return transaction;
  }

  /** After the last line. */
  async finish(): Promise<Reference> {
    for (const ofUser of this.#users.values()) {
      const candidates = judge(ofUser.sort(byEventTime));
      const scores = await score(candidates.map((candidate) => candidate.features));
      candidates.forEach((candidate, index) => {
        const scored = scores[index];
        if (scored === undefined)
          throw new RangeError('the model left a candidate without a score');
        const alert = toAlert(candidate, scored);
        if (isRaised(alert)) this.#expect('alerts', alert);
      });
    }
    for (const minute of this.#minutes.values()) this.#expect('revenue-per-minute', minute);
    return { transactions: this.#transactions, outputs: this.#outputs };
  }

  #expect(name: OutputName, record: object): void {
    const { identity, content } = canonicalRecord(name, record);
    const outputs = this.#outputs[name];
    outputs.set(identity, [...(outputs.get(identity) ?? []), content]);
  }
}

function judge(inOrder: readonly Transaction[]): Candidate[] {
  const candidates: Candidate[] = [];
  let profile = EMPTY_PROFILE;
  for (const transaction of inOrder) {
    const judged = evaluate(profile, transaction);
    profile = judged.profile;
    if (judged.candidate !== undefined) candidates.push(judged.candidate);
  }
  return candidates;
}

function addToMinute(minutes: Map<string, RevenuePerMinute>, transaction: Transaction): void {
  const { timestamp, payment_method, price } = transaction;
  const minute = Math.floor(timestamp / MINUTE_MS) * MINUTE_MS;
  const key = `${minute}/${payment_method}`;
  const totals = minutes.get(key) ?? { minute, payment_method, transactions: 0, revenue_cents: 0 };
  totals.transactions += 1;
  totals.revenue_cents += Math.round(price * 100);
  minutes.set(key, totals);
}
