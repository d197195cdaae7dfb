/**
 * The Kafka that `install-kafka.ts` brought, as commands of Java: whether it is there, and how its
 * programs are run.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installKafka, kafkaJars, type KafkaVersion } from './install-kafka.js';
import { findJava } from './java-runtime.js';

export type KafkaAvailability =
  | { readonly available: true; readonly java: string; readonly classPath: string }
  | { readonly available: false; readonly reason: string };

const JAVA_VERSION_MIN = 17;
/** Little to set up, and code that is compiled once, soon. */
const QUICK_FLAGS = ['-Xmx256m', '-XX:TieredStopAtLevel=1'];
const TUNED_FLAGS = ['-Xmx1g'];
const TOOL_TIMEOUT_MS = 120_000;
const TOOL_OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** Whether tests can run this version here. */
export function kafkaAvailability(version: KafkaVersion = '3.9'): KafkaAvailability {
  const java = findJava(JAVA_VERSION_MIN);
  if (java === undefined) {
    return { available: false, reason: `there is no JDK ${JAVA_VERSION_MIN} or newer` };
  }
  const jars = kafkaJars(version);
  if (existsSync(jars)) return { available: true, java, classPath: join(jars, '*') };
  const reason = `there is no Kafka ${version}, which npm test fetches if there is Maven`;
  return { available: false, reason };
}

/**
 * Fetches the version if that is all that is missing, which takes most of a minute, once.
 * @throws Error saying what is missing
 */
export async function ensureKafka(version: KafkaVersion): Promise<void> {
  if (findJava(JAVA_VERSION_MIN) === undefined || existsSync(kafkaJars(version))) {
    javaCommand(version);
    return;
  }
  const [program, ...args] = installKafka([version]);
  try {
    await promisify(execFile)(program, args);
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    throw new Error(`Kafka ${version} could not be fetched: ${`${stdout}${stderr}`.trim()}`, {
      cause: error,
    });
  }
}

/** Program and first arguments; a main class or a source file follows. */
export function javaCommand(version: KafkaVersion, tuned = false): readonly [string, ...string[]] {
  const found = kafkaAvailability(version);
  if (!found.available) throw new Error(found.reason);
  return [
    found.java,
    '-XX:+UseSerialGC',
    ...(tuned ? TUNED_FLAGS : QUICK_FLAGS),
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    ...['-cp', found.classPath],
  ];
}

/**
 * Runs a program that ends by itself, and gives its standard output.
 * @throws Error with what it wrote, when it fails or takes minutes
 */
export async function runKafkaTool(
  version: KafkaVersion,
  args: readonly string[],
): Promise<string> {
  const [java, ...flags] = javaCommand(version);
  const { stdout } = await promisify(execFile)(java, [...flags, ...args], {
    timeout: TOOL_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: TOOL_OUTPUT_BYTES_MAX,
  });
  return stdout;
}
