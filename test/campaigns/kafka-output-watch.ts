/**
 * Sees which rows of the ledger job's outputs are committed, as they come: what a campaign waits for. It
 * reads with our own source, so it must never judge what is there; that is for Kafka's own consumer.
 */
import { json } from '../../connectors/formats/index.js';
import { kafkaSource, type KafkaRecord } from '../../connectors/kafka/index.js';
import { t } from '../../api/schema.js';
import { systemClock } from '../../process/system-clock.js';
import { Reading } from '../connectors/kafka/kafka-reading.js';
import { rowOf, type LedgerRow } from './kafka-ledger.js';

const Row = t.record({ account: t.string, at: t.int32, n: t.int32 });
type Committed = KafkaRecord<Uint8Array, LedgerRow>;

const TIMEOUT_MS = 180_000;

export class KafkaOutputWatch {
  readonly #brokers: readonly string[];
  readonly #topics: readonly string[];
  readonly #rows = new Map<string, Set<string>>();
  readonly #furthest = new Map<string, number>();
  #reading: Reading<Committed> | undefined;
  #taken = 0;

  constructor(brokers: readonly string[], topics: readonly string[]) {
    this.#brokers = brokers;
    this.#topics = topics;
  }

  /** Different rows that were seen. */
  rows(topic: string): number {
    return this.#rows.get(topic)?.size ?? 0;
  }

  /** The latest event time that was seen; -1: none. */
  furthest(topic: string): number {
    return this.#furthest.get(topic) ?? -1;
  }

  /**
   * Reads on until it holds.
   * @returns false after three minutes
   */
  async until(holds: () => boolean): Promise<boolean> {
    const end = systemClock.monotonic() + TIMEOUT_MS;
    while (systemClock.monotonic() < end) {
      try {
        this.#reading ??= await this.#start();
        const reading = this.#reading;
        await reading.until(() => {
          this.#take(reading.output.records);
          return holds();
        });
        return true;
      } catch {
        // Brokers were away for longer than the source waits: once more from the beginning.
        await this.close();
      }
    }
    return false;
  }

  async close(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.reader.close();
  }

  #start(): Promise<Reading<Committed>> {
    this.#taken = 0;
    return Reading.start(
      kafkaSource({
        connection: { brokers: this.#brokers },
        topics: this.#topics,
        value: json(Row),
        envelope: true,
      }),
    );
  }

  #take(records: readonly Committed[]): void {
    for (; this.#taken < records.length; this.#taken++) {
      const { topic = '', value } = records[this.#taken] ?? {};
      if (value === undefined) continue;
      const rows = this.#rows.get(topic) ?? new Set();
      this.#rows.set(topic, rows.add(rowOf(value)));
      this.#furthest.set(topic, Math.max(this.furthest(topic), value.at));
    }
  }
}
