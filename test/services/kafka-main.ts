/**
 * `node dist/test/services/kafka-main.js [3.9|4] [NAME:PARTITIONS[:compact]]...`: one broker as a process, with
 * topics. Prints a line `{"bootstrapServers":"HOST:PORT"}` when it is ready, or `{"failed":"REASON"}`, and
 * ends, its data removed, when its standard input closes or at SIGTERM or SIGINT: it never outlives who started it.
 */
import { once } from 'node:events';
import { KAFKA_VERSIONS } from './install-kafka.js';
import { KafkaService } from './kafka.js';
import { ensureKafka } from './kafka-installation.js';

const TOPIC = /^([\w.-]+):([1-9]\d{0,3})(:compact)?$/;

const [, , ...args] = process.argv;
const asked = KAFKA_VERSIONS.find((known) => known === args[0]);
const topics = args.slice(asked === undefined ? 0 : 1);

const ending = Promise.race([
  once(process, 'SIGTERM'),
  once(process, 'SIGINT'),
  once(process.stdin.resume(), 'close'),
]);
try {
  const made = topics.map(topicOf);
  const version = asked ?? '3.9';
  await ensureKafka(version);
  const kafka = await KafkaService.start({ version });
  for (const { name, partitions, settings } of made) {
    await kafka.createTopic(name, partitions, settings);
  }
  process.stdout.write(`${JSON.stringify({ bootstrapServers: kafka.bootstrapServers })}\n`);
  if (process.stdin.isTTY) process.stderr.write('Ctrl-C ends the broker and removes its data\n');
  await ending;
  await kafka.stop();
} catch (error) {
  const failed = error instanceof Error ? error.message : String(error);
  process.stdout.write(`${JSON.stringify({ failed })}\n`);
  process.exitCode = 1;
}
process.exit();

function topicOf(text: string) {
  const [, name = '', partitions, isCompacted] = TOPIC.exec(text) ?? [];
  if (name === '') {
    const versions = KAFKA_VERSIONS.join(' or ');
    throw new RangeError(
      `"${text}" is no topic; give [${versions}] [NAME:PARTITIONS[:compact]]..., such as orders:4`,
    );
  }
  const settings: Record<string, string> =
    isCompacted === undefined ? {} : { 'cleanup.policy': 'compact' };
  return { name, partitions: Number(partitions), settings };
}
