/** Asks a cluster from where a job is submitted, so that a wrong address or topic is told there and then. */
import type { CheckContext } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import { KafkaClient } from './kafka-client.js';
import { resolveConnection, type KafkaConnectionOptions } from './kafka-connection.js';

/** A topic or leader that is on its way takes less; whoever submits waits for it. */
const PATIENCE_MS = 2_000;
/** For all of it: a broker that hangs takes connections and says nothing. */
const TIMEOUT_MS = 8_000;

/**
 * @returns undefined when the cluster could not be asked from here
 * @throws MillraceError what `ask` throws, and BROKER_UNREACHABLE or ACCESS_DENIED
 */
export async function checkCluster<T>(
  connection: KafkaConnectionOptions,
  { clock }: CheckContext,
  ask: (client: KafkaClient) => Promise<T>,
): Promise<T | undefined> {
  try {
    await resolveConnection(connection);
  } catch {
    // Secrets are kept where the workers run, and need not be here.
    return undefined;
  }
  const client = new KafkaClient({ connection, clock, patienceMs: PATIENCE_MS });
  let cancel = (): void => undefined;
  const silence = new Promise<never>((_, reject) => {
    cancel = clock.setTimer(TIMEOUT_MS, () => reject(silent(connection)));
  });
  try {
    return await Promise.race([ask(client), silence]);
  } finally {
    cancel();
    client.close();
  }
}

function silent({ brokers }: KafkaConnectionOptions): MillraceError {
  return new MillraceError(
    'BROKER_UNREACHABLE',
    `Kafka at ${brokers.join(', ')} gave no answer in ${TIMEOUT_MS / 1000} s; see that its brokers are well`,
  );
}
