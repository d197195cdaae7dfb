/**
 * Writes transactions of 100,000 records of 100 bytes, in one thread, by our sink's exactly-once path or by
 * a transactional producer of kafkajs. `node kafka-writer-main.js WRITER ADDRESS BROKER_PID TOPIC SECONDS`; prints one
 * line of JSON.
 */
import kafkajs from 'kafkajs';
import { raw } from '../connectors/formats/index.js';
import { kafkaSink } from '../connectors/kafka/index.js';
import { subtask } from './bench-broker.js';
import { hash24 } from './jobs/total-sums.js';
import { Stretch, type StretchResult } from './stretch.js';

export type WriterName = 'millrace' | 'kafkajs';

export interface WriterResult extends StretchResult {
  readonly transactions: number;
  /** Of all transactions, those of the warm-up too: what has to be in the topic. */
  readonly count: number;
  readonly checksum: number;
}

const RECORDS = 100_000;
const VALUE_BYTES = 100;
/** The most that its encoder takes at once before it gets slow. */
const KAFKAJS_SEND_RECORDS = 10_000;
/** Its own pause of 300 ms after a commit that is still under way would be all that is measured. */
const KAFKAJS_RETRY = { initialRetryTime: 5, factor: 0, maxRetryTime: 100, retries: 100 };
const WARM_UP_TRANSACTIONS = 3;

interface TransactionWriter {
  /** Resolves when one transaction of all values is committed. */
  write(values: readonly Buffer[]): Promise<void>;
  close(): Promise<void>;
}

async function openOurs(address: string, topic: string): Promise<TransactionWriter> {
  const sink = kafkaSink({ connection: { brokers: [address] }, topic, value: raw() });
  const context = subtask('write');
  const committer = await sink.createCommitter(context);
  await committer.recover([]);
  const writer = await sink.createWriter(context);
  let checkpointId = 0;
  return {
    write: async (values) => {
      const timestamp = context.clock.now();
      for (const value of values) writer.write(value, timestamp);
      await committer.commit(await writer.prepareCommit(++checkpointId));
    },
    close: async () => {
      await writer.close();
      await committer.close();
    },
  };
}

async function openKafkajs(address: string, topic: string): Promise<TransactionWriter> {
  const kafka = new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer({
    transactionalId: topic,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: KAFKAJS_RETRY,
  });
  await producer.connect();
  return {
    write: async (values) => {
      const transaction = await producer.transaction();
      for (let from = 0; from < values.length; from += KAFKAJS_SEND_RECORDS) {
        const messages = values
          .slice(from, from + KAFKAJS_SEND_RECORDS)
          .map((value) => ({ value }));
        await transaction.send({ topic, messages });
      }
      await transaction.commit();
    },
    close: () => producer.disconnect(),
  };
}

async function main(): Promise<void> {
  const [, , name = '', address = '', brokerPid, topic = '', seconds] = process.argv;
  const texts = Array.from({ length: RECORDS }, (_, index) =>
    `record ${index} `.padEnd(VALUE_BYTES, 'abcdefghijklmnop'),
  );
  const values = texts.map((text) => Buffer.from(text));
  const open = (name as WriterName) === 'millrace' ? openOurs : openKafkajs;
  const writer = await open(address, topic);
  for (let warmUp = 0; warmUp < WARM_UP_TRANSACTIONS; warmUp++) await writer.write(values);
  let transactions = 0;
  const stretch = new Stretch([Number(brokerPid)]);
  while (stretch.seconds < Number(seconds)) {
    await writer.write(values);
    transactions++;
  }
  const taken = stretch.end(transactions * RECORDS);
  await writer.close();
  const written = transactions + WARM_UP_TRANSACTIONS;
  const result: WriterResult = {
    ...taken,
    transactions,
    count: written * RECORDS,
    checksum: written * texts.reduce((sum, text) => sum + hash24(text), 0),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
