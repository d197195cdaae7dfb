import test, { type ExecutionContext } from 'ava';
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
  rescale,
  Subtask,
  valuesOf,
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

  for (const [index, edge] of EDGES.entries()) {
    test.serial(`killed ${edge}: what the checkpoint holds is there once`, async (t) => {
      const topic = `killed-${index}`;
      const start = await starting(t, topic);
      const first = await start();
      await first.epoch(1, valuesOf('a'));
      first.write(valuesOf('b'));
      const second = await first.prepare(2);
      first.write(valuesOf('c'));
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
      await again.epoch(4, valuesOf('d'));
      expected.set(topic, [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c'), ...valuesOf('d')]);
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
      await subtask.epoch(1, valuesOf('a'));
      t.false(FaultyClient.isArmed);
      // Once more, where there is a marker; only a producer that is lost is begun anew.
      if (!edge.includes('init')) fail();
      await subtask.epoch(2, valuesOf('b'));
      t.false(FaultyClient.isArmed);
      await subtask.epoch(3, valuesOf('c'));
      expected.set(topic, [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
    });
  }

  test.serial('control: without the marker the same kill shows every record twice', async (t) => {
    const start = await starting(t, 'control');
    const first = await start({ client: BlindClient });
    first.write(valuesOf('a'));
    const pending = await first.prepare(1);
    FaultyClient.armed = {
      edge: 'after end',
      fault: () => {
        throw new Killed();
      },
    };
    await t.throwsAsync(first.committer.commit(pending), { instanceOf: Killed });
    await start({ client: BlindClient, attempt: 2, restored: pending });
    expected.set('control', [...valuesOf('a'), ...valuesOf('a')]);
  });

  test.serial('a zombie of an earlier attempt commits nothing more', async (t) => {
    const start = await starting(t, 'zombie');
    const zombie = await start();
    await zombie.epoch(1, valuesOf('a'));
    zombie.write(valuesOf('b'));
    const pending = await zombie.prepare(2);
    zombie.write(valuesOf('never'));
    const more = await zombie.prepare(3);
    const living = await start({ attempt: 2, restored: pending });
    await t.throwsAsync(zombie.committer.commit([...pending, ...more]), {
      message: /^STALE_EPOCH: attempt 2 of job job of zombie writes as/,
    });
    // Fenced by the zombie meanwhile, which is made good.
    await living.epoch(4, valuesOf('c'));
    expected.set('zombie', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
  });

  test.serial('a job that goes on from another takes its output over', async (t) => {
    const start = await starting(t, 'taken');
    const first = await start({ jobId: 'first' });
    await first.epoch(1, valuesOf('a'));
    first.write(valuesOf('b'));
    const pending = await first.prepare(2);
    const second = await start({ jobId: 'second', restoredJobId: 'first', restored: pending });
    await t.throwsAsync(first.committer.commit(pending), {
      message: /^OUTPUT_CONFLICT: job second writes as "millrace\/first\/out\/0"/,
    });
    await second.epoch(1, valuesOf('c'));
    await t.throwsAsync(start({ jobId: 'first', attempt: 2 }), { message: /^OUTPUT_CONFLICT/ });
    expected.set('taken', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
  });

  test.serial('two that run as the same job do not both go on', async (t) => {
    const start = await starting(t, 'same');
    const first = await start({ jobId: 'same' });
    await first.epoch(1, valuesOf('a'));
    const second = await start({ jobId: 'same' });
    await second.epoch(1, valuesOf('b'));
    first.write(valuesOf('never'));
    await t.throwsAsync(first.committer.commit(await first.prepare(2)), {
      message: /^OUTPUT_CONFLICT: .*let only one of them run/,
    });
    await second.epoch(2, valuesOf('c'));
    expected.set('same', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
  });

  test.serial('pending epochs move when three subtasks become two, and two four', async (t) => {
    const start = await starting(t, 'rescaled');
    const written = await rescale(start);
    t.is(written.length, 18 * 20);
    expected.set('rescaled', written);
  });

  test.serial('a transaction that nobody ends is named, and not taken for anything', async (t) => {
    const start = await starting(t, 'hanging');
    const first = await start();
    await first.epoch(1, valuesOf('a'));
    first.write(valuesOf('b'));
    const pending = await first.prepare(2);
    // Another producer's, in the same partition of the marker topic: of a marker of this sink.
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
    const marker = { checkpointId: 1, jobId: 'x', attempt: 1, producer: 'x', parallelism: 1 };
    const key = Buffer.from('millrace/job of hanging/out/0');
    builder.append(0, key, Buffer.from(JSON.stringify(marker)));
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
    expected.set('hanging', [...valuesOf('a'), ...valuesOf('b')]);
  });

  test.serial(
    'a broker that dies after the end of a transaction has it, or gets it again',
    async (t) => {
      const start = await starting(t, 'restarted');
      const subtask = await start();
      await subtask.epoch(1, valuesOf('a'));
      FaultyClient.armed = {
        edge: 'after end',
        fault: async () => {
          await kafka.kill();
          void kafka.restart();
        },
      };
      await subtask.epoch(2, valuesOf('b'));
      t.false(FaultyClient.isArmed);
      await subtask.epoch(3, valuesOf('c'));
      expected.set('restarted', [...valuesOf('a'), ...valuesOf('b'), ...valuesOf('c')]);
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
