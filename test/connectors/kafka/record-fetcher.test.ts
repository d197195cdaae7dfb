import test from 'ava';
import { unregisteredMetrics } from '../../../api/metrics.js';
import { raw } from '../../../connectors/formats/index.js';
import type { FetchAnswer } from '../../../connectors/kafka/fetch-request.js';
import { splitId, UNBOUNDED, type KafkaSplit } from '../../../connectors/kafka/kafka-split.js';
import { PartitionReader } from '../../../connectors/kafka/partition-reader.js';
import { ValueDecoder } from '../../../connectors/kafka/record-decoder.js';
import { RecordFetcher } from '../../../connectors/kafka/record-fetcher.js';
import { systemClock } from '../../../process/system-clock.js';

const TOPIC = 'topic';
const TOPIC_ID = '0'.repeat(32);
const BROKERS = 40;

test('brokers that have nothing to give keep no other from being asked', async (t) => {
  const asked = new Set<number>();
  await new Promise<void>((resolve, reject) => {
    const fetcher = new RecordFetcher({
      client: {
        metadata: () =>
          Promise.resolve({
            brokers: [],
            controller: -1,
            topics: [
              {
                topic: TOPIC,
                topicId: TOPIC_ID,
                errorCode: 0,
                isInternal: false,
                operations: 0,
                partitions: Array.from({ length: BROKERS }, (_, partition) => {
                  return { partition, leader: partition, errorCode: 0 };
                }),
              },
            ],
          }),
        listOffset: () => Promise.resolve(0),
        brokerName: String,
        fetch: (node) => {
          asked.add(node);
          if (asked.size === BROKERS) {
            fetcher.close();
            resolve();
          }
          // None of them has an answer yet.
          return new Promise<FetchAnswer>(() => undefined);
        },
      },
      clock: systemClock,
      isolation: 'read_committed',
      onOutOfRange: 'fail',
      bufferedBytesMax: 32 * 1024 * 1024,
      bytesIn: unregisteredMetrics.counter('bytes_in'),
      onProgress: () => undefined,
      onFailure: reject,
    });
    fetcher.add(
      Array.from({ length: BROKERS }, (_, partition) => {
        const split: KafkaSplit = {
          id: splitId(TOPIC, partition),
          ordinal: partition,
          topic: TOPIC,
          topicId: TOPIC_ID,
          partition,
          offset: 0,
          end: UNBOUNDED,
        };
        return new PartitionReader<unknown>(split, {
          decoder: new ValueDecoder(
            raw().createDecoder({ topic: TOPIC, part: 'value', subject: '' }),
            'skip',
          ),
          isolation: 'read_committed',
          poison: 'fail',
          onProgress: () => undefined,
          onFailure: reject,
        });
      }),
    );
  });
  t.is(asked.size, BROKERS);
});
