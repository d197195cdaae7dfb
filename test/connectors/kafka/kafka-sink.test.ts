import test, { type ExecutionContext } from 'ava';
import type { KafkaCommittable } from '../../../connectors/kafka/index.js';
import { BatchSender } from '../../../connectors/kafka/batch-sender.js';
import { KafkaError } from '../../../connectors/kafka/kafka-error.js';
import { untilEnded } from '../../../connectors/kafka/open-transaction.js';
import { RecordBatchBuilder } from '../../../connectors/kafka/record-batch-builder.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import {
  BlindClient,
  EDGES,
  FaultyClient,
  Killed,
  Subtask,
  type SubtaskOptions,
} from './kafka-writing.js';

const found = kafkaAvailability();
if (found.available) testSink(await KafkaService.start());
else test.skip(`the Kafka sink did not run: ${found.reason}`, (t) => t.pass());

function testSink(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  /** By topic; Kafka's own consumer is asked once, at the end. */
  const expected = new Map<string, readonly string[]>();

  /** Of a job of its own, with a topic of its own. */
  const starting = async (
    t: ExecutionContext,
    topic: string,
  ): Promise<(more?: Partial<SubtaskOptions>) => Promise<Subtask>> => {
    await kafka.createTopic(topic, 2);
    return async (more = {}) => {
      const subtask = await Subtask.start({ brokers: kafka.brokers(), topic, ...more });
      t.teardown(() => subtask.close());
      return subtask;
    };
  };
  const values = (prefix: string, count = 20): string[] =>
    Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

  for (const [index, edge] of EDGES.entries()) {
    test.serial(`killed ${edge}: what the checkpoint holds is there once`, async (t) => {
      const topic = `killed-${index}`;
      const start = await starting(t, topic);
      const first = await start();
      await first.epoch(1, values('a'));
      first.write(values('b'));
      const second = await first.prepare(2);
      first.write(values('c'));
      const pending = [...second, ...(await first.prepare(3))];
      FaultyClient.armed = {
        edge,
        fault: () => {
          throw new Killed(edge);
        },
      };
      // The id is taken when a subtask starts, all else is done by the one that runs.
      const dying = edge.includes('init')
        ? start({ attempt: 2, restored: pending })
        : first.committer.commit(pending);
      await t.throwsAsync(dying, { instanceOf: Killed });
      const again = await start({ attempt: 3, restored: pending });
      await again.epoch(4, values('d'));
      expected.set(topic, [...values('a'), ...values('b'), ...values('c'), ...values('d')]);
    });

    test.serial(`a connection that breaks ${edge} costs nothing`, async (t) => {
      const topic = `broken-${index}`;
      const start = await starting(t, topic);
      const fail = (): void => {
        FaultyClient.armed = {
          edge,
          fault: () => {
            const lost = { kafkaCode: 'CONNECTION_FAILED', retriable: false };
            throw new KafkaError('BROKER_UNREACHABLE', 'the connection broke', lost);
          },
        };
      };
      fail();
      const subtask = await start();
      await subtask.epoch(1, values('a'));
      t.false(FaultyClient.isArmed);
      // Once more, where there is a marker; only a producer that is lost is begun anew.
      if (!edge.includes('init')) fail();
      await subtask.epoch(2, values('b'));
      t.false(FaultyClient.isArmed);
      await subtask.epoch(3, values('c'));
      expected.set(topic, [...values('a'), ...values('b'), ...values('c')]);
    });
  }

  test.serial('control: without the marker the same kill shows every record twice', async (t) => {
    const start = await starting(t, 'control');
    const first = await start({ client: BlindClient });
    first.write(values('a'));
    const pending = await first.prepare(1);
    FaultyClient.armed = {
      edge: 'after end',
      fault: () => {
        throw new Killed();
      },
    };
    await t.throwsAsync(first.committer.commit(pending), { instanceOf: Killed });
    await start({ client: BlindClient, attempt: 2, restored: pending });
    expected.set('control', [...values('a'), ...values('a')]);
  });

  test.serial('a zombie of an earlier attempt commits nothing more', async (t) => {
    const start = await starting(t, 'zombie');
    const zombie = await start();
    await zombie.epoch(1, values('a'));
    zombie.write(values('b'));
    const pending = await zombie.prepare(2);
    zombie.write(values('never'));
    const more = await zombie.prepare(3);
    const living = await start({ attempt: 2, restored: pending });
    await t.throwsAsync(zombie.committer.commit([...pending, ...more]), {
      message: /^STALE_EPOCH: attempt 2 of job job of zombie writes as/,
    });
    // Fenced by the zombie meanwhile, which is made good.
    await living.epoch(4, values('c'));
    expected.set('zombie', [...values('a'), ...values('b'), ...values('c')]);
  });

  test.serial('a job that goes on from another takes its output over', async (t) => {
    const start = await starting(t, 'taken');
    const first = await start({ jobId: 'first' });
    await first.epoch(1, values('a'));
    first.write(values('b'));
    const pending = await first.prepare(2);
    const second = await start({ jobId: 'second', restoredJobId: 'first', restored: pending });
    await t.throwsAsync(first.committer.commit(pending), {
      message: /^OUTPUT_CONFLICT: job second writes as "millrace\/first\/out\/0"/,
    });
    await second.epoch(1, values('c'));
    await t.throwsAsync(start({ jobId: 'first', attempt: 2 }), { message: /^OUTPUT_CONFLICT/ });
    expected.set('taken', [...values('a'), ...values('b'), ...values('c')]);
  });

  test.serial('two that run as the same job do not both go on', async (t) => {
    const start = await starting(t, 'same');
    const first = await start({ jobId: 'same' });
    await first.epoch(1, values('a'));
    const second = await start({ jobId: 'same' });
    await second.epoch(1, values('b'));
    first.write(values('never'));
    await t.throwsAsync(first.committer.commit(await first.prepare(2)), {
      message: /^OUTPUT_CONFLICT: .*let only one of them run/,
    });
    await second.epoch(2, values('c'));
    expected.set('same', [...values('a'), ...values('b'), ...values('c')]);
  });

  test.serial('pending epochs move when three subtasks become two, and two four', async (t) => {
    const start = await starting(t, 'rescaled');
    let files: (readonly KafkaCommittable[])[] = [];
    let written: string[] = [];
    let checkpointId = 0;
    for (const [index, parallelism] of [3, 2, 4].entries()) {
      const attempt = index + 1;
      const subtasks = await Promise.all(
        Array.from({ length: parallelism }, (_, subtask) =>
          start({
            attempt,
            subtask,
            parallelism,
            ...(attempt === 1
              ? {}
              : {
                  restored: files.filter((_, earlier) => earlier % parallelism === subtask).flat(),
                }),
          }),
        ),
      );
      const epoch = async (commits: number): Promise<void> => {
        checkpointId++;
        files = await Promise.all(
          subtasks.map(async (subtask, position) => {
            const own = values(`${checkpointId}-${position}`);
            written = [...written, ...own];
            subtask.write(own);
            const prepared = await subtask.prepare(checkpointId);
            // Some of them hear that the checkpoint is complete, and the others die first.
            if (position < commits) await subtask.committer.commit(prepared);
            return prepared;
          }),
        );
      };
      await epoch(parallelism);
      await epoch(1);
    }
    await Promise.all(
      files.map((restored, subtask) => start({ attempt: 9, subtask, parallelism: 4, restored })),
    );
    t.is(written.length, 18 * 20);
    expected.set('rescaled', written);
  });

  test.serial('a transaction that nobody ends is named, and not taken for anything', async (t) => {
    const start = await starting(t, 'hanging');
    const first = await start();
    await first.epoch(1, values('a'));
    first.write(values('b'));
    const pending = await first.prepare(2);
    // Another producer's, in the same partition of the marker topic.
    const other = new FaultyClient({
      connection: { brokers: kafka.brokers() },
      clock: systemClock,
    });
    t.teardown(() => other.close());
    const identity = await other.initProducerId('hanging', 60_000);
    const place = { topic: 'millrace-sink-markers', partition: pending[0]?.markerPartition ?? 0 };
    await other.addPartitionsToTxn('hanging', identity, [place]);
    const sender = new BatchSender({
      client: other,
      identity,
      transactionalId: 'hanging',
      acks: -1,
    });
    await sender.learn([place.topic]);
    const builder = new RecordBatchBuilder({ batchBytesMax: 1_000 });
    builder.append(0, Buffer.from('hanging'), Buffer.from('x'));
    await sender.send({ ...place, batch: builder.build() });
    const waiting = { attempt: 2, restored: pending, hangingMs: 500 };
    await t.throwsAsync(start(waiting), {
      message: new RegExp(
        `^BROKER_REFUSED: a hanging transaction \\(producer id ${identity.producerId}, epoch ` +
          `${identity.producerEpoch}\\) holds back topic "millrace-sink-markers" partition ${place.partition}`,
      ),
    });
    // Nor is a commit over that has left one of its partitions out.
    const ending = {
      client: other,
      clock: systemClock,
      transactionalId: 'hanging',
      producerId: identity.producerId,
      partitions: [place],
      hangingMs: 100,
    };
    await t.throwsAsync(untilEnded(ending), {
      message: new RegExp(
        `^BROKER_REFUSED: a committed transaction of "hanging" .* is still open in topic ` +
          `"millrace-sink-markers" partition ${place.partition} at offset \\d+ after 100 ms`,
      ),
    });
    await other.endTxn('hanging', identity, 'abort');
    await t.notThrowsAsync(untilEnded({ ...ending, hangingMs: 30_000 }));
    await start({ ...waiting, attempt: 3 });
    expected.set('hanging', [...values('a'), ...values('b')]);
  });

  test.serial(
    'a broker that dies after the end of a transaction has it, or gets it again',
    async (t) => {
      const start = await starting(t, 'restarted');
      const subtask = await start();
      await subtask.epoch(1, values('a'));
      FaultyClient.armed = {
        edge: 'after end',
        fault: async () => {
          await kafka.kill();
          void kafka.restart();
        },
      };
      await subtask.epoch(2, values('b'));
      t.false(FaultyClient.isArmed);
      await subtask.epoch(3, values('c'));
      expected.set('restarted', [...values('a'), ...values('b'), ...values('c')]);
    },
  );

  test.serial('Kafka’s own consumer sees all of that, and nothing else', async (t) => {
    const seen = new Map<string, string[]>();
    for (const { topic, value } of await readTopics(kafka, [...expected.keys()])) {
      seen.set(topic, [...(seen.get(topic) ?? []), value?.toString() ?? '']);
    }
    for (const [topic, records] of expected) {
      t.deepEqual(seen.get(topic)?.sort(), [...records].sort(), topic);
    }
  });
}
