import test from 'ava';
import { BatchSender } from '../../../connectors/kafka/batch-sender.js';
import type { ProducePartition } from '../../../connectors/kafka/produce-request.js';

const PARTITIONS = 4;

test('what is given in one turn goes to a leader in one request, in the order of each partition', async (t) => {
  const requests: string[][] = [];
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    // The last one is led by another broker.
    leader: partition === PARTITIONS - 1 ? 2 : 1,
    errorCode: 0,
  }));
  const state = { topicId: 'id', errorCode: 0, isInternal: false, operations: 0 };
  const client = {
    brokerName: String,
    topics: () => Promise.resolve([{ topic: 'orders', partitions, ...state }]),
    produce: (leader: number, given: readonly ProducePartition[]) => {
      requests.push(
        given.map(({ partition, recordSet }) => `${leader}: ${partition} ${String(recordSet)}`),
      );
      return Promise.resolve(
        given.map(({ topic, partition }) => ({
          ...{ topic, partition, errorCode: 0, errorMessage: null },
          baseOffset: 10 + partition,
        })),
      );
    },
  };
  const sender = new BatchSender({ client, acks: -1 });
  await sender.learn(['orders']);
  const send = (partition: number, text: string): Promise<number> =>
    sender.send({ topic: 'orders', partition, batch: Buffer.from(text) });
  const offsets = await Promise.all([
    ...[0, 1, 2, 3].map((partition) => send(partition, 'first')),
    send(0, 'second'),
  ]);
  t.deepEqual(offsets, [10, 11, 12, 13, 10]);
  t.deepEqual(requests, [
    ['1: 0 first', '1: 1 first', '1: 2 first'],
    ['2: 3 first'],
    ['1: 0 second'],
  ]);
});
