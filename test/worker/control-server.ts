/** A coordinator's side of the control service over real gRPC, in the hands of a test. */
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  ControlService,
  type ControlServer as ControlHandlers,
  type CoordinatorMessage,
  type Register,
  type WorkerMessage,
} from '../../proto/gen/millrace/v1/control.js';

type Command = NonNullable<CoordinatorMessage['message']>;
type Report = NonNullable<WorkerMessage['message']>;

/** One worker's session as the coordinator sees it. */
export class ControlSession {
  readonly #stream: ServerDuplexStream<WorkerMessage, CoordinatorMessage>;
  readonly #arrivals = new Arrivals<Report>();
  /** Resolves once the worker has given the stream up. */
  readonly canceled: Promise<void>;

  constructor(stream: ServerDuplexStream<WorkerMessage, CoordinatorMessage>) {
    this.#stream = stream;
    this.canceled = new Promise((resolve) => stream.once('cancelled', () => resolve()));
    stream.on('error', () => undefined);
    stream.on('data', ({ message }: WorkerMessage) => {
      if (message !== undefined) this.#arrivals.add(message);
    });
  }

  /** The next message of the worker. */
  receive(): Promise<Report> {
    return this.#arrivals.next();
  }

  send(message: Command): void {
    this.#stream.write({ message });
  }

  register(heartbeatTimeoutMs: number): void {
    this.send({
      $case: 'registered',
      value: { epoch: 3, heartbeatIntervalMs: 100, heartbeatTimeoutMs, clusterId: 'c1' },
    });
  }

  end(): void {
    this.#stream.end();
  }

  break(details: string): void {
    this.#stream.emit('error', { code: status.UNAVAILABLE, details });
  }
}

export class ControlServer {
  readonly #server = new Server();
  readonly #sessions = new Arrivals<ControlSession>();
  /** By bundle id, in parts; unknown ids are NOT_FOUND. */
  readonly bundles = new Map<string, readonly Uint8Array[]>();

  /** @returns host:port */
  async listen(): Promise<string> {
    const handlers: ControlHandlers = {
      session: (stream) => this.#sessions.add(new ControlSession(stream)),
      fetchBundle: (call) => {
        const parts = this.bundles.get(call.request.bundleId);
        if (parts === undefined) {
          call.emit('error', { code: status.NOT_FOUND, details: 'no such bundle' });
          return;
        }
        for (const data of parts) call.write({ data: Buffer.from(data) });
        call.end();
      },
    };
    this.#server.addService(ControlService, handlers);
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = ServerCredentials.createInsecure();
      this.#server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return `127.0.0.1:${port}`;
  }

  /** The next session that a worker opens. */
  session(): Promise<ControlSession> {
    return this.#sessions.next();
  }

  /** Breaks every connection. */
  close(): void {
    this.#server.forceShutdown();
  }
}

export function registerOf(workerId: string): Register {
  return {
    protocolVersion: 1,
    engineVersion: '0',
    workerId,
    slots: 1,
    dataAddress: '127.0.0.1:1',
    httpAddress: '127.0.0.1:2',
    pid: 1,
    host: 'test',
  };
}

/** Things that arrive one by one, and whoever waits for the next. */
class Arrivals<T> {
  readonly #arrived: T[] = [];
  readonly #waiting: ((one: T) => void)[] = [];

  add(one: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(one);
    else waiting(one);
  }

  next(): Promise<T> {
    const [one] = this.#arrived.splice(0, 1);
    return one === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(one);
  }
}
