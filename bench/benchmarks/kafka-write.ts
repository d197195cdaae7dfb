/**
 * Writes transactions of 100,000 records of 100 bytes in one thread, beside a transactional producer of kafkajs;
 * what committed is counted by Kafka's own consumer.
 */
import { BenchBroker } from '../bench-broker.js';
import type { WriterName, WriterResult } from '../kafka-writer-main.js';
import { runMeasuredChild } from '../measured-child.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { checkSums } from './throughput.js';
import { besideKafkajs, type ClientResult } from './kafka-clients.js';

const PARTITIONS = 4;

function measure({ seconds, note }: RunOptions): Promise<readonly Measurement[]> {
  return BenchBroker.with(async (broker) => {
    const write = async (writer: WriterName): Promise<ClientResult> => {
      const topic = `written-by-${writer}`;
      await broker.createTopic(topic, PARTITIONS);
      note(`kafka-write: ${writer} for ${seconds} s`);
      const args = [writer, broker.address, String(broker.pid), topic, String(seconds)];
      const result = await runMeasuredChild<WriterResult>('./kafka-writer-main.js', args);
      const { count, checksum, transactions: _, ...stretch } = result;
      const sums = { count, checksum };
      const found = { ...(await broker.sums(topic)) };
      checkSums(`kafka-write ${writer}`, { sums: found }, sums);
      return { ...stretch, records: count, sums: {} };
    };
    const kafkajs = await write('kafkajs');
    const ours = await write('millrace');
    const title = 'transactions of 100k x 100 bytes';
    return besideKafkajs({ benchmark: 'kafka-write', title, ratioMin: 8 }, ours, kafkajs);
  });
}

export const kafkaWrite: Benchmark = {
  name: 'kafka-write',
  description: 'transactions of 100,000 records in one thread, beside kafkajs',
  seconds: 10,
  run: measure,
};
