/**
 * The writer of a Kafka sink without transactions: batches go out as they fill, or a few ms after their
 * first record. At least once: a barrier waits until the brokers have all before it, and what was not
 * acknowledged is sent again, in its order, by a new producer.
 */
import type { SinkContext, SinkWriter } from '../../api/sink.js';
import { toMillraceError } from '../../core/errors.js';
import { BatchSender, type OutgoingBatch } from './batch-sender.js';
import type { Compression } from './compression.js';
import { compressed } from './epoch-writer.js';
import type { KafkaClient } from './kafka-client.js';
import type { KafkaCommittable } from './kafka-committable.js';
import { hasKafkaCode, isRetriable } from './kafka-error.js';
import type { RecordBatcher } from './record-batcher.js';
import { SendBacklog } from './send-backlog.js';
import type { SentMetrics } from './sent-metrics.js';

export interface StreamingWriterOptions<T> {
  readonly createBatcher: (emit: (batch: OutgoingBatch) => void) => RecordBatcher<T>;
  readonly connect: () => KafkaClient;
  readonly topics: readonly string[];
  readonly compression: Compression;
  readonly clock: SinkContext['clock'];
  /** Whether a barrier waits for the brokers, and a failure is made good. */
  readonly delivery: 'atLeastOnce' | 'none';
  readonly lingerMs: number;
  /** Sent and not acknowledged. */
  readonly unsentBytesMax: number;
  /** How long to go on after a failure that may pass, ms. */
  readonly patienceMs: number;
  readonly sent: SentMetrics;
}

/** A batch until the brokers have it. */
interface Unsent extends OutgoingBatch {
  readonly done: Promise<void>;
  readonly settle: (failure?: Error) => void;
}

interface Connected {
  readonly client: KafkaClient;
  readonly sender: BatchSender;
}

const LAST_SENT_MS = 5_000;
const RETRY_DELAY_MS = 100;
const RETRY_DELAY_MS_MAX = 1_000;
const PRODUCER_LOST = [
  'CONNECTION_FAILED',
  'REQUEST_TIMEOUT',
  'UNKNOWN_PRODUCER_ID',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
];
/** Without a transactional id no transaction can time out. */
const NO_TRANSACTION_MS = 60_000;

export class StreamingWriter<T> implements SinkWriter<T, KafkaCommittable> {
  readonly #options: StreamingWriterOptions<T>;
  readonly #batcher: RecordBatcher<T>;
  readonly #backlog: SendBacklog;
  /** In their order. */
  readonly #unsent = new Set<Unsent>();
  /** Batches are compressed one after another, to stay in their order. */
  #compressed: Promise<void> = Promise.resolve();
  #connected: Connected | undefined;
  #failingSinceMs: number | undefined;
  #retryDelayMs = RETRY_DELAY_MS;
  #cancelLinger: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  private constructor(options: StreamingWriterOptions<T>) {
    this.#options = options;
    this.#batcher = options.createBatcher((batch) => this.#enqueue(batch));
    this.#backlog = new SendBacklog(options.unsentBytesMax);
  }

  /** @throws MillraceError BROKER_UNREACHABLE, TOPIC_MISSING, ACCESS_DENIED */
  static async open<T>(options: StreamingWriterOptions<T>): Promise<StreamingWriter<T>> {
    const writer = new StreamingWriter(options);
    writer.#connected = await writer.#connect();
    return writer;
  }

  write(record: T, timestamp: number): void {
    this.#backlog.check();
    this.#batcher.write(record, timestamp);
    this.#cancelLinger ??= this.#options.clock.setTimer(this.#options.lingerMs, () => {
      this.#flush();
    });
  }

  whenWritable(): Promise<void> | undefined {
    return this.#backlog.whenWritable();
  }

  async prepareCommit(): Promise<readonly KafkaCommittable[]> {
    this.#backlog.check();
    this.#flush();
    if (this.#options.delivery === 'none') return [];
    await this.#compressed;
    await Promise.all([...this.#unsent].map(({ done }) => done));
    this.#backlog.check();
    return [];
  }

  async close(): Promise<void> {
    this.#cancelLinger?.();
    await this.#compressed;
    // No barrier has waited for these.
    if (this.#options.delivery === 'none') await this.#lastSent();
    this.#closed = true;
    this.#cancelRetry?.();
    this.#connected?.client.close();
  }

  async #lastSent(): Promise<void> {
    let cancel = (): void => undefined;
    const deadline = new Promise<void>((resolve) => {
      cancel = this.#options.clock.setTimer(LAST_SENT_MS, resolve);
    });
    const sent = Promise.allSettled([...this.#unsent].map(({ done }) => done));
    await Promise.race([sent, deadline]).finally(cancel);
  }

  #flush(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    this.#batcher.flush();
  }

  #enqueue(outgoing: OutgoingBatch): void {
    const { compression } = this.#options;
    const { length } = outgoing.batch;
    this.#backlog.add(length);
    const finish = (batch: Buffer): void => {
      const unsent = unsentOf({ ...outgoing, batch });
      this.#unsent.add(unsent);
      unsent.done.then(
        () => this.#backlog.remove(length),
        () => undefined,
      );
      if (this.#connected !== undefined) this.#transmit(this.#connected, unsent);
    };
    if (compression === 'none') {
      finish(outgoing.batch);
      return;
    }
    const compressing = compressed(outgoing.batch, compression);
    this.#compressed = Promise.all([this.#compressed, compressing]).then(
      ([, batch]) => finish(batch),
      (error: unknown) => this.#fail(error),
    );
  }

  #transmit(connected: Connected, unsent: Unsent): void {
    connected.sender.send(unsent).then(
      () => {
        this.#failingSinceMs = undefined;
        this.#retryDelayMs = RETRY_DELAY_MS;
        this.#unsent.delete(unsent);
        this.#options.sent.add([unsent]);
        unsent.settle();
      },
      (error: unknown) => {
        // All that were under way fail, and one of them is enough.
        if (this.#connected === connected) this.#retry(error);
      },
    );
  }

  /** After a pause all that is unsent goes out again, by a producer that no broker knows. */
  #retry(error: unknown): void {
    const { clock, patienceMs } = this.#options;
    this.#connected?.client.close();
    this.#connected = undefined;
    if (this.#closed) return;
    this.#failingSinceMs ??= clock.monotonic();
    const mayPass = isRetriable(error) || hasKafkaCode(error, ...PRODUCER_LOST);
    if (!mayPass || clock.monotonic() - this.#failingSinceMs > patienceMs) {
      this.#fail(error);
      return;
    }
    this.#cancelRetry = clock.setTimer(this.#retryDelayMs, () => void this.#reconnect());
    this.#retryDelayMs = Math.min(RETRY_DELAY_MS_MAX, 2 * this.#retryDelayMs);
  }

  async #reconnect(): Promise<void> {
    try {
      const connected = await this.#connect();
      if (this.#closed) {
        connected.client.close();
        return;
      }
      this.#connected = connected;
      for (const unsent of [...this.#unsent]) this.#transmit(connected, unsent);
    } catch (error) {
      this.#retry(error);
    }
  }

  async #connect(): Promise<Connected> {
    const { connect, topics, delivery } = this.#options;
    const client = connect();
    try {
      const identity =
        delivery === 'atLeastOnce'
          ? await client.initProducerId(null, NO_TRANSACTION_MS)
          : undefined;
      const acks = identity === undefined ? 1 : -1;
      const sender = new BatchSender({
        client,
        acks,
        ...(identity === undefined ? {} : { identity }),
      });
      await sender.learn(topics);
      return { client, sender };
    } catch (error) {
      client.close();
      throw error;
    }
  }

  #fail(error: unknown): void {
    const failure = toMillraceError(error, 'OUTPUT_FAILED');
    this.#backlog.fail(failure);
    for (const { settle } of this.#unsent) settle(failure);
  }
}

function unsentOf(outgoing: OutgoingBatch): Unsent {
  let settle: Unsent['settle'] = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = (failure) => {
      if (failure === undefined) resolve();
      else reject(failure);
    };
  });
  return { ...outgoing, done, settle };
}
