/**
 * Reads a topic of payments to its end, in one thread, by our source's reader or by kafkajs, a few
 * times. `node kafka-reader-main.js READER ADDRESS BROKER_PID TOPIC COUNT`; prints one line of JSON.
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import type { SourceOutput } from '../api/source.js';
import { json, raw, type Format } from '../connectors/formats/index.js';
import { kafkaSource } from '../connectors/kafka/index.js';
import { subtask } from './bench-broker.js';
import { avroPayments, Payment, paymentFingerprint } from './jobs/payments.js';
import { Stretch, type StretchResult } from './stretch.js';

/** By the name of its format, or kafkajs with `JSON.parse`. */
export type ReaderName = 'json' | 'avro' | 'raw' | 'kafkajs';

export interface ReaderResult extends StretchResult {
  readonly records: number;
  readonly sums: ReadSums;
}

/** What a reader makes of the records: of their fields, or of their bytes, or both. */
export interface ReadSums {
  readonly fields?: number;
  readonly bytes?: number;
}

interface Tally<T> {
  add(record: T): void;
  readonly sums: ReadSums;
}

class FieldTally implements Tally<Payment> {
  fields = 0;

  add(record: Payment): void {
    this.fields += paymentFingerprint(record);
  }

  get sums(): ReadSums {
    return { fields: this.fields };
  }
}

class ByteTally implements Tally<Uint8Array> {
  bytes = 0;

  /** The last digit of the payment's id stands there. */
  add(value: Uint8Array): void {
    this.bytes += value.length + (value[18] ?? 0);
  }

  get sums(): ReadSums {
    return { bytes: this.bytes };
  }
}

/** As many as a slot asks for at once. */
const POLL_RECORDS = 256;
/** Before it lets answers in, as a slot does. */
const POLLS_AT_ONCE = 4;
/** Of which the first is for the compilers, and of the others the median counts. */
const PASSES = 4;

async function readOurs<T>(
  place: Place,
  value: Format<T>,
  createTally: () => Tally<T>,
): Promise<ReaderResult> {
  const source = kafkaSource({
    connection: { brokers: [place.address] },
    topics: place.topic,
    value,
    boundedAt: 'latest',
  });
  const context = subtask('read');
  const splits = await source.discoverSplits(context);
  const reader = source.createReader(context);
  const tally = createTally();
  let records = 0;
  const output: SourceOutput<T> = {
    collect: (record) => {
      records++;
      tally.add(record);
    },
    takesDeadLetters: true,
    deadLetter: ({ reason }) => {
      throw new Error(`a record could not be read: ${reason}`);
    },
    selectSplit: () => undefined,
    needsStart: () => false,
    observe: () => undefined,
    pauseSplit: () => undefined,
    finishSplit: () => undefined,
  };
  try {
    reader.addSplits(splits);
    reader.noMoreSplits();
    await reader.available();
    const stretch = new Stretch([place.brokerPid]);
    for (let polls = 1; ; polls++) {
      const result = reader.poll(output, POLL_RECORDS);
      if (result === 'end') break;
      if (result === 'wait') await reader.available();
      else if (polls % POLLS_AT_ONCE === 0) await setImmediate();
    }
    return { ...stretch.end(records), records, sums: tally.sums };
  } finally {
    await reader.close();
  }
}

/** With kafkajs' own options. Each call reads as a group of its own. */
async function readKafkajs(place: Place, group: string): Promise<ReaderResult> {
  const kafka = new kafkajs.Kafka({
    brokers: [place.address],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: group });
  const fields = new FieldTally();
  const bytes = new ByteTally();
  let records = 0;
  let stretch: Stretch | undefined;
  const all = new AbortController();
  const done = once(all.signal, 'abort');
  await consumer.connect();
  try {
    await consumer.subscribe({ topic: place.topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        stretch ??= new Stretch([place.brokerPid]);
        for (const { value } of batch.messages) {
          if (value === null) continue;
          bytes.add(value);
          fields.add(JSON.parse(value.toString()) as Payment);
        }
        records += batch.messages.length;
        if (records >= place.count) all.abort();
        return Promise.resolve();
      },
    });
    await done;
    const taken = (stretch ?? new Stretch([place.brokerPid])).end(records);
    return { ...taken, records, sums: { ...fields.sums, ...bytes.sums } };
  } finally {
    await consumer.disconnect();
  }
}

interface Place {
  readonly address: string;
  readonly brokerPid: number;
  readonly topic: string;
  readonly count: number;
}

function readOnce(reader: ReaderName, place: Place, round: number): Promise<ReaderResult> {
  switch (reader) {
    case 'json':
      return readOurs(place, json(Payment), () => new FieldTally());
    case 'avro':
      return readOurs(place, avroPayments, () => new FieldTally());
    case 'raw':
      return readOurs(place, raw(), () => new ByteTally());
    case 'kafkajs':
      return readKafkajs(place, `${place.topic}-${process.pid}-${round}`);
  }
}

async function main(): Promise<void> {
  const [, , reader = '', address = '', brokerPid, topic = '', count] = process.argv;
  const place = { address, brokerPid: Number(brokerPid), topic, count: Number(count) };
  const results: ReaderResult[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    results.push(await readOnce(reader as ReaderName, place, pass));
  }
  const [, median] = results
    .slice(1)
    .sort((one, other) => one.recordsPerSecond - other.recordsPerSecond);
  process.stdout.write(`${JSON.stringify(median)}\n`);
}

await main();
