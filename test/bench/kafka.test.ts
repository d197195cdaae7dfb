import test from 'ava';
import { BenchBroker, subtask } from '../../bench/bench-broker.js';
import { besideKafkajs } from '../../bench/benchmarks/kafka-clients.js';
import { avroPayments, Payment, paymentsOf } from '../../bench/jobs/payments.js';
import { hash24, TotalSums } from '../../bench/jobs/total-sums.js';
import { lineOf } from '../../bench/jobs/transaction-lines.js';
import { Transaction, transactionsOf, USERS } from '../../bench/jobs/transactions.js';
import { UserTotal } from '../../bench/jobs/window-tally.js';
import { json } from '../../connectors/formats/index.js';
import { kafkaSink } from '../../connectors/kafka/index.js';
import { kafkaAvailability } from '../services/kafka-installation.js';

const RECORDS_PER_MS = 20;
const transactionOf = transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS });

test('a payment is 100 bytes as JSON and half of that as Avro, and reads back', async (t) => {
  const paymentOf = paymentsOf(RECORDS_PER_MS);
  for (const [format, bytesMin, bytesMax] of [
    [json(Payment), 95, 105],
    [avroPayments, 45, 55],
  ] as const) {
    const encoder = await format.createEncoder({ subject: 'a topic' });
    const bytes = Buffer.alloc(1024);
    const end = encoder.encode(paymentOf(123_456), bytes, 0);
    t.true(end >= bytesMin && end <= bytesMax, String(end));
    const decoder = format.createDecoder({ subject: 'a topic' });
    decoder.begin(bytes);
    t.deepEqual(decoder.decode(0, end), paymentOf(123_456));
  }
});

test('a client’s row holds its share of kafkajs’ rate, and none is of other records', (t) => {
  const result = {
    recordsPerSecond: 6e6,
    recordsPerCpuSecond: 4e6,
    foreignCores: 0.01,
    stealCores: 0,
    noisy: false,
    records: 10,
    sums: { fields: 7 },
  };
  const kafkajs = {
    ...result,
    recordsPerSecond: 2e6,
    recordsPerCpuSecond: 2e6,
    sums: { fields: 7, bytes: 9 },
  };
  const row = { benchmark: 'kafka-read', title: 'JSON', ratioMin: 2.5 };
  const [ours, theirs] = besideKafkajs(row, result, kafkajs);
  t.is(ours?.ratioToKafkajs, 3);
  t.is(ours?.ratioToKafkajsPerCpu, 2);
  t.true(ours?.target?.met);
  t.is(theirs?.engine, 'kafkajs');
  t.throws(() => besideKafkajs(row, { ...result, sums: { fields: 8 } }, kafkajs), {
    message: 'kafka-read, JSON: 10 records with fields 8, and by kafkajs 10 with 7',
  });
  t.throws(() => besideKafkajs(row, { ...result, records: 11 }, kafkajs));
});

const availability = kafkaAvailability();
const brokerTest = availability.available ? test : test.skip;
brokerTest('Kafka’s own consumer adds up what the raw loop does', (t) =>
  BenchBroker.with(async (broker) => {
    const count = 1_000;
    await broker.fill('transactions', json(Transaction), {
      partitions: 3,
      count,
      recordOf: transactionOf,
      timestampOf: ({ timestamp }) => timestamp,
    });
    const lines = Array.from({ length: count }, (_, index) => lineOf(transactionOf(index)));
    const checksum = lines.reduce((sum, line) => sum + hash24(line), 0);
    t.deepEqual(await broker.sums('transactions'), { count, checksum });

    await broker.createTopic('totals', 2);
    const sums = new TotalSums();
    const sink = kafkaSink({
      connection: { brokers: [broker.address] },
      topic: 'totals',
      value: json(UserTotal),
      delivery: 'atLeastOnce',
    });
    const writer = await sink.createWriter(subtask('totals'));
    for (let index = 0; index < count; index++) {
      const { user_id, timestamp, price } = transactionOf(index);
      const total = { user_id, start: timestamp, count: index, sum: price * index };
      sums.add(total);
      writer.write(total, timestamp);
    }
    await writer.prepareCommit(1);
    await writer.close();
    t.deepEqual(await broker.totalSums('totals'), { ...sums });
  }),
);
