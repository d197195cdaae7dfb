/**
 * Deposits written to a topic without a pause, each noted once the brokers have acknowledged it, and
 * what the ledger job has to make of them. Nothing is under way while brokers are killed, so that no
 * record is there of which nobody knows.
 */
import kafkajs, { type Message, type Producer } from 'kafkajs';
import { systemClock } from '../../process/system-clock.js';

export const INPUT_PARTITIONS = 4;
const ACCOUNTS = 52;
const BATCH = 16;
const BATCH_INTERVAL_MS = 40;
/** As in the job. */
const WINDOW_MS = 500;
/** Event time of the last records, after which every window before is over. */
const END_AT = 2_000_000_000;
const SEND_TIMEOUT_MS = 120_000;

/** Rows of an output, each with how often it is there. */
export type Multiset = ReadonlyMap<string, number>;

export interface Expectation {
  readonly entries: Multiset;
  readonly totals: Multiset;
}

/** Of either output; `at` is the deposit's, or the begin of the window. */
export interface LedgerRow {
  readonly account: string;
  readonly at: number;
  readonly n: number;
}

/** A row as text; equal rows have equal ones. */
export function rowOf({ account, at, n }: LedgerRow): string {
  return `${account}@${at}:${n}`;
}

function accountOf(seq: number): string {
  return `account-${seq % ACCOUNTS}`;
}

function messageOf(account: string, at: number, partition: number): Message {
  return { value: JSON.stringify({ account, at }), partition };
}

export class KafkaLedger {
  #acknowledged = 0;
  #ended = false;
  #running = false;
  #loop: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(
    private readonly topic: string,
    private readonly producer: Producer,
  ) {}

  static async open(brokers: readonly string[], topic: string): Promise<KafkaLedger> {
    const kafka = new kafkajs.Kafka({
      brokers: [...brokers],
      logLevel: kafkajs.logLevel.NOTHING,
      requestTimeout: SEND_TIMEOUT_MS,
      retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 100 },
    });
    // A record whose acknowledgement was lost is sent again, and the broker knows it.
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    return new KafkaLedger(topic, producer);
  }

  /** Event time from which on no deposit was sent. */
  get next(): number {
    return this.#acknowledged + BATCH;
  }

  get records(): number {
    return this.#acknowledged + (this.#ended ? INPUT_PARTITIONS : 0);
  }

  resume(): void {
    if (this.#running) return;
    this.#running = true;
    this.#loop = this.#write().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Once this resolves everything that was sent is acknowledged. */
  async pause(): Promise<void> {
    this.#running = false;
    await this.#loop;
    this.check();
  }

  /** @throws what writing failed with */
  check(): void {
    if (this.#failure === undefined) return;
    throw new Error('the ledger could not be written', { cause: this.#failure });
  }

  /** Writes the last deposits, one in each partition, which end all windows before. */
  async end(): Promise<void> {
    await this.pause();
    const messages = Array.from({ length: INPUT_PARTITIONS }, (_, partition) =>
      messageOf(`end-${partition}`, END_AT, partition),
    );
    await this.producer.send({ topic: this.topic, acks: -1, messages });
    this.#ended = true;
  }

  close(): Promise<void> {
    this.#running = false;
    return this.producer.disconnect();
  }

  /** What the job's outputs have to be by now. */
  expected(): Expectation {
    const entries = new Map<string, number>();
    const windows = new Map<string, number>();
    for (let seq = 0; seq < this.#acknowledged; seq++) {
      const account = accountOf(seq);
      entries.set(rowOf({ account, at: seq, n: Math.floor(seq / ACCOUNTS) + 1 }), 1);
      const window = `${account}@${seq - (seq % WINDOW_MS)}`;
      windows.set(window, (windows.get(window) ?? 0) + 1);
    }
    if (this.#ended) {
      for (let partition = 0; partition < INPUT_PARTITIONS; partition++) {
        entries.set(rowOf({ account: `end-${partition}`, at: END_AT, n: 1 }), 1);
      }
    }
    const totals = new Map([...windows].map(([window, n]) => [`${window}:${n}`, 1]));
    return { entries, totals };
  }

  /**
   * @param values of the topic's records
   * @throws Error unless they are what was acknowledged and nothing else
   */
  checkInput(values: readonly string[]): void {
    const different = new Set(values).size;
    if (different === this.records && values.length === this.records) return;
    throw new Error(
      `the input is not the ledger: ${this.records} deposits were acknowledged, ` +
        `${values.length} are in the topic, ${different} of them different`,
    );
  }

  async #write(): Promise<void> {
    while (this.#running) {
      const first = this.#acknowledged;
      // All of an account go to one partition, in their order.
      const messages = Array.from({ length: BATCH }, (_, index) =>
        messageOf(accountOf(first + index), first + index, (first + index) % INPUT_PARTITIONS),
      );
      await this.producer.send({ topic: this.topic, acks: -1, messages });
      this.#acknowledged += BATCH;
      await new Promise<void>((resolve) => systemClock.setTimer(BATCH_INTERVAL_MS, resolve));
    }
  }
}

/** Compares an output, as the values of its records, with what it has to be. A wrong row counts as both. */
export function judge(
  expected: Multiset,
  values: readonly string[],
): { readonly lost: number; readonly duplicated: number } {
  const left = new Map(expected);
  let duplicated = 0;
  for (const value of values) {
    const row = rowOf(JSON.parse(value) as LedgerRow);
    const count = left.get(row) ?? 0;
    if (count === 0) duplicated += 1;
    else left.set(row, count - 1);
  }
  const lost = [...left.values()].reduce((sum, count) => sum + count, 0);
  return { lost, duplicated };
}
