/**
 * Real Kafka brokers for tests, one or three, on ports that the system chose, their data in a
 * temporary folder, always ended. The test command fetches them with Maven and keeps them; without
 * them or without Java, tests that need them are skipped and say so.
 */
import { execFile, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { kafkaJars, type KafkaVersion } from './install-kafka.js';
import { findJava } from './java-runtime.js';
import {
  brokerProperties,
  nodeId,
  type BrokerPorts,
  type BrokerSettings,
} from './kafka-settings.js';
import { freePorts, killService, spawnGuarded } from './loopback-service.js';

export type KafkaAvailability =
  | { readonly available: true; readonly java: string; readonly classPath: string }
  | { readonly available: false; readonly reason: string };

export interface KafkaOptions {
  /** The oldest line unless given. */
  readonly version?: KafkaVersion;
  readonly brokers?: 1 | 3;
  /** Of the broker, over those of the house. */
  readonly settings?: BrokerSettings;
  readonly heapMiB?: number;
}

const JAVA_VERSION_MIN = 17;
const HEAP_MIB = 256;
const FORMAT_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 60_000;
const START_ATTEMPTS_MAX = 3;

/** Whether tests can run a broker of this version here. */
export function kafkaAvailability(version: KafkaVersion = '3.9'): KafkaAvailability {
  const java = findJava(JAVA_VERSION_MIN);
  if (java === undefined) {
    return { available: false, reason: `there is no Java ${JAVA_VERSION_MIN} or newer` };
  }
  const jars = kafkaJars(version);
  if (existsSync(jars)) return { available: true, java, classPath: join(jars, '*') };
  const reason = `there is no Kafka ${version}, which npm test fetches if there is Maven`;
  return { available: false, reason };
}

/** A running cluster; topics are made by who needs them, never by being named. */
export class KafkaService {
  private readonly processes: ChildProcess[] = [];

  private constructor(
    /** For setting up and looking; connected. */
    readonly admin: Admin,
    /** Holds `broker-I/data` and `broker-I/log` of each. */
    readonly folder: string,
    private readonly clusterId: string,
    private readonly ports: readonly BrokerPorts[],
    private readonly command: readonly [string, ...string[]],
  ) {}

  static async start(options: KafkaOptions = {}): Promise<KafkaService> {
    const { version = '3.9', brokers = 1, settings = {}, heapMiB = HEAP_MIB } = options;
    const found = kafkaAvailability(version);
    if (!found.available) throw new Error(found.reason);
    const flags = [`-Xmx${heapMiB}m`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
    const command = [found.java, ...flags, '-cp', found.classPath] as const;
    let failure: unknown;
    for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
      const ports = await choosePorts(brokers);
      const kafka = new Kafka({
        brokers: ports.map(plaintextServer),
        logLevel: logLevel.NOTHING,
        retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 20 },
      });
      const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'));
      const clusterId = randomBytes(16).toString('base64url');
      const service = new KafkaService(kafka.admin(), folder, clusterId, ports, command);
      try {
        await Promise.all(ports.map((_, index) => service.format(index, settings)));
        ports.forEach((_, index) => service.launch(index));
        await Promise.all(ports.map((_, index) => service.ready(index)));
        await service.admin.connect();
        return service;
      } catch (error) {
        // Between choosing a port and binding it another process may take it: then try others.
        failure = error;
        await service.stop();
      }
    }
    throw failure;
  }

  /** `HOST:PORT` of every broker, as clients take them. */
  get brokers(): readonly string[] {
    return this.ports.map(plaintextServer);
  }

  /** The same as one text, with commas. */
  get bootstrapServers(): string {
    return this.brokers.join(',');
  }

  /** Makes a topic; when this resolves every living broker knows a leader for each partition. */
  async createTopic(
    topic: string,
    partitions = 1,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    const made = { topic, numPartitions: partitions, configEntries };
    await this.admin.createTopics({ topics: [made], waitForLeaders: false });
    const known = async (admin: Admin): Promise<boolean> => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const found = topics[0]?.partitions ?? [];
      return found.length === partitions && found.every(({ leader }) => leader >= 0);
    };
    const living = [...this.processes.keys()].filter((index) => this.lives(index));
    await Promise.all(living.map((index) => this.until(index, known)));
  }

  /** SIGKILL of one broker; what it wrote to its files stays. */
  kill(index = 0): Promise<void> {
    return killService(this.process(index));
  }

  /** Starts it again after `kill`, at the same ports, with what it had. */
  async restart(index = 0): Promise<void> {
    let failure: unknown;
    for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
      this.launch(index);
      try {
        await this.ready(index);
        return;
      } catch (error) {
        // Somebody's passing connection may have its port.
        failure = error;
        await this.kill(index);
      }
    }
    throw failure;
  }

  /** SIGSTOP: it holds its connections and answers nothing. */
  pause(index = 0): void {
    this.process(index).kill('SIGSTOP');
  }

  resume(index = 0): void {
    this.process(index).kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.admin.disconnect();
    await Promise.all(this.processes.map(killService));
    await rm(this.folder, { recursive: true, force: true });
  }

  private process(index: number): ChildProcess {
    const process = this.processes[index];
    if (process === undefined) throw new RangeError(`there is no broker ${index}`);
    return process;
  }

  private path(index: number, name: string): string {
    return join(this.folder, `broker-${index}`, name);
  }

  private async format(index: number, more: BrokerSettings): Promise<void> {
    const data = this.path(index, 'data');
    await mkdir(data, { recursive: true });
    const properties = this.path(index, 'server.properties');
    await writeFile(properties, brokerProperties(index, this.ports, data, more));
    const [java, ...args] = this.command;
    const format = ['kafka.tools.StorageTool', 'format', '-t', this.clusterId, '-c', properties];
    await promisify(execFile)(java, [...args, ...format], { timeout: FORMAT_TIMEOUT_MS });
  }

  private launch(index: number): void {
    const [java, ...args] = this.command;
    this.processes[index] = spawnGuarded(java, [
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      `-Dorg.slf4j.simpleLogger.logFile=${this.path(index, 'log')}`,
      ...args,
      'kafka.Kafka',
      this.path(index, 'server.properties'),
    ]);
  }

  /**
   * Waits until a broker is part of the cluster. That its port answers would not do: only the id of
   * the cluster tells that it is ours who answers.
   */
  private ready(index: number): Promise<void> {
    return this.until(index, async (admin) => {
      const { brokers, clusterId, controller } = await admin.describeCluster();
      const joined = brokers.some((broker) => broker.nodeId === nodeId(index));
      return clusterId === this.clusterId && controller !== null && joined;
    });
  }

  /** Waits until that broker, asked alone, says so. */
  private async until(index: number, holds: (admin: Admin) => Promise<boolean>): Promise<void> {
    const kafka = new Kafka({
      brokers: this.brokers.slice(index, index + 1),
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    });
    const admin = kafka.admin();
    const end = performance.now() + READY_TIMEOUT_MS;
    while (this.lives(index) && performance.now() < end) {
      const held = await admin
        .connect()
        .then(() => holds(admin))
        .catch(() => false)
        .finally(() => admin.disconnect());
      if (held) return;
      // A broker tells nobody when it is ready.
      await delay(50);
    }
    const log = await readFile(this.path(index, 'log'), 'utf8').catch(() => 'no log');
    throw new Error(`broker ${index} is not ready: ${log.slice(-2_000)}`);
  }

  private lives(index: number): boolean {
    const { exitCode, signalCode } = this.process(index);
    return exitCode === null && signalCode === null;
  }
}

async function choosePorts(brokers: number): Promise<BrokerPorts[]> {
  const ports = await freePorts(2 * brokers);
  return Array.from({ length: brokers }, (_, index) => ({
    controller: ports[2 * index] ?? 0,
    clients: { PLAINTEXT: ports[2 * index + 1] ?? 0 },
  }));
}

function plaintextServer({ clients }: BrokerPorts): string {
  return `127.0.0.1:${clients.PLAINTEXT ?? 0}`;
}
