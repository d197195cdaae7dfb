/**
 * The connections of a client: to any broker of the cluster, or to the one that leads or coordinates.
 * A broker's requests are answered in their order, so that what waits for records has a connection of
 * its own. Connections are made when they are needed and made anew when they broke.
 */
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { BrokerConnection } from './broker-connection.js';
import {
  parseAddress,
  resolveConnection,
  type BrokerAddress,
  type KafkaConnectionOptions,
} from './kafka-connection.js';
import { isRetriable } from './kafka-error.js';
import type { BrokerNode } from './metadata-request.js';

/** What a connection is for. */
export type ConnectionUse = 'control' | 'fetch' | 'produce';

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const CLIENT_ID_DEFAULT = 'millrace';

export class BrokerPool {
  readonly #options: KafkaConnectionOptions;
  readonly #nodes = new Map<number, BrokerNode>();
  /** By node or address, and by use. */
  readonly #connections = new Map<string, Promise<BrokerConnection>>();
  #closed = false;

  constructor(options: KafkaConnectionOptions) {
    this.#options = options;
  }

  /** Brokers as the cluster names them. */
  learn(nodes: readonly BrokerNode[]): void {
    for (const node of nodes) this.#nodes.set(node.id, node);
  }

  /** `host:port`, or what is known of it. */
  nameOf(nodeId: number): string {
    const node = this.#nodes.get(nodeId);
    return node === undefined ? `node ${String(nodeId)}` : `${node.host}:${String(node.port)}`;
  }

  /**
   * A connection to a broker that was learned of.
   * @returns undefined: no such broker is known
   */
  async toNode(nodeId: number, use: ConnectionUse): Promise<BrokerConnection | undefined> {
    const node = this.#nodes.get(nodeId);
    return node === undefined ? undefined : this.#connect(node, use);
  }

  /**
   * A connection to whichever broker answers first, in the order they were given.
   * @throws MillraceError why the first could not be reached, or what can't pass
   */
  async toAny(): Promise<BrokerConnection> {
    const given = this.#options.brokers.map((address) =>
      parseAddress('connection.brokers', address),
    );
    let first: unknown;
    for (const address of [...given, ...this.#nodes.values()]) {
      try {
        return await this.#connect(address, 'control');
      } catch (error) {
        if (isMillraceError(error) && error.domain === 'user') throw error;
        // A broker that may come back says more than another that never will.
        if (first === undefined || (isRetriable(error) && !isRetriable(first))) first = error;
      }
    }
    throw first;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) {
      connection.then(
        (open) => open.close(),
        () => undefined,
      );
    }
    this.#connections.clear();
  }

  async #connect(address: BrokerAddress, use: ConnectionUse): Promise<BrokerConnection> {
    if (this.#closed) throw new MillraceError('CANCELED', 'the Kafka client was closed');
    const key = `${address.host}:${String(address.port)} ${use}`;
    const existing = this.#connections.get(key);
    if (existing !== undefined) {
      const connection = await existing;
      if (connection.isOpen) return connection;
      connection.close();
      if (this.#connections.get(key) !== existing) return this.#connect(address, use);
    }
    const opening = this.#open(address);
    this.#connections.set(key, opening);
    opening.catch(() => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key);
    });
    const connection = await opening;
    if (!this.#closed) return connection;
    connection.close();
    throw new MillraceError('CANCELED', 'the Kafka client was closed');
  }

  async #open({ host, port }: BrokerAddress): Promise<BrokerConnection> {
    return BrokerConnection.open(
      { host, port },
      {
        // Read each time: secrets change.
        ...(await resolveConnection(this.#options)),
        clientId: this.#options.clientId ?? CLIENT_ID_DEFAULT,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
      },
    );
  }
}
