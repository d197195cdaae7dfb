import test, { type ExecutionContext } from 'ava';
import { t as types } from '../../../api/schema.js';
import { json } from '../../../connectors/formats/json.js';
import {
  kafkaSource,
  upsertKafkaSink,
  upsertKafkaSource,
  type Change,
  type UpsertKafkaSinkOptions,
} from '../../../connectors/kafka/index.js';
import { UNBOUNDED } from '../../../connectors/kafka/kafka-split.js';
import { systemClock } from '../../../process/system-clock.js';
import { eventually } from '../../integration/eventually.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext, sinkContract } from '../sink-contract.js';
import { readAll, Reading } from './kafka-reading.js';
import { TopicWriter } from './kafka-topic.js';

const HOUR_MS = 3_600_000;
const key = json(types.string);
const value = json(types.record({ n: types.int32 }));
type NumberChange = Change<string, { n: number }>;

const found = kafkaAvailability();
if (found.available) {
  // By itself the cleaner looks every 15 s.
  testTables(await KafkaService.start({ settings: { 'log.cleaner.backoff.ms': 50 } }));
} else {
  test.skip(`tables in Kafka did not run: ${found.reason}`, (t) => t.pass());
}

const upsert = (of: string, n: number): NumberChange => ({ op: 'upsert', key: of, value: { n } });
const remove = (of: string): NumberChange => ({ op: 'delete', key: of });

/** The table that these changes leave. */
function tableOf(changes: readonly NumberChange[]): Record<string, number> {
  const table = new Map<string, number>();
  for (const change of changes) {
    if (change.op === 'upsert') table.set(change.key, change.value.n);
    else table.delete(change.key);
  }
  return Object.fromEntries([...table].sort());
}

function testTables(kafka: KafkaService): void {
  const connection = { brokers: kafka.brokers() };
  let writer: TopicWriter;
  test.before(async () => {
    writer = await TopicWriter.connect(kafka.brokers());
  });
  test.after.always(async () => {
    await writer.close();
    await kafka.stop();
  });

  /** By Kafka's usual means, all of them at one time. */
  const write = (topic: string, changes: readonly NumberChange[], atMs: number): Promise<void> =>
    writer.write(
      topic,
      changes.map((change) => ({
        key: JSON.stringify(change.key),
        value: change.op === 'upsert' ? JSON.stringify(change.value) : null,
        timestamp: String(atMs),
      })),
    );
  const sourceOf = (
    topics: string | RegExp,
    poison?: 'fail',
  ): ReturnType<typeof upsertKafkaSource<string, { n: number }>> =>
    upsertKafkaSource({
      ...{ connection, topics, key, value, boundedAt: 'latest' as const },
      ...(poison === undefined ? {} : { poison }),
    });
  /** Writes the changes in one epoch and commits it. */
  const commit = async (
    t: ExecutionContext,
    changes: readonly NumberChange[],
    options: Pick<UpsertKafkaSinkOptions<string, { n: number }>, 'topic' | 'delivery'>,
  ): Promise<void> => {
    const sink = upsertKafkaSink({ connection, key, value, ...options });
    const context = { ...sinkContext(1, t.title), clock: systemClock };
    const committer = await sink.createCommitter(context);
    t.teardown(() => committer.close());
    const into = await sink.createWriter(context);
    t.teardown(() => into.close());
    for (const change of changes) into.write(change, HOUR_MS);
    await committer.commit(await into.prepareCommit(1));
  };

  let contracts = 0;
  sinkContract(
    test.serial,
    'a table in Kafka',
    async () => {
      const topic = `contract-${++contracts}`;
      await kafka.createTopic(topic, 2, { 'cleanup.policy': 'compact' });
      return {
        clock: systemClock,
        // Jobs of one id are one job to the markers.
        sink: upsertKafkaSink({ connection, topic, key, value, transactionalIdPrefix: topic }),
        record: (index: number) => upsert(String(index), index),
        read: async () => {
          const all = { connection, topics: topic, value, envelope: true as const };
          const records = await readAll(kafkaSource({ ...all, boundedAt: 'latest' }));
          return records.map((record) => record.value?.n ?? -1);
        },
        dispose: () => Promise.resolve(),
      };
    },
    4,
  );

  test('what compaction left gives the same table, from the beginning and from a checkpoint', async (t) => {
    await kafka.createTopic('compacted', 1, {
      'cleanup.policy': 'compact',
      // A batch an hour later begins another segment, and only the last one is left alone.
      'segment.ms': '1000',
      'min.cleanable.dirty.ratio': '0.01',
    });
    const old = ['a', 'b', 'c', 'd'].flatMap((of) => [1, 2, 3, 4, 5].map((n) => upsert(of, n)));
    await write('compacted', old, HOUR_MS);
    const before = await Reading.start(sourceOf('compacted'));
    await before.until(() => before.output.records.length >= 7, 7);
    const restored = before.reader.snapshot(1);
    await before.reader.close();
    t.is(restored[0]?.offset, 7, 'an offset that compaction takes away');
    const later = [upsert('a', 6), remove('b'), upsert('c', 6), upsert('e', 1)];
    await write('compacted', later, 2 * HOUR_MS);
    await write('compacted', [upsert('f', 1)], 3 * HOUR_MS);
    const offsets = await eventually(
      () => 'the log to be compacted',
      async () => {
        const options = { connection, topics: 'compacted', value, envelope: true as const };
        const records = await readAll(kafkaSource({ ...options, boundedAt: 'latest' }));
        return records.length <= 6 ? records.map(({ offset }) => offset) : undefined;
      },
    );
    t.deepEqual(offsets, [19, 20, 21, 22, 23, 24], 'the last change of each key');

    const expected = { a: 6, c: 6, d: 5, e: 1, f: 1 };
    const fresh = await readAll(sourceOf('compacted'));
    t.deepEqual(tableOf(fresh), expected);
    t.true(fresh.some((change) => change.op === 'delete' && change.key === 'b'));
    // Where a bounded source ends was settled before the later changes came.
    const again = await Reading.start(
      upsertKafkaSource({ connection, topics: 'compacted', key, value }),
      { restored: restored.map((split) => ({ ...split, end: UNBOUNDED })) },
    );
    t.teardown(() => again.reader.close());
    await again.until(() => again.output.records.some((change) => change.key === 'f'));
    t.deepEqual(tableOf([...before.output.records, ...again.output.records]), expected);
  });

  test('a record without a key is poison, a tombstone is a delete', async (t) => {
    await kafka.createTopic('keyless', 1);
    await write('keyless', [upsert('a', 1)], HOUR_MS);
    await writer.write('keyless', [{ value: '{"n":2}' }, { key: 'no json', value: '{"n":3}' }]);
    await write('keyless', [remove('a')], HOUR_MS);
    const reading = await Reading.start(sourceOf('keyless'));
    t.deepEqual(await reading.toEnd(), [upsert('a', 1), remove('a')]);
    const [keyless, wrongKey] = reading.output.deadLetters;
    t.like(keyless, { origin: 'keyless-0', position: 1, raw: '{"n":2}' });
    t.regex(keyless?.reason ?? '', /the key is null/);
    t.regex(wrongKey?.reason ?? '', /^key: /);
    await t.throwsAsync(readAll(sourceOf('keyless', 'fail')), {
      message:
        /^INPUT_INVALID: topic "keyless" partition 0 holds no record at offset 1 .*key is null/,
    });
  });

  test('changes arrive as keys, values and tombstones where Kafka puts such keys', async (t) => {
    // Compacted one day, not while the test counts.
    const lazily = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '1' };
    await kafka.createTopic('table', 3, lazily);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    // By kafkajs' own murmur2.
    await write(
      'table',
      keys.map((of) => upsert(of, 0)),
      HOUR_MS,
    );
    await commit(
      t,
      keys.flatMap((of) => [upsert(of, 1), of < 'c' ? remove(of) : upsert(of, 2)]),
      { topic: 'table' },
    );
    await commit(t, [remove('c')], { topic: 'table', delivery: 'atLeastOnce' });
    const records = await readTopics(kafka, ['table']);
    t.is(records.length, 13, 'of each epoch the last change of a key');
    const partitionsOf = (of: string): number => {
      const own = records.filter((record) => String(record.key) === JSON.stringify(of));
      return new Set(own.map(({ partition }) => partition)).size;
    };
    t.deepEqual(
      keys.map(partitionsOf),
      keys.map(() => 1),
    );
    const last = new Map(records.map((record) => [String(record.key), record.value]));
    t.deepEqual(
      [...last].map(([of, bytes]) => [of, bytes === null ? null : String(bytes)]).sort(),
      keys.map((of) => [JSON.stringify(of), of < 'd' ? null : '{"n":2}']),
    );
    t.deepEqual(tableOf(await readAll(sourceOf('table'))), { d: 2, e: 2, f: 2 });
  });

  test('topics that lose the last change of a key are refused, at submit and at the start', async (t) => {
    await kafka.createTopic('aging', 1, { 'cleanup.policy': 'delete', 'retention.ms': '86400000' });
    await kafka.createTopic('kept', 1, { 'cleanup.policy': 'delete' });
    await kafka.createTopic('expiring', 1, { 'cleanup.policy': 'compact,delete' });
    const refused = { message: /^PARAM_INVALID: .*topic "\w+" is not compacted.* cleanup\.policy/ };
    const check = { ...sinkContext(1), clock: systemClock };
    const aging = sourceOf('aging');
    await t.throwsAsync(Promise.resolve(aging.check?.(check)), refused);
    await t.throwsAsync(readAll(aging), refused);
    for (const topic of ['kept', 'expiring']) {
      await t.notThrowsAsync(Promise.resolve(sourceOf(topic).check?.(check)));
      t.deepEqual(await readAll(sourceOf(topic)), []);
    }
    t.deepEqual(await readAll(sourceOf(/^expir/)), []);
    const kept = upsertKafkaSink({ connection, topic: 'kept', key, value });
    await t.throwsAsync(Promise.resolve(kept.check?.(check)), refused);
    await t.throwsAsync(kept.createWriter({ ...sinkContext(1), clock: systemClock }), refused);
    await t.notThrowsAsync(commit(t, [upsert('a', 1)], { topic: 'expiring' }));
    const keyless = { ...upsert('a', 1), key: null } as unknown as NumberChange;
    await t.throwsAsync(commit(t, [keyless], { topic: 'expiring' }), {
      message: /^OUTPUT_FAILED: .*has no key \(topic "expiring"\)/,
    });
  });

  test('options that are wrong are told before anything runs', (t) => {
    t.throws(() => upsertKafkaSink({ connection, topic: '', key, value }), {
      message: /^PARAM_INVALID/,
    });
    t.throws(() => upsertKafkaSink({ connection, topic: 'x', key, value, reduceBytes: -1 }), {
      message: /^PARAM_INVALID: .*reduceBytes is -1/,
    });
    t.throws(() => upsertKafkaSource({ connection, topics: [], key, value }), {
      message: /^PARAM_INVALID/,
    });
  });
}
