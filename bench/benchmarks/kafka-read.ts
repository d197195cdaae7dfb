/**
 * Reads payments of 100 bytes from a topic in one thread, to records, beside kafkajs' `eachBatch` with `JSON.parse`: the
 * same records, of which all readers make the same sums.
 */
import { BenchBroker } from '../bench-broker.js';
import { avroPayments, Payment, paymentsOf } from '../jobs/payments.js';
import type { ReaderName, ReaderResult } from '../kafka-reader-main.js';
import { runMeasuredChild } from '../measured-child.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { json } from '../../connectors/formats/index.js';
import { besideKafkajs, type ClientResult } from './kafka-clients.js';

/** So many for each second that the measurement is to last. */
const RECORDS_PER_SECOND = 100_000;
const PARTITIONS = 4;
const RECORDS_PER_MS = 20;

interface Row {
  readonly reader: ReaderName;
  readonly topic: string;
  readonly title: string;
  readonly ratioMin: number;
}

const JSON_TOPIC = 'payments-json';
const AVRO_TOPIC = 'payments-avro';
const ROWS: readonly Row[] = [
  { reader: 'json', topic: JSON_TOPIC, title: 'JSON to 5 fields', ratioMin: 2.5 },
  { reader: 'avro', topic: AVRO_TOPIC, title: 'Avro to 5 fields', ratioMin: 5 },
  { reader: 'raw', topic: JSON_TOPIC, title: 'JSON as bytes', ratioMin: 5 },
];

function measure({ seconds, note }: RunOptions): Promise<readonly Measurement[]> {
  const count = Math.round(seconds * RECORDS_PER_SECOND);
  return BenchBroker.with(async (broker) => {
    const options = {
      partitions: PARTITIONS,
      count,
      recordOf: paymentsOf(RECORDS_PER_MS),
      timestampOf: ({ at }: Payment) => at,
    };
    note(`kafka-read: filling two topics with ${count} payments`);
    await broker.fill(JSON_TOPIC, json(Payment), options);
    await broker.fill(AVRO_TOPIC, avroPayments, options);
    const read = async (reader: ReaderName, topic: string): Promise<ClientResult> => {
      note(`kafka-read: ${reader}`);
      const args = [reader, broker.address, String(broker.pid), topic, String(count)];
      return resultOf(await runMeasuredChild<ReaderResult>('./kafka-reader-main.js', args));
    };
    const measurements: Measurement[] = [];
    for (const { reader, topic, title, ratioMin } of ROWS) {
      const kafkajs = await read('kafkajs', JSON_TOPIC);
      const ours = await read(reader, topic);
      const what = { benchmark: 'kafka-read', title, ratioMin };
      measurements.push(...besideKafkajs(what, ours, kafkajs));
    }
    return measurements;
  });
}

function resultOf({ records, sums, ...stretch }: ReaderResult): ClientResult {
  return { ...stretch, records, sums: { ...sums } };
}

export const kafkaRead: Benchmark = {
  name: 'kafka-read',
  description: 'reading a topic of payments in one thread, beside kafkajs',
  seconds: 30,
  run: measure,
};
