/**
 * Reads alerts as they are committed to a topic. It shows what it can and must never fail the demo:
 * the comparison at the end reads everything anew, and with another reader.
 */
import { unregisteredMetrics } from '../../api/metrics.js';
import type { SourceContext, SourceOutput, SourceReader } from '../../api/source.js';
import { raw } from '../../connectors/formats/raw.js';
import { kafkaSource } from '../../connectors/kafka/kafka-source.js';
import type { KafkaSplit } from '../../connectors/kafka/kafka-split.js';
import type { Clock } from '../../core/clock.js';
import { LATEST_MAX, parseAlert, type AlertLine } from './alert-line.js';
import type { AlertFeed } from './demo-workload.js';

const TURN_RECORDS = 1_000;

export class AlertTopicTail implements AlertFeed {
  readonly #broker: string;
  readonly #topic: string;
  readonly #context: SourceContext;
  #reader: SourceReader<Uint8Array, KafkaSplit> | undefined;
  #count = 0;
  #latest: readonly AlertLine[] = [];

  constructor(broker: string, topic: string, clock: Clock) {
    this.#broker = broker;
    this.#topic = topic;
    this.#context = {
      operator: 'alert-tail',
      subtask: 0,
      parallelism: 1,
      clock,
      metrics: unregisteredMetrics,
    };
  }

  get count(): number {
    return this.#count;
  }

  get latest(): readonly AlertLine[] {
    return this.#latest;
  }

  /** Once the topic is there. @throws MillraceError TOPIC_MISSING, BROKER_UNREACHABLE */
  async open(): Promise<void> {
    const source = kafkaSource({
      connection: { brokers: [this.#broker] },
      topics: this.#topic,
      value: raw(),
    });
    const splits = await source.discoverSplits(this.#context);
    this.#reader = source.createReader(this.#context);
    this.#reader.addSplits(splits);
  }

  async read(): Promise<void> {
    const reader = this.#reader;
    if (reader === undefined) return;
    try {
      while (reader.poll(this.#output, TURN_RECORDS) === 'more');
    } catch {
      await this.close();
    }
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close();
  }

  readonly #output: SourceOutput<Uint8Array> = {
    collect: (value) => {
      this.#count += 1;
      const alert = parseAlert(Buffer.from(value).toString());
      if (alert !== undefined) this.#latest = [...this.#latest, alert].slice(-LATEST_MAX);
    },
    selectSplit: () => undefined,
    takesDeadLetters: true,
    deadLetter: () => undefined,
    needsStart: () => false,
    observe: () => undefined,
    pauseSplit: () => undefined,
    finishSplit: () => undefined,
  };
}
