/**
 * Real Kafka brokers for tests, one or three, on ports that the system chose, their data in a
 * temporary folder, always ended. The test command fetches them with Maven and keeps them; without
 * them or without Java, tests that need them are skipped and say so.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs, { Kafka, logLevel, type Admin } from 'kafkajs';
import type { KafkaVersion } from './install-kafka.js';
import { javaCommand, runKafkaTool } from './kafka-installation.js';
import {
  makeCertificates,
  scramArguments,
  securitySettings,
  type ClientCertificates,
} from './kafka-security.js';
import {
  brokerProperties,
  nodeId,
  type BrokerPorts,
  type BrokerSettings,
  type KafkaProtocol,
} from './kafka-settings.js';
import { freePorts, killService, spawnGuarded } from './loopback-service.js';

export interface KafkaOptions {
  /** The older line unless given. */
  readonly version?: KafkaVersion;
  readonly brokers?: 1 | 3;
  /** Of the broker, over those of the house. */
  readonly settings?: BrokerSettings;
  /** For measurements: a larger heap and the optimizing compiler; slower to start. */
  readonly tuned?: boolean;
  /** Listens with every protocol, not only PLAINTEXT, and heeds `deny`. */
  readonly secured?: boolean;
}

export type KafkaResource = 'TOPIC' | 'TRANSACTIONAL_ID' | 'GROUP';

/** What a user may do, or may not. */
export interface AclRule {
  readonly user: string;
  readonly permission: 'ALLOW' | 'DENY';
  readonly resource: KafkaResource;
  readonly name: string;
  /** By default it is this one resource. */
  readonly pattern?: 'LITERAL' | 'PREFIXED';
  /** All unless given. */
  readonly operations?: readonly ('ALL' | 'READ' | 'WRITE' | 'DESCRIBE' | 'CREATE')[];
}

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;
const READY_TIMEOUT_MS = 60_000;
const START_ATTEMPTS_MAX = 3;
const PROTOCOLS_SECURED = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;

/** A running cluster; topics are made by who needs them, never by being named. */
export class KafkaService {
  private readonly processes: ChildProcess[] = [];
  private certificates: ClientCertificates | undefined;

  private constructor(
    readonly version: KafkaVersion,
    /** For setting up and looking; connected. */
    readonly admin: Admin,
    private readonly folder: string,
    private readonly clusterId: string,
    private readonly ports: readonly BrokerPorts[],
    private readonly command: readonly [string, ...string[]],
  ) {}

  /** @throws Error when `kafkaAvailability` says that it can't be had, or no attempt succeeded */
  static async start(options: KafkaOptions = {}): Promise<KafkaService> {
    const { version = '3.9', brokers = 1 } = options;
    const command = javaCommand(version, options.tuned);
    let failure: unknown;
    for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
      const ports = await choosePorts(brokers, options.secured ? PROTOCOLS_SECURED : ['PLAINTEXT']);
      const kafka = new Kafka({
        brokers: ports.map((of) => server(of, 'PLAINTEXT')),
        logLevel: logLevel.NOTHING,
        retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 20 },
      });
      const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'));
      const clusterId = randomBytes(16).toString('base64url');
      const service = new KafkaService(version, kafka.admin(), folder, clusterId, ports, command);
      try {
        await service.format(options);
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
  brokers(protocol: KafkaProtocol = 'PLAINTEXT'): string[] {
    return this.ports.map((of) => server(of, protocol));
  }

  /** The same of PLAINTEXT as one text, with commas. */
  get bootstrapServers(): string {
    return this.brokers().join(',');
  }

  /** For clients of SSL and SASL_SSL; only the former asks for the client's own. */
  get clientCertificates(): ClientCertificates {
    if (this.certificates === undefined) throw new Error('this Kafka was not started as secured');
    return this.certificates;
  }

  /** Of a broker's process. */
  pid(index = 0): number {
    return this.process(index).pid ?? 0;
  }

  /** Where a broker keeps the folders of its partitions. */
  dataFolder(index = 0): string {
    return this.path(index, 'data');
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
    await this.led(topic, partitions);
  }

  /** Adds partitions to a topic, up to so many; every living broker knows it then. */
  async growTopic(topic: string, partitions: number): Promise<void> {
    await this.admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
    await this.led(topic, partitions);
  }

  /** Keeps a user from one resource, or from one use of it, and lets everyone else do anything; true on every living broker. */
  async deny(
    user: string,
    resource: KafkaResource,
    name: string,
    operations: AclRule['operations'] & object = ['ALL'],
  ): Promise<void> {
    await this.addAcls([
      { resource, name, user, permission: 'DENY', operations },
      // Where there is a rule, whoever has none may do nothing.
      { resource, name, user: '*', permission: 'ALLOW' },
    ]);
  }

  /** Lets a user do these things, and nobody else any with the same resources; true on every living broker. */
  async allow(user: string, rules: readonly Omit<AclRule, 'user' | 'permission'>[]): Promise<void> {
    await this.addAcls(rules.map((rule) => ({ ...rule, user, permission: 'ALLOW' })));
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

  private async addAcls(rules: readonly AclRule[]): Promise<void> {
    const acl = rules.flatMap(({ operations = ['ALL'], ...rule }) =>
      operations.map((operation) => ({
        resourceType: AclResourceTypes[rule.resource],
        resourceName: rule.name,
        resourcePatternType: ResourcePatternTypes[rule.pattern ?? 'LITERAL'],
        operation: AclOperationTypes[operation],
        principal: `User:${rule.user}`,
        permissionType: AclPermissionTypes[rule.permission],
        host: '*',
      })),
    );
    await this.admin.createAcls({ acl });
    await this.everywhere(async (admin) => {
      const found = await Promise.all(acl.map((entry) => admin.describeAcls(entry)));
      return found.every(({ resources }) => resources.length > 0);
    });
  }

  /** Waits until every living broker knows a leader for each of so many partitions. */
  private led(topic: string, partitions: number): Promise<void> {
    return this.everywhere(async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const found = topics[0]?.partitions ?? [];
      return found.length === partitions && found.every(({ leader }) => leader >= 0);
    });
  }

  private process(index: number): ChildProcess {
    const process = this.processes[index];
    if (process === undefined) throw new RangeError(`there is no broker ${index}`);
    return process;
  }

  private path(index: number, name: string): string {
    return join(this.folder, `broker-${index}`, name);
  }

  private async format({ settings = {}, secured = false }: KafkaOptions): Promise<void> {
    const certificates = join(this.folder, 'certificates');
    if (secured) {
      await mkdir(certificates);
      this.certificates = await makeCertificates(certificates);
    }
    const more = { ...(secured ? securitySettings(certificates) : {}), ...settings };
    const formatOne = async (index: number): Promise<void> => {
      const data = this.dataFolder(index);
      await mkdir(data, { recursive: true });
      const properties = this.path(index, 'server.properties');
      await writeFile(properties, brokerProperties(index, this.ports, data, more));
      const format = ['kafka.tools.StorageTool', 'format', '-t', this.clusterId, '-c', properties];
      await runKafkaTool(this.version, [...format, ...(secured ? scramArguments() : [])]);
    };
    await Promise.all(this.ports.map((_, index) => formatOne(index)));
  }

  private launch(index: number): void {
    const [java, ...args] = this.command;
    this.processes[index] = spawnGuarded(java, [
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

  private async everywhere(holds: (admin: Admin) => Promise<boolean>): Promise<void> {
    const living = [...this.processes.keys()].filter((index) => this.lives(index));
    await Promise.all(living.map((index) => this.until(index, holds)));
  }

  /** Waits until that broker, asked alone, says so. */
  private async until(index: number, holds: (admin: Admin) => Promise<boolean>): Promise<void> {
    const kafka = new Kafka({
      brokers: this.brokers().slice(index, index + 1),
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

async function choosePorts(
  brokers: number,
  protocols: readonly KafkaProtocol[],
): Promise<BrokerPorts[]> {
  const ports = await freePorts(brokers * (1 + protocols.length));
  const next = (): number => ports.pop() ?? 0;
  return Array.from({ length: brokers }, () => ({
    controller: next(),
    clients: Object.fromEntries(protocols.map((protocol) => [protocol, next()])),
  }));
}

function server({ clients }: BrokerPorts, protocol: KafkaProtocol): string {
  const port = clients[protocol];
  if (port === undefined) throw new Error('this Kafka was not started as secured');
  return `127.0.0.1:${port}`;
}
