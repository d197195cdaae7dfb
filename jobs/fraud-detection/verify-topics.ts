/**
 * Checks a run from Kafka to Kafka by what an independent reader found in the topics: that the input
 * topic holds the generated day, each transaction once, and the output topics what follows from it.
 */
import { MAX_OUT_OF_ORDERNESS_MS } from './event-time-order.js';
import { TransactionGenerator } from './generator/transaction-generator.js';
import { OUTPUT_NAMES, type OutputName } from './outputs.js';
import { ReferenceComputation } from './reference.js';
import { measureDetection, type Detection } from './reference/labels.js';
import { PartitionLateness } from './reference/partition-lateness.js';
import { readTopicRecords, type TopicRecord } from './reference/topic-records.js';
import type { Transaction } from './schemas.js';
import { OutputComparison, sumOf, type OutputDifference, type Verification } from './verify.js';

export interface TopicVerificationOptions {
  /** File that the reader wrote: see topic-records.ts. */
  readonly records: string;
  readonly topic: string;
  /** As the job's parameters of these names. */
  readonly outputTopics: string;
  /** Of the day that was produced. */
  readonly transactions: number;
  readonly seed: number;
}

/** Totals are of input and outputs. */
export interface TopicVerification extends Omit<Verification, 'alerted'>, Detection {
  /** The input topic compared with the generated day. */
  readonly input: OutputDifference;
}

/** @throws MillraceError INPUT_INVALID for a file that is none of the reader's */
export async function verifyTopics(options: TopicVerificationOptions): Promise<TopicVerification> {
  const { records, topic, outputTopics } = options;
  const computation = new ReferenceComputation();
  const lateness = new PartitionLateness(MAX_OUT_OF_ORDERNESS_MS);
  const produced = new ProducedDay();
  await readTopicRecords(records, (record) => {
    if (record.topic !== topic) return;
    const { value, offset, partition } = record;
    const isLate = (timestamp: number): boolean => lateness.isLate(partition, timestamp);
    produced.add(computation.add(value, offset, isLate));
  });
  const generator = new TransactionGenerator(options.transactions, options.seed);
  const input = produced.compare(generator);
  const reference = await computation.finish();
  const compared = new Map(
    OUTPUT_NAMES.map((name) => [
      `${outputTopics}${name}`,
      { name, comparison: new OutputComparison(name, reference.outputs[name]) },
    ]),
  );
  const alerted = new Set<string>();
  await readTopicRecords(records, (record: TopicRecord) => {
    const output = compared.get(record.topic);
    const identity = output?.comparison.add(record.value);
    if (output?.name === 'alerts' && identity !== undefined) alerted.add(identity);
  });
  const outputs = Object.fromEntries(
    [...compared.values()].map(({ name, comparison }) => [name, comparison.result()]),
  ) as Record<OutputName, OutputDifference>;
  return {
    ...sumOf([input, ...Object.values(outputs)]),
    input,
    outputs,
    ...measureDetection(alerted, generator.incidents),
  };
}

/** What the input topic holds, to be compared with the day that was to be written there. */
class ProducedDay {
  /** By id: what stands in the topic, mostly once. */
  readonly #found = new Map<string, string[]>();
  #records = 0;
  #bad = 0;

  add(transaction: Transaction | undefined): void {
    this.#records += 1;
    if (transaction === undefined) {
      this.#bad += 1;
      return;
    }
    const { transaction_id } = transaction;
    const found = this.#found.get(transaction_id);
    if (found === undefined) this.#found.set(transaction_id, [JSON.stringify(transaction)]);
    else found.push(JSON.stringify(transaction));
  }

  compare(generator: TransactionGenerator): OutputDifference {
    let expected = 0;
    let missing = 0;
    let duplicated = 0;
    let different = this.#bad;
    for (let one = generator.next(); one !== undefined; one = generator.next()) {
      expected += 1;
      const { transaction } = one;
      const found = this.#found.get(transaction.transaction_id) ?? [];
      this.#found.delete(transaction.transaction_id);
      const text = JSON.stringify(transaction);
      const right = found.filter((content) => content === text).length;
      if (found.length === 0) missing += 1;
      different += found.length - right;
      duplicated += Math.max(0, right - 1);
    }
    for (const unexpected of this.#found.values()) different += unexpected.length;
    return { expected, found: this.#records, missing, duplicated, different };
  }
}
