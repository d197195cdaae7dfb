/**
 * The parts of kafkajs that its public types leave out, as far as broker-connection.ts uses them: a
 * connection that sends requests of our own, and its table of error codes.
 */
declare module 'kafkajs/src/network/connection.js' {
  import type { ConnectionOptions as TlsOptions } from 'node:tls';
  import type { Socket } from 'node:net';
  import type { SASLOptions } from 'kafkajs';

  namespace Connection {
    interface Logger {
      namespace(name: string): Logger;
      debug(message: string): void;
      info(message: string): void;
      warn(message: string): void;
      error(message: string): void;
    }

    interface Options {
      readonly host: string;
      readonly port: number;
      readonly clientId: string;
      readonly logger: Logger;
      readonly socketFactory: (options: {
        readonly host: string;
        readonly port: number;
        readonly ssl: TlsOptions | null;
        readonly onConnect: () => void;
      }) => Socket;
      readonly ssl: TlsOptions | null;
      readonly sasl: SASLOptions | null;
      readonly connectionTimeout: number;
      readonly requestTimeout: number;
      readonly maxInFlightRequests: number;
    }

    /** What `send` hands to the request's `encode` must look like kafkajs' own encoder. */
    interface Encoded {
      readonly buf: Buffer;
      readonly buffer: Buffer;
    }

    interface Exchange<T> {
      readonly request: {
        readonly apiKey: number;
        readonly apiName: string;
        readonly apiVersion: number;
        encode(): Promise<Encoded>;
      };
      readonly response: {
        decode(payload: Buffer): Promise<{
          readonly value: T;
          /** Requests wait for so long, ms. */
          readonly clientSideThrottleTime: number;
        }>;
        parse(decoded: { readonly value: T }): Promise<T>;
      };
      /** ms; only if above that of the connection. */
      readonly requestTimeout: number;
      readonly logResponseError: false;
    }

    type Versions = Readonly<
      Record<number, { readonly minVersion: number; readonly maxVersion: number }>
    >;
  }

  class Connection {
    constructor(options: Connection.Options);
    readonly socket: Socket | undefined;
    /** What was read of answers that are not whole. */
    chunks: Buffer[];
    /** How long a login lasts, ms; 0: for ever. */
    readonly sessionLifetime: { toNumber(): number };
    /** Requests that are not answered yet, and for how long each may be, ms. */
    readonly requestQueue: { readonly inflight: ReadonlyMap<number, { requestTimeout: number }> };
    /** A request that comes so long before the login ends, ms, or later, renews it first. */
    reauthenticationThreshold: number;
    isConnected(): boolean;
    connect(): Promise<boolean>;
    disconnect(): Promise<boolean>;
    setVersions(versions: Connection.Versions): void;
    setSupportAuthenticationProtocol(isSupported: boolean): void;
    authenticate(): Promise<void>;
    send<T>(exchange: Connection.Exchange<T>): Promise<T>;
    rejectRequests(error: Error): void;
  }

  export = Connection;
}

declare module 'kafkajs/src/network/socketFactory.js' {
  import type Connection from 'kafkajs/src/network/connection.js';
  function socketFactory(): Connection.Options['socketFactory'];
  export = socketFactory;
}

declare module 'kafkajs/src/protocol/error.js' {
  export const errorCodes: readonly {
    readonly type: string;
    readonly code: number;
    readonly retriable: boolean;
    readonly message: string;
  }[];
}
