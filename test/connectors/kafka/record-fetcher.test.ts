import test from 'ava';
import { unregisteredMetrics } from '../../../api/metrics.js';
import { raw } from '../../../connectors/formats/index.js';
import type { FetchAnswer } from '../../../connectors/kafka/fetch-request.js';
import { KafkaError } from '../../../connectors/kafka/kafka-error.js';
import type { Clock } from '../../../core/clock.js';
import { splitId, UNBOUNDED, type KafkaSplit } from '../../../connectors/kafka/kafka-split.js';
import type { ClusterMetadata } from '../../../connectors/kafka/metadata-request.js';
import { PartitionReader } from '../../../connectors/kafka/partition-reader.js';
import { ValueDecoder } from '../../../connectors/kafka/record-decoder.js';
import {
  RecordFetcher,
  type RecordFetcherOptions,
} from '../../../connectors/kafka/record-fetcher.js';
import { systemClock } from '../../../process/system-clock.js';
import { ManualClock } from '../../manual-clock.js';

const TOPIC = 'topic';
const TOPIC_ID = '0'.repeat(32);
const BROKERS = 40;
/** How long a client tries by itself. */
const CLIENT_PATIENCE_MS = 15_000;

type Client = RecordFetcherOptions['client'];

/** Each partition has a broker of its own. */
function metadataOf(partitions: number): ClusterMetadata {
  return {
    brokers: [],
    controller: -1,
    topics: [
      {
        topic: TOPIC,
        topicId: TOPIC_ID,
        errorCode: 0,
        isInternal: false,
        operations: 0,
        partitions: Array.from({ length: partitions }, (_, partition) => {
          return { partition, leader: partition, errorCode: 0 };
        }),
      },
    ],
  };
}

/** A cluster that knows its leaders, and never answers a fetch. */
function clientOf(more: Partial<Client>): Client {
  return {
    metadata: () => Promise.resolve(metadataOf(1)),
    listOffset: () => Promise.resolve(0),
    brokerName: String,
    fetch: () => new Promise<FetchAnswer>(() => undefined),
    ...more,
  };
}

function fetcherOf(
  options: Pick<RecordFetcherOptions, 'client' | 'clock' | 'onFailure'>,
): RecordFetcher {
  return new RecordFetcher({
    isolation: 'read_committed',
    onOutOfRange: 'fail',
    bufferedBytesMax: 32 * 1024 * 1024,
    bytesIn: unregisteredMetrics.counter('bytes_in'),
    onProgress: () => undefined,
    ...options,
  });
}

function readersOf(
  partitions: number,
  onFailure: (error: unknown) => void,
): readonly PartitionReader<unknown>[] {
  return Array.from({ length: partitions }, (_, partition) => {
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
      onFailure,
    });
  });
}

function refused(retriable: boolean): KafkaError {
  return new KafkaError('BROKER_UNREACHABLE', 'nothing listens there; start it', {
    kafkaCode: 'CONNECTION_FAILED',
    retriable,
  });
}

test('brokers that have nothing to give keep no other from being asked', async (t) => {
  const asked = new Set<number>();
  await new Promise<void>((resolve, reject) => {
    const client = clientOf({
      metadata: () => Promise.resolve(metadataOf(BROKERS)),
      fetch: (node) => {
        asked.add(node);
        if (asked.size === BROKERS) {
          fetcher.close();
          resolve();
        }
        // None of them has an answer yet.
        return new Promise<FetchAnswer>(() => undefined);
      },
    });
    const fetcher = fetcherOf({ client, clock: systemClock, onFailure: reject });
    fetcher.add(readersOf(BROKERS, reject));
  });
  t.is(asked.size, BROKERS);
});

/** Nobody waits: time passes as soon as somebody would. */
function immediate(clock: ManualClock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: (delayMs, callback) => {
      queueMicrotask(() => {
        clock.advance(delayMs);
        callback();
      });
      return () => undefined;
    },
  };
}

/** How long a cluster that is away is waited for, which the client asks in vain for 15 s at a time. */
async function patienceMs(error: KafkaError): Promise<number> {
  const clock = new ManualClock();
  await new Promise<void>((resolve, reject) => {
    const fetcher = fetcherOf({
      client: clientOf({
        metadata: () => {
          clock.advance(CLIENT_PATIENCE_MS);
          return Promise.reject(error);
        },
      }),
      clock: immediate(clock),
      onFailure: (failure) => {
        fetcher.close();
        if (failure === error) resolve();
        else reject(failure instanceof Error ? failure : new Error(String(failure)));
      },
    });
    fetcher.add(readersOf(2, reject));
  });
  return clock.monotonic();
}

test('a cluster that refuses connections is waited for 30 s, however long the client tries', async (t) => {
  const waitedMs = await patienceMs(refused(true));
  t.true(waitedMs >= 30_000 && waitedMs < 31_000, String(waitedMs));
});

test('what does not pass is told at once', async (t) => {
  t.is(await patienceMs(refused(false)), CLIENT_PATIENCE_MS);
});

test('a cluster that comes back in time is read on', async (t) => {
  const clock = new ManualClock();
  let asked = 0;
  await new Promise<void>((resolve, reject) => {
    const fetcher = fetcherOf({
      client: clientOf({
        metadata: () => {
          asked++;
          if (asked > 1) return Promise.resolve(metadataOf(1));
          clock.advance(CLIENT_PATIENCE_MS);
          return Promise.reject(refused(true));
        },
        fetch: () => {
          fetcher.close();
          resolve();
          return new Promise<FetchAnswer>(() => undefined);
        },
      }),
      clock: immediate(clock),
      onFailure: reject,
    });
    fetcher.add(readersOf(1, reject));
  });
  t.is(asked, 2);
});
