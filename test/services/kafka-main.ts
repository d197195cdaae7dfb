/**
 * `node dist/test/services/kafka-main.js [3.9|4]`: one broker as a process. Prints a line
 * `{"bootstrapServers":"HOST:PORT"}` when it is ready, or `{"failed":"REASON"}`, and ends, its data
 * removed, when its standard input closes or at SIGTERM or SIGINT: it never outlives who started it.
 */
import { once } from 'node:events';
import { KAFKA_VERSIONS } from './install-kafka.js';
import { KafkaService } from './kafka.js';
import { ensureKafka } from './kafka-installation.js';

const [, , asked = '3.9'] = process.argv;
const version = KAFKA_VERSIONS.find((known) => known === asked);
if (version === undefined) throw new RangeError(`there are ${KAFKA_VERSIONS.join(' and ')}`);

const ending = Promise.race([
  once(process, 'SIGTERM'),
  once(process, 'SIGINT'),
  once(process.stdin.resume(), 'close'),
]);
try {
  await ensureKafka(version);
  const kafka = await KafkaService.start({ version });
  process.stdout.write(`${JSON.stringify({ bootstrapServers: kafka.bootstrapServers })}\n`);
  await ending;
  await kafka.stop();
} catch (error) {
  const failed = error instanceof Error ? error.message : String(error);
  process.stdout.write(`${JSON.stringify({ failed })}\n`);
  process.exitCode = 1;
}
process.exit();
