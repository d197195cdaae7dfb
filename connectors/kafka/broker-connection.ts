/**
 * A connection to one broker, made by kafkajs: socket, TLS, SASL, request queue, deadlines and
 * throttling are its own, requests and answers are ours. This file alone reaches into kafkajs. A
 * connection that broke is never used again: its owner makes another.
 */
import Connection from 'kafkajs/src/network/connection.js';
import socketFactory from 'kafkajs/src/network/socketFactory.js';
import { connect, type Socket } from 'node:net';
import { AnswerAssembler } from './answer-assembler.js';
import { AnswerMemory } from './answer-memory.js';
import type { BrokerAddress, ResolvedConnection } from './kafka-connection.js';
import {
  answerError,
  connectionError,
  isLoginRefused,
  versionError,
  type ConnectionState,
} from './kafka-error.js';
import type { KafkaRequest } from './kafka-request.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

/** Requests that a broker has not answered yet; more wait here. */
const IN_FLIGHT_MAX = 16;
/** What a socket reads at once. */
const READ_BYTES = 64 * 1024;
const KEEP_ALIVE_DELAY_MS = 60_000;
/** What is left of a login that expires when it is renewed; brokers let nobody renew twice a second. */
const SESSION_RESERVE = 0.15;

/** kafkajs tells of everything twice; what fails comes to us as an error. */
const SILENT: Connection.Logger = {
  namespace: () => SILENT,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export interface BrokerConnectionOptions extends ResolvedConnection {
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

type SocketPlace = Parameters<Connection.Options['socketFactory']>[0];

/** Which versions the broker knows; this request has had one form for ever. */
const apiVersionsRequest: KafkaRequest<{ code: number; versions: Connection.Versions }> = {
  apiKey: 18,
  apiName: 'ApiVersions',
  apiVersion: 2,
  flexible: false,
  write: () => undefined,
  read: (reader, throttle) => {
    const code = reader.int16();
    const entries = reader.array(() => {
      const apiKey = reader.int16();
      return [apiKey, { minVersion: reader.int16(), maxVersion: reader.int16() }] as const;
    });
    throttle(reader.int32());
    return { code, versions: Object.fromEntries(entries) };
  },
};

export class BrokerConnection {
  /** `host:port`, for messages. */
  readonly broker: string;
  readonly #connection: Connection;
  readonly #memory = new AnswerMemory();
  #versions: Connection.Versions = {};
  #state: ConnectionState;

  private constructor({ host, port }: BrokerAddress, options: BrokerConnectionOptions) {
    this.broker = `${host}:${String(port)}`;
    this.#state = {
      tls: options.tls !== null,
      sasl: options.sasl !== null,
      greeted: false,
      served: false,
    };
    this.#connection = new Connection({
      host,
      port,
      clientId: options.clientId,
      logger: SILENT,
      socketFactory: (at) => {
        const socket = at.ssl === null ? this.#connectPlain(at) : socketFactory()(at);
        // As Kafka's own clients: the end of a request must not wait until what went before it is acknowledged.
        return socket.setNoDelay(true);
      },
      ssl: options.tls,
      sasl: options.sasl,
      connectionTimeout: options.connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      maxInFlightRequests: IN_FLIGHT_MAX,
    });
  }

  /**
   * Connects and logs in.
   * @throws MillraceError BROKER_UNREACHABLE, ACCESS_DENIED, BROKER_REFUSED, WIRE_CORRUPT
   */
  static async open(
    address: BrokerAddress,
    options: BrokerConnectionOptions,
  ): Promise<BrokerConnection> {
    const opened = new BrokerConnection(address, options);
    try {
      await opened.#open();
    } catch (error) {
      opened.close();
      throw connectionError(opened.broker, error, opened.#state);
    }
    return opened;
  }

  get isOpen(): boolean {
    return this.#connection.isConnected();
  }

  /**
   * One exchange; it is not tried again.
   * @throws MillraceError BROKER_UNREACHABLE when no answer came; VERSION_MISMATCH
   */
  async send<T>(request: KafkaRequest<T>): Promise<T> {
    const { apiKey, apiName, apiVersion } = request;
    const known = this.#versions[apiKey];
    if (known === undefined || apiVersion < known.minVersion || apiVersion > known.maxVersion) {
      throw versionError(this.broker, apiName, apiVersion);
    }
    try {
      const answer = await this.#exchange(request);
      if (!this.#state.served) this.#state = { ...this.#state, served: true };
      return answer;
    } catch (error) {
      // A login that could not be renewed: another connection reads the secret anew.
      if (isLoginRefused(error)) this.close();
      throw connectionError(this.broker, error, this.#state);
    }
  }

  /** Requests that wait fail; nothing is waited for. */
  close(): void {
    this.#connection.rejectRequests(
      connectionError(this.broker, new Error('closed by us'), this.#state),
    );
    // With nothing left to wait for, it only gives its timers back.
    void this.#connection.disconnect();
    this.#connection.socket?.destroy();
  }

  /** Puts answers together itself: kafkajs would copy them once more, and all of it into fresh memory. */
  #connectPlain({ host, port, onConnect }: SocketPlace): Socket {
    const assembler = new AnswerAssembler(this.#memory, (answer) => {
      // Even with nothing before it, it would be joined to that by a copy.
      const { chunks } = this.#connection;
      if (chunks.every(({ length }) => length === 0)) this.#connection.chunks = [];
      socket.emit('data', answer);
    });
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (count: number, bytes: Uint8Array): boolean => {
        assembler.take(Buffer.from(bytes.buffer, bytes.byteOffset, count));
        return true;
      },
    };
    const socket = connect({ host, port, onread }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    return socket;
  }

  /** A broker that throttles us reads nothing for so long: what is under way is answered that much later. */
  #allow(throttleMs: number): void {
    for (const request of this.#connection.requestQueue.inflight.values()) {
      request.requestTimeout += throttleMs;
    }
  }

  async #open(): Promise<void> {
    await this.#connection.connect();
    const { code, versions } = await this.#exchange(apiVersionsRequest);
    if (code !== 0) throw answerError('ApiVersions', code, { broker: this.broker });
    this.#state = { ...this.#state, greeted: true };
    this.#versions = versions;
    this.#connection.setVersions(versions);
    this.#connection.setSupportAuthenticationProtocol(true);
    await this.#connection.authenticate();
    this.#state = { ...this.#state, served: this.#state.sasl };
  }

  #exchange<T>(request: KafkaRequest<T>): Promise<T> {
    const { apiKey, apiName, apiVersion, flexible, timeoutMs = 0 } = request;
    // A fixed time would be longer than a short session, which was then renewed by every request.
    const lifetimeMs = this.#connection.sessionLifetime.toNumber();
    this.#connection.reauthenticationThreshold = Math.ceil(SESSION_RESERVE * lifetimeMs);
    return this.#connection.send<T>({
      request: {
        apiKey,
        apiName,
        apiVersion,
        encode: () => {
          const writer = new WireWriter(flexible);
          // The header of a flexible request ends with tagged fields, and kafkajs writes the older one.
          writer.tags();
          request.write(writer);
          return Promise.resolve({ buf: writer.written, buffer: writer.written });
        },
      },
      response: {
        decode: async (payload) => {
          let clientSideThrottleTime = 0;
          const reader = new WireReader(payload, flexible);
          reader.tags();
          const value = request.read(
            reader,
            (throttleMs) => {
              clientSideThrottleTime = throttleMs;
              if (throttleMs > 0) this.#allow(throttleMs);
            },
            () => this.#memory.giveBack(payload.buffer),
          );
          return Promise.resolve({ value, clientSideThrottleTime });
        },
        parse: ({ value }) => Promise.resolve(value),
      },
      requestTimeout: timeoutMs,
      logResponseError: false,
    });
  }
}
