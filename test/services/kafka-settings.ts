/**
 * What a broker of the tests is told: KRaft with every node broker and controller, all listeners on
 * the loopback address, quick to start and quick to notice a dead neighbour. Durability is real: what
 * is acknowledged by a minority of three nodes is not acknowledged.
 */

/** What a listener speaks, as Kafka names it. */
export type KafkaProtocol = 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';

export interface BrokerPorts {
  readonly controller: number;
  readonly clients: Readonly<Partial<Record<KafkaProtocol, number>>>;
}

export type BrokerSettings = Readonly<Record<string, string | number | boolean>>;

/** The node's settings as the text of its file. */
export function brokerProperties(
  index: number,
  ports: readonly BrokerPorts[],
  dataFolder: string,
  more: BrokerSettings,
): string {
  const settings = { ...listeners(index, ports), ...behaviour(ports.length, dataFolder), ...more };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Node ids begin at 1. */
export function nodeId(index: number): number {
  return index + 1;
}

function listeners(index: number, ports: readonly BrokerPorts[]): BrokerSettings {
  const own = ports[index];
  if (own === undefined) throw new RangeError(`there is no broker ${index}`);
  const clients = Object.entries(own.clients).map(
    ([protocol, port]) => `${protocol}://127.0.0.1:${port}`,
  );
  const voters = ports.map(({ controller }, voter) => `${nodeId(voter)}@127.0.0.1:${controller}`);
  return {
    'process.roles': 'broker,controller',
    'node.id': nodeId(index),
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: [...clients, `CONTROLLER://127.0.0.1:${own.controller}`].join(','),
    'advertised.listeners': clients.join(','),
    'listener.security.protocol.map': ['CONTROLLER', ...Object.keys(own.clients)]
      .map((name) => `${name}:${name === 'CONTROLLER' ? 'PLAINTEXT' : name}`)
      .join(','),
  };
}

function behaviour(brokers: number, dataFolder: string): BrokerSettings {
  const insync = brokers > 1 ? 2 : 1;
  return {
    'log.dirs': dataFolder,
    'auto.create.topics.enable': false,
    // Tests write of times long past.
    'log.retention.ms': -1,
    'default.replication.factor': brokers,
    'min.insync.replicas': insync,
    'offsets.topic.replication.factor': brokers,
    'offsets.topic.num.partitions': brokers,
    'transaction.state.log.replication.factor': brokers,
    'transaction.state.log.min.isr': insync,
    'transaction.state.log.num.partitions': brokers,
    'share.coordinator.state.topic.replication.factor': brokers,
    'share.coordinator.state.topic.min.isr': insync,
    'share.coordinator.state.topic.num.partitions': brokers,
    'group.initial.rebalance.delay.ms': 0,
    // A killed broker is taken back, and its partitions find another leader, only after this time,
    // by itself nine seconds.
    'broker.session.timeout.ms': brokers > 1 ? 3_000 : 2_000,
    'broker.heartbeat.interval.ms': 300,
    // The cleaner takes its buffer of 128 MiB at once, half of the heap.
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
  };
}
