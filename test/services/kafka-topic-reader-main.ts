/**
 * `node dist/test/services/kafka-topic-reader-main.js [HOST:PORT TOPIC...]`, at the project's root:
 * prints the committed records of topics as `TopicReader.java` does. Without arguments it only makes
 * sure that it could. When it can't, the reason is on standard error and the exit code is 1.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ensureKafka, javaCommand } from './kafka-installation.js';
import { TOPIC_READER } from './kafka-topic-reader.js';

const VERSION = '3.9';

try {
  await ensureKafka(VERSION);
  const [, , ...args] = process.argv;
  if (args.length > 0) {
    const [java, ...flags] = javaCommand(VERSION);
    const reader = spawn(java, [...flags, TOPIC_READER, ...args], { stdio: 'inherit' });
    process.once('exit', () => reader.kill('SIGKILL'));
    const [code] = (await once(reader, 'exit')) as [number | null];
    process.exitCode = code ?? 1;
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
