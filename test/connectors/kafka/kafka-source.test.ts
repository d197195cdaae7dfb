import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { FormatError, type Format } from '../../../connectors/formats/format.js';
import { raw } from '../../../connectors/formats/raw.js';
import { kafkaSource, type KafkaValueOptions } from '../../../connectors/kafka/index.js';
import { COMPRESSIONS } from '../../../connectors/kafka/compression.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KafkaService } from '../../services/kafka.js';
import { Reading, readAll } from './kafka-reading.js';
import { TopicWriter } from './kafka-topic.js';

/** Texts; one that begins with an exclamation mark is no record. */
const text: Format<string> = {
  name: 'text',
  schema: types.string,
  createDecoder: () => {
    let bytes: Buffer = Buffer.alloc(0);
    return {
      begin: (batch) => {
        bytes = batch;
      },
      decode: (start, end) => {
        const value = bytes.toString('utf8', start, end);
        if (value.startsWith('!')) throw new FormatError('it begins with "!"');
        return value;
      },
    };
  },
  createEncoder: () => Promise.reject(new Error('only read')),
};

const found = kafkaAvailability();
if (found.available) testSource(await KafkaService.start());
else test.skip(`the Kafka source did not run: ${found.reason}`, (t) => t.pass());

function testSource(kafka: KafkaService): void {
  let writer: TopicWriter;
  test.before(async () => {
    writer = await TopicWriter.connect(kafka.brokers());
  });
  test.after.always(async () => {
    await writer.close();
    await kafka.stop();
  });
  const texts = (
    topics: string | RegExp,
    options: Partial<KafkaValueOptions<string>> = {},
  ): ReturnType<typeof kafkaSource<string>> =>
    kafkaSource({ connection: { brokers: kafka.brokers() }, topics, value: text, ...options });
  const values = (prefix: string, count: number): { value: string }[] =>
    Array.from({ length: count }, (_, index) => ({ value: `${prefix}${index}` }));
  const plain = (messages: readonly { value: string }[]): string[] =>
    messages.map(({ value }) => value);

  test('all codecs, over partitions, each in its order', async (t) => {
    await kafka.createTopic('codecs', 3);
    for (const compression of COMPRESSIONS) {
      for (const partition of [0, 1, 2]) {
        const messages = values(`${compression} ${partition} `, 400);
        await writer.write(
          'codecs',
          messages.map((message) => ({ ...message, partition })),
          compression,
        );
      }
    }
    const reading = await Reading.start(texts('codecs', { boundedAt: 'latest' }));
    await reading.toEnd();
    for (const partition of [0, 1, 2]) {
      t.deepEqual(
        reading.output.recordsOf.get(`codecs-${partition}`),
        COMPRESSIONS.flatMap((compression) => plain(values(`${compression} ${partition} `, 400))),
      );
    }
    t.deepEqual([...reading.output.finished].sort(), ['codecs-0', 'codecs-1', 'codecs-2']);
  });

  test('begins and ends at offsets, times and positions of groups', async (t) => {
    await kafka.createTopic('bounds', 1);
    for (const [index, timestamp] of [1_000, 2_000, 3_000, 4_000].entries()) {
      await writer.write('bounds', [{ value: `r${index}`, timestamp: String(timestamp) }]);
    }
    const read = (options: Partial<KafkaValueOptions<string>>): Promise<readonly string[]> =>
      readAll(texts('bounds', { boundedAt: 'latest', ...options }));
    t.deepEqual(await read({}), ['r0', 'r1', 'r2', 'r3']);
    t.deepEqual(await read({ startFrom: 'latest' }), []);
    t.deepEqual(await read({ startFrom: { timestamp: 2_500 } }), ['r2', 'r3']);
    t.deepEqual(await read({ startFrom: { timestamp: 9_000 } }), []);
    t.deepEqual(await read({ startFrom: { offsets: { bounds: { 0: 1 } } } }), ['r1', 'r2', 'r3']);
    t.deepEqual(await read({ boundedAt: { timestamp: 3_000 } }), ['r0', 'r1']);
    t.deepEqual(await read({ boundedAt: { offsets: { bounds: { 0: 3 } } } }), ['r0', 'r1', 'r2']);
    const group = { group: 'who-read-two' };
    await t.throwsAsync(read({ startFrom: group }), {
      message: /group "who-read-two" has no committed offset for topic "bounds" partition 0/,
    });
    t.deepEqual(await read({ startFrom: { ...group, otherwise: 'latest' } }), []);
    await writer.admin.setOffsets({
      groupId: group.group,
      topic: 'bounds',
      partitions: [{ partition: 0, offset: '2' }],
    });
    t.deepEqual(await read({ startFrom: group }), ['r2', 'r3']);
  });

  test('a restored reader goes on after the last record it gave, whatever it has fetched', async (t) => {
    await kafka.createTopic('resumed', 2);
    const expected = values('r', 500);
    await writer.write('resumed', expected, 'gzip');
    const source = texts('resumed', { boundedAt: 'latest' });
    const first = await Reading.start(source);
    await first.until(() => first.output.records.length >= 123, 41);
    const restored = first.reader.snapshot(1);
    await first.reader.close();
    // What came since is not read: where it ends was settled when the job started.
    await writer.write('resumed', values('later ', 10));
    const second = await Promise.all(
      [0, 1].map((subtask) => readAll(source, { restored, subtask, parallelism: 2 })),
    );
    t.deepEqual([...first.output.records, ...second.flat()].sort(), plain(expected).sort());
  });

  test('new partitions and topics of a pattern begin at their first record', async (t) => {
    await kafka.createTopic('grown-a', 1);
    await writer.write('grown-a', values('before ', 3));
    const source = texts(/^grown-/, { startFrom: 'latest' });
    const reading = await Reading.start(source);
    t.teardown(() => reading.reader.close());
    await writer.admin.createPartitions({ topicPartitions: [{ topic: 'grown-a', count: 2 }] });
    await kafka.createTopic('grown-b', 1);
    // A producer that knows the topic as it was would leave out the partition.
    const informed = await TopicWriter.connect(kafka.brokers());
    t.teardown(() => informed.close());
    await informed.write('grown-a', [{ value: 'new partition', partition: 1 }]);
    await writer.write('grown-b', [{ value: 'new topic', partition: 0 }]);
    await writer.write('grown-a', [{ value: 'old partition', partition: 0 }]);
    await reading.discover();
    const { records } = reading.output;
    await reading.until(() => records.length === 3);
    t.deepEqual([...records].sort(), ['new partition', 'new topic', 'old partition']);

    // Found after a restart, too: "latest" was for those that were there when the job started.
    const restored = reading.reader.snapshot(1);
    await kafka.createTopic('grown-c', 1);
    await writer.write('grown-c', values('while away ', 2));
    const again = await Reading.start(source, { restored });
    t.teardown(() => again.reader.close());
    await again.until(() => again.output.records.length === 2);
    t.deepEqual(again.output.records, plain(values('while away ', 2)));
  });

  test('read_committed gives what was committed, read_uncommitted all', async (t) => {
    await kafka.createTopic('transactions', 1);
    await writer.transactions('transactions', [
      { end: 'commit', messages: values('committed ', 3) },
      { end: 'abort', messages: values('aborted ', 3) },
      { end: 'commit', messages: values('more ', 2) },
      { end: 'abort', messages: values('aborted at the end ', 2) },
    ]);
    const committed = plain([...values('committed ', 3), ...values('more ', 2)]);
    t.deepEqual(await readAll(texts('transactions', { boundedAt: 'latest' })), committed);
    const all = texts('transactions', { boundedAt: 'latest', isolation: 'read_uncommitted' });
    t.is((await readAll(all)).length, 10);
  });

  test('bytes that hold no record become dead letters with their place, or fail the job', async (t) => {
    await kafka.createTopic('poison', 1);
    await writer.write('poison', [
      { value: 'a' },
      { value: '!b' },
      { value: null },
      { value: 'c' },
    ]);
    const skipping = await Reading.start(texts('poison', { boundedAt: 'latest' }));
    t.deepEqual(await skipping.toEnd(), ['a', 'c']);
    const letter = { origin: 'poison-0', position: 1, reason: 'it begins with "!"', raw: '!b' };
    t.deepEqual(skipping.output.deadLetters, [letter]);
    const telling = await Reading.start(
      texts('poison', { boundedAt: 'latest', tombstones: 'deadLetter' }),
    );
    await telling.toEnd();
    t.deepEqual(
      telling.output.deadLetters.map(({ position, reason }) => [position, reason]),
      [
        [1, 'it begins with "!"'],
        [2, 'the value is null'],
      ],
    );
    const refused = {
      message:
        /^INPUT_INVALID: topic "poison" partition 0 holds no record at offset 1 .*begins with "!b"; .*\.deadLetters a sink/,
    };
    await t.throwsAsync(readAll(texts('poison', { boundedAt: 'latest', poison: 'fail' })), refused);
    for (const poison of [undefined, 'deadLetter'] as const) {
      const untaken = await Reading.start(
        texts('poison', { boundedAt: 'latest', ...(poison && { poison }) }),
      );
      untaken.output.takesDeadLetters = false;
      if (poison === undefined) await t.throwsAsync(untaken.toEnd(), refused);
      else t.deepEqual(await untaken.toEnd(), ['a', 'c']);
    }
  });

  test('an envelope has key, offset, time and headers, and tombstones without a value', async (t) => {
    await kafka.createTopic('envelopes', 1);
    await writer.write('envelopes', [
      { key: 'k', value: 'v', timestamp: '5000', headers: { h: 'é', list: ['1', '2'] } },
      { key: 'k', value: null, timestamp: '6000' },
      { value: 'no key', timestamp: '7000' },
    ]);
    const place = { topic: 'envelopes', partition: 0 };
    const records = await readAll(
      kafkaSource({
        connection: { brokers: kafka.brokers() },
        topics: 'envelopes',
        key: text,
        value: raw(),
        envelope: true,
        boundedAt: 'latest',
      }),
    );
    const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
    t.deepEqual(records, [
      {
        ...place,
        offset: 0,
        timestamp: 5_000,
        key: 'k',
        value: bytes('v'),
        headers: [
          { key: 'h', value: bytes('é') },
          { key: 'list', value: bytes('1') },
          { key: 'list', value: bytes('2') },
        ],
      },
      { ...place, offset: 1, timestamp: 6_000, key: 'k', headers: [] },
      { ...place, offset: 2, timestamp: 7_000, value: bytes('no key'), headers: [] },
    ]);
  });

  test('a group is told of the positions of the checkpoint that completed, not of later ones', async (t) => {
    await kafka.createTopic('watched', 1);
    await writer.write('watched', values('r', 10));
    const reading = await Reading.start(texts('watched', { groupId: 'watchers' }));
    t.teardown(() => reading.reader.close());
    await reading.until(() => reading.output.records.length >= 4, 4);
    reading.reader.snapshot(7);
    await reading.until(() => reading.output.records.length >= 8, 4);
    reading.reader.snapshot(8);
    reading.reader.notifyCheckpointComplete?.(7);
    const committed = async (): Promise<string | undefined> => {
      const [of] = await writer.admin.fetchOffsets({ groupId: 'watchers', topics: ['watched'] });
      return of?.partitions[0]?.offset;
    };
    while ((await committed()) === '-1');
    t.is(await committed(), '4');
  });

  test('no more is fetched ahead than was allowed, and all of it comes', async (t) => {
    await kafka.createTopic('large', 4);
    const expected = values('x'.repeat(10_000), 1_000);
    for (let at = 0; at < expected.length; at += 50) {
      await writer.write('large', expected.slice(at, at + 50));
    }
    const source = texts('large', { boundedAt: 'latest', bufferedBytesMax: 100_000 });
    t.deepEqual([...(await readAll(source))].sort(), plain(expected).sort());
  });
}
