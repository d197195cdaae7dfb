/**
 * Whether the user may do what the job is to do, as far as brokers tell without being written to: asked where a
 * job is submitted. What they don't tell is told when the job does it.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode } from './kafka-error.js';

/** Kafka's numbers of them. */
const OPERATIONS = { READ: 3, WRITE: 4, DESCRIBE: 8 } as const;
type Operation = keyof typeof OPERATIONS;

/** @throws MillraceError ACCESS_DENIED naming the topic and a broker */
export async function checkMayUseTopics(
  client: KafkaClient,
  names: readonly string[],
  operation: Exclude<Operation, 'DESCRIBE'>,
): Promise<void> {
  const { topics, brokers } = await client.metadata(names, true);
  for (const { topic, operations } of topics) {
    // A topic that is shown may be described; a broker that does not even say that tells nothing.
    if (isAmong(operations, operation) || !isAmong(operations, 'DESCRIBE')) continue;
    const asked = brokers.map(({ host, port }) => `${host}:${String(port)}`)[0] ?? '';
    throw new MillraceError(
      'ACCESS_DENIED',
      `Kafka broker ${asked} says that the user may not ${operation} topic "${topic}"; ` +
        `give the user an ACL for the topic with ${operation}`,
    );
  }
}

/**
 * Ids are made of the job's, which is not known yet; permissions are for the prefix.
 * @throws MillraceError ACCESS_DENIED naming the beginning of the ids and a broker
 */
export async function checkMayUseTransactions(client: KafkaClient, prefix: string): Promise<void> {
  try {
    await client.findTransaction(`${prefix}/`);
  } catch (error) {
    // A cluster that never had a transaction takes its time over the first.
    if (hasKafkaCode(error, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')) throw error;
  }
}

function isAmong(operations: number, operation: Operation): boolean {
  return ((operations >>> OPERATIONS[operation]) & 1) === 1;
}
