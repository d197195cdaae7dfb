/**
 * Waits until no transaction of one producer is open in partitions that it wrote to. A transaction is
 * over in each partition by itself: a broker that died in between was seen to end it in one and to leave
 * it open in another for good, where no reader gets past it.
 */
import type { Clock } from '../../core/clock.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode, KafkaError } from './kafka-error.js';
import type { TopicPartition } from './kafka-request.js';

export interface OpenTransactionOptions {
  readonly client: KafkaClient;
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  readonly transactionalId: string;
  readonly producerId: bigint;
  readonly partitions: readonly TopicPartition[];
  readonly hangingMs: number;
}

const DELAY_MS = 5;
const DELAY_MS_MAX = 500;

/** @throws MillraceError BROKER_REFUSED naming the partition, when one stays open */
export async function untilEnded(options: OpenTransactionOptions): Promise<void> {
  const { client, clock, partitions, producerId, hangingMs } = options;
  const sinceMs = clock.monotonic();
  for (let delayMs = DELAY_MS; ; delayMs = Math.min(DELAY_MS_MAX, 2 * delayMs)) {
    const open = await findOpen(client, partitions, producerId);
    if (open === undefined) return;
    if (clock.monotonic() - sinceMs > hangingMs) throw hanging(options, open);
    await new Promise<void>((resolve) => {
      clock.setTimer(delayMs, resolve);
    });
  }
}

async function findOpen(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  producerId: bigint,
): Promise<(TopicPartition & { readonly offset: number }) | undefined> {
  try {
    for (const { topic, partition, producers } of await client.describeProducers(partitions)) {
      const own = producers.find((producer) => producer.producerId === producerId);
      const offset = own?.transactionStart ?? -1;
      if (offset >= 0) return { topic, partition, offset };
    }
  } catch (error) {
    // Who may only write has to do without.
    if (!hasKafkaCode(error, 'TOPIC_AUTHORIZATION_FAILED')) throw error;
  }
  return undefined;
}

function hanging(
  { transactionalId, producerId, hangingMs }: OpenTransactionOptions,
  { topic, partition, offset }: TopicPartition & { readonly offset: number },
): KafkaError {
  return new KafkaError(
    'BROKER_REFUSED',
    `a committed transaction of "${transactionalId}" (producer id ${producerId}) is still open in ` +
      `topic "${topic}" partition ${partition} at offset ${offset} after ${hangingMs} ms, and readers ` +
      'stop there: the broker lost its end. "kafka-transactions.sh abort" frees the partition and ' +
      'loses what the transaction wrote there, so copy that before',
    { kafkaCode: 'HANGING_TRANSACTION', retriable: false },
  );
}
