import test, { type ExecutionContext } from 'ava';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import type { JobSettings } from '../../../api/source.js';
import { raw } from '../../../connectors/formats/raw.js';
import {
  kafkaSink,
  kafkaSource,
  type KafkaCommittable,
  type TransactionCommittable,
} from '../../../connectors/kafka/index.js';
import { KafkaClient } from '../../../connectors/kafka/kafka-client.js';
import { KafkaError } from '../../../connectors/kafka/kafka-error.js';
import { untilEnded } from '../../../connectors/kafka/open-transaction.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { eventually } from '../../integration/eventually.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext, sinkContract } from '../sink-contract.js';
import { readAll } from './kafka-reading.js';
import {
  FaultyClient,
  Killed,
  openIn,
  rescale,
  Subtask,
  valuesOf,
  type SubtaskOptions,
} from './kafka-writing.js';

const PARTITIONS = 2;
/** Of the broker, so that nobody waits for what has timed out. */
const ABORT_INTERVAL_MS = 100;

const found = kafkaAvailability();
if (found.available) {
  testTransactions(
    await KafkaService.start({
      settings: {
        'transaction.abort.timed.out.transaction.cleanup.interval.ms': ABORT_INTERVAL_MS,
      },
    }),
  );
} else test.skip(`streaming transactions did not run: ${found.reason}`, (t) => t.pass());

function testTransactions(kafka: KafkaService): void {
  const connection = { brokers: kafka.brokers() };
  const client = new KafkaClient({ connection, clock: systemClock });
  test.after.always(async () => {
    client.close();
    await kafka.stop();
  });
  /** By topic; Kafka's own consumer is asked once, at the end. */
  const expected = new Map<string, readonly string[]>();

  /** Of a job of its own, with a topic of its own. */
  const starting = async (
    t: ExecutionContext,
    topic: string,
  ): Promise<(more?: Partial<SubtaskOptions>) => Promise<Subtask>> => {
    await kafka.createTopic(topic, PARTITIONS);
    return async (more = {}) => {
      const subtask = await Subtask.start({
        brokers: kafka.brokers(),
        topic,
        transaction: 'streaming',
        ...more,
      });
      t.teardown(() => subtask.close());
      return subtask;
    };
  };
  const visible = async (topics: string): Promise<readonly string[]> => {
    const source = kafkaSource({ connection, topics, value: raw(), boundedAt: 'latest' });
    return (await readAll(source)).map((value) => Buffer.from(value).toString());
  };
  const transactionOf = (committables: readonly KafkaCommittable[]): TransactionCommittable => {
    const [only] = committables;
    if (only?.kind !== 'transaction') throw new Error('one transaction is an epoch');
    return only;
  };
  /** The brokers have ended it. */
  const untilOver = (transaction: TransactionCommittable): Promise<void> =>
    untilEnded({ client, clock: systemClock, ...transaction, hangingMs: 30_000 });
  const openInTopic = (topic: string): Promise<number> => openIn(client, topic, PARTITIONS);

  const untilOpen = (topic: string, count: number): Promise<true> =>
    eventually(
      () => `${count} open transactions in ${topic}`,
      async () => (await openInTopic(topic)) === count || undefined,
    );

  let contracts = 0;
  sinkContract(
    test.serial,
    'Kafka in streaming transactions',
    async () => {
      const topic = `contract-${++contracts}`;
      await kafka.createTopic(topic, PARTITIONS);
      return {
        clock: systemClock,
        // Jobs of one id are one job to the markers.
        sink: kafkaSink({
          connection,
          topic,
          value: raw(),
          transaction: 'streaming',
          transactionalIdPrefix: topic,
        }),
        record: (index: number) => Buffer.from(String(index)),
        read: async () => (await visible(topic)).map(Number),
        dispose: () => Promise.resolve(),
      };
    },
    5,
  );

  test.serial(
    'records go out while the epoch runs, and are seen once it is committed',
    async (t) => {
      const start = await starting(t, 'normal');
      const subtask = await start();
      const written: string[] = [];
      for (let checkpointId = 1; checkpointId <= 8; checkpointId++) {
        const values = valuesOf(String(checkpointId));
        subtask.write(values);
        const prepared = await subtask.prepare(checkpointId);
        t.is(await openInTopic('normal'), 1);
        t.is((await visible('normal')).length, written.length);
        await subtask.commit(prepared);
        written.push(...values);
        t.is((await visible('normal')).length, written.length);
        // An epoch without records needs no transaction.
        t.deepEqual(await subtask.prepare(checkpointId + 100), []);
      }
      // Markers are none of the job's records.
      t.is(subtask.counts.get('records_sent'), written.length);
      expected.set('normal', written);
    },
  );

  test.serial(
    'killed between barrier and commit: the restored transaction is resumed, the open one aborted',
    async (t) => {
      const start = await starting(t, 'killed');
      const first = await start();
      await first.epoch(1, valuesOf('a'));
      first.write(valuesOf('b'));
      const pending = await first.prepare(2);
      first.write(['never']);
      // It goes with a checkpoint that is not complete, and is followed by another.
      await first.prepare(3);
      first.write(['never']);
      await first.prepare(4);
      const second = await start({ attempt: 2, restored: pending });
      t.deepEqual(
        [...(await visible('killed'))].sort(),
        [...valuesOf('a'), ...valuesOf('b')].sort(),
      );
      t.is(await openInTopic('killed'), 0);
      await second.epoch(5, valuesOf('c'));
      // What it has committed it commits again, without an effect.
      await second.commit(pending);
      // The first one still runs, and gets nowhere.
      first.write(['never']);
      await t.throwsAsync(first.prepare(6), {
        message: /^BROKER_REFUSED: a later attempt has taken transactional id "millrace\//,
      });
      expected.set('killed', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
    },
  );

  test.serial('an attempt that is over and starts late disturbs nobody', async (t) => {
    const start = await starting(t, 'late');
    const living = await start({ attempt: 2, jobId: 'late' });
    living.write(valuesOf('a'));
    const pending = await living.prepare(1);
    living.write(valuesOf('b'));
    await t.throwsAsync(start({ jobId: 'late' }), {
      message: /^STALE_EPOCH: attempt 2 of job late/,
    });
    // Nor if it has come past that before.
    const sink = kafkaSink({ connection, topic: 'late', value: raw(), transaction: 'streaming' });
    const context = { ...sinkContext(1, 'late'), clock: systemClock };
    const late = await sink.createWriter(context);
    late.write(Buffer.from('never'), 0);
    const left = transactionOf(await late.prepareCommit(1));
    await late.close();
    await living.commit(pending);
    await living.commit(await living.prepare(2));
    // Nothing else would, before its timeout.
    await client.endTxn(left.transactionalId, left, 'abort');
    expected.set('late', [...valuesOf('a'), ...valuesOf('b')]);
  });

  for (const edge of ['before end', 'after end', 'before read-back'] as const) {
    const name = edge.replace(' ', '-');
    test.serial(`killed ${edge} of the commit: the epoch is there once`, async (t) => {
      const start = await starting(t, `killed-${name}`);
      const first = await start();
      first.write(valuesOf('a'));
      const pending = await first.prepare(1);
      FaultyClient.armed = {
        edge,
        fault: () => {
          throw new Killed(edge);
        },
      };
      await t.throwsAsync(first.commit(pending), { instanceOf: Killed });
      const second = await start({ attempt: 2, restored: pending });
      await second.epoch(2, valuesOf('b'));
      expected.set(`killed-${name}`, [...valuesOf('a'), ...valuesOf('b')]);
    });

    test.serial(`an answer that is lost ${edge} of the commit costs nothing`, async (t) => {
      const start = await starting(t, `broken-${name}`);
      const subtask = await start();
      await subtask.epoch(1, valuesOf('a'));
      FaultyClient.armed = {
        edge,
        fault: () => {
          const lost = { kafkaCode: 'CONNECTION_FAILED', retriable: false };
          throw new KafkaError('BROKER_UNREACHABLE', 'the connection broke', lost);
        },
      };
      await subtask.epoch(2, valuesOf('b'));
      t.false(FaultyClient.isArmed);
      await subtask.epoch(3, valuesOf('c'));
      expected.set(`broken-${name}`, [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
    });
  }

  test.serial('what the brokers abort before the commit is lost, and said to be', async (t) => {
    const start = await starting(t, 'lost');
    const first = await start({ transactionTimeoutMs: 500 });
    first.write(valuesOf('lost'));
    const pending = await first.prepare(1);
    await untilOver(transactionOf(pending));
    const lost =
      /^OUTPUT_LOST: the brokers have aborted transaction ".*" .* records of checkpoint 1 in topic "lost" are lost\. A longer transactionTimeoutMs/;
    await t.throwsAsync(first.commit(pending), { message: lost });
    await t.throwsAsync(start({ attempt: 2, restored: pending }), { message: lost });
    expected.set('lost', []);
  });

  test.serial(
    'what the brokers abort before the barrier fails the epoch, and is not lost',
    async (t) => {
      const start = await starting(t, 'early');
      const subtask = await start({ transactionTimeoutMs: 500 });
      await subtask.epoch(1, valuesOf('a'));
      subtask.write(valuesOf('never'));
      await untilOpen('early', 1);
      await untilOpen('early', 0);
      await t.throwsAsync(subtask.prepare(2), {
        message:
          /^BROKER_REFUSED: the brokers have ended .* longer than transactionTimeoutMs \(500\)/,
      });
      expected.set('early', valuesOf('a'));
    },
  );

  test.serial(
    'epochs of checkpoints that fail wait for the next, as long as there are ids',
    async (t) => {
      const start = await starting(t, 'waiting');
      const subtask = await start();
      const pending: KafkaCommittable[] = [];
      for (let checkpointId = 1; checkpointId <= 5; checkpointId++) {
        subtask.write(valuesOf(String(checkpointId)));
        pending.push(...(await subtask.prepare(checkpointId)));
      }
      await subtask.commit(pending);
      const written = [1, 2, 3, 4, 5].flatMap((checkpointId) => valuesOf(String(checkpointId)));
      const orphans: KafkaCommittable[] = [];
      for (let checkpointId = 6; checkpointId <= 10; checkpointId++) {
        subtask.write(['never']);
        orphans.push(...(await subtask.prepare(checkpointId)));
      }
      subtask.write(['never']);
      await t.throwsAsync(subtask.prepare(11), {
        message: /^OUTPUT_FAILED: 5 transactions of the sink wait for checkpoints/,
      });
      t.is(await openInTopic('waiting'), 5);
      await subtask.committer.discard?.(orphans);
      await untilOpen('waiting', 0);
      expected.set('waiting', written);
    },
  );

  test.serial('transactions move when three subtasks become two, and two four', async (t) => {
    const written = await rescale(await starting(t, 'rescaled'));
    t.is(written.length, 18 * 20);
    t.is(await openInTopic('rescaled'), 0);
    expected.set('rescaled', written);
  });

  test.serial('a job that goes on from another takes its output over', async (t) => {
    const start = await starting(t, 'taken');
    const first = await start({ jobId: 'first' });
    await first.epoch(1, valuesOf('a'));
    first.write(valuesOf('b'));
    const saved = await first.prepare(2);
    first.write(['never']);
    const later = await first.prepare(3);
    const second = await start({ jobId: 'second', restoredJobId: 'first', restored: saved });
    t.is(await openInTopic('taken'), 0);
    await t.throwsAsync(first.commit([...saved, ...later]), {
      message: /^OUTPUT_CONFLICT: job second writes as "millrace\/first\/out\/0"/,
    });
    await second.epoch(1, valuesOf('c'));
    expected.set('taken', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
  });

  test.serial('a job may change how long its transactions are open', async (t) => {
    const start = await starting(t, 'changed');
    let restored: readonly KafkaCommittable[] | undefined;
    const written: string[] = [];
    for (const [index, transaction] of (
      ['streaming', 'atCheckpoint', 'streaming'] as const
    ).entries()) {
      const subtask = await start({
        attempt: index + 1,
        transaction,
        ...(restored === undefined ? {} : { restored }),
      });
      t.is(await openInTopic('changed'), 0);
      const values = valuesOf(String(index));
      written.push(...values);
      subtask.write(values);
      restored = await subtask.prepare(index + 1);
      subtask.write(['never']);
      await subtask.prepare(index + 100);
    }
    await start({ attempt: 4, ...(restored === undefined ? {} : { restored }) });
    expected.set('changed', written);
  });

  test.serial(
    'a broker that restarts while an epoch runs gets the same again, and keeps it once',
    async (t) => {
      const start = await starting(t, 'restarted');
      const subtask = await start();
      const large = valuesOf('a'.repeat(40_000));
      subtask.write(large);
      await untilOpen('restarted', PARTITIONS);
      // While some of it is under way.
      subtask.write(large);
      await kafka.kill();
      subtask.write(large);
      await kafka.restart();
      const prepared = await subtask.prepare(1);
      t.deepEqual(await visible('restarted'), []);
      await subtask.commit(prepared);
      expected.set('restarted', [...large, ...large, ...large]);
    },
  );

  test.serial(
    'a transaction that is too short, or longer than brokers allow, is refused at submit',
    async (t) => {
      await kafka.createTopic('checked', 1);
      const check = async (
        transactionTimeoutMs: number | undefined,
        settings: Partial<JobSettings> = {},
      ): Promise<void> => {
        const sink = kafkaSink({
          connection,
          topic: 'checked',
          value: raw(),
          transaction: 'streaming',
          ...(transactionTimeoutMs === undefined ? {} : { transactionTimeoutMs }),
        });
        await sink.check?.({
          clock: systemClock,
          settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART, ...settings },
        });
      };
      await t.notThrowsAsync(check(undefined));
      await t.throwsAsync(check(669_999), {
        message: /^PARAM_INVALID: kafkaSink: transactionTimeoutMs is 669999, .* open for 670000 ms/,
      });
      const restart = { kind: 'fixedDelay', attempts: 1, delayMs: 5_000 } as const;
      await t.notThrowsAsync(check(615_000, { restart }));
      await t.throwsAsync(check(900_001), {
        message:
          /^PARAM_INVALID: kafkaSink: transactionTimeoutMs is 900001, and the brokers allow 900000/,
      });
    },
  );

  test.serial('Kafka’s own consumer sees all of that, and nothing else', async (t) => {
    const seen = new Map<string, string[]>();
    for (const { topic, value } of await readTopics(kafka, [...expected.keys()])) {
      seen.set(topic, [...(seen.get(topic) ?? []), value?.toString() ?? '']);
    }
    for (const [topic, records] of expected) {
      t.deepEqual((seen.get(topic) ?? []).sort(), [...records].sort(), topic);
    }
  });
}
