/**
 * A worker that does what a test says: a real control session over gRPC, with nothing behind it. It
 * answers heartbeats unless told to be silent, and lets a test wait for messages.
 */
import { credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { CONTROL_PROTOCOL_VERSION, ENGINE_VERSION } from '../../core/version.js';
import {
  ControlClient,
  type CoordinatorMessage,
  type Register,
  type WorkerMessage,
} from '../../proto/gen/millrace/v1/control.js';

export type Received = NonNullable<CoordinatorMessage['message']>;
export type Sent = NonNullable<WorkerMessage['message']>;
type Case = Received['$case'];
type ValueOf<C extends Case> = Extract<Received, { $case: C }>['value'];

interface Waiter {
  readonly matches: (message: Received) => boolean;
  readonly resolve: (message: Received) => void;
  readonly reject: (error: Error) => void;
}

export class FakeWorker {
  readonly workerId: string;
  readonly register: Register;
  /** Set to false to stop answering heartbeats. */
  answersHeartbeats = true;
  freeSlots: number;
  /** Settles with the stream's error text, or 'end', when the session is over. */
  readonly ended: Promise<string>;
  readonly #client: ControlClient;
  readonly #stream: ClientDuplexStream<WorkerMessage, CoordinatorMessage>;
  readonly #inbox: Received[] = [];
  #waiters: Waiter[] = [];
  /** Sees every message before a test does; may answer at once. */
  onMessage: (message: Received) => void = () => undefined;

  constructor(address: string, workerId: string, register: Partial<Register> = {}) {
    this.workerId = workerId;
    this.register = {
      protocolVersion: CONTROL_PROTOCOL_VERSION,
      engineVersion: ENGINE_VERSION,
      workerId,
      slots: 2,
      dataAddress: `127.0.0.1:${workerId}`,
      httpAddress: '127.0.0.1:1',
      pid: 1,
      host: 'test',
      ...register,
    };
    this.freeSlots = this.register.slots;
    this.#client = new ControlClient(address, credentials.createInsecure());
    this.#stream = this.#client.session();
    this.ended = new Promise((resolve) => {
      this.#stream.on('error', (error) => this.#end(error.message, resolve));
      this.#stream.on('end', () => this.#end('end', resolve));
    });
    this.#stream.on('data', ({ message }: CoordinatorMessage) => {
      if (message !== undefined) this.#receive(message);
    });
  }

  get client(): ControlClient {
    return this.#client;
  }

  /** Registers and waits for the answer. */
  async join(): Promise<ValueOf<'registered'>> {
    this.send({ $case: 'register', value: this.register });
    return this.next('registered');
  }

  send(message: Sent): void {
    this.#stream.write({ message });
  }

  /** The next message of this kind that `matches`; messages of other kinds stay. */
  async next<C extends Case>(
    $case: C,
    matches: (value: ValueOf<C>) => boolean = () => true,
  ): Promise<ValueOf<C>> {
    const message = await this.#take(
      (candidate) => candidate.$case === $case && matches(candidate.value as ValueOf<C>),
    );
    return message.value as ValueOf<C>;
  }

  /** Breaks the connection as the death of the process would. */
  kill(): void {
    this.#stream.cancel();
    this.#client.close();
  }

  #take(matches: (message: Received) => boolean): Promise<Received> {
    const at = this.#inbox.findIndex(matches);
    const [message] = at < 0 ? [] : this.#inbox.splice(at, 1);
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ matches, resolve, reject });
    });
  }

  #receive(message: Received): void {
    if (message.$case === 'heartbeatRequest') {
      if (this.answersHeartbeats) {
        const { sequence } = message.value;
        const value = { sequence, rssBytes: 1, freeSlots: this.freeSlots };
        this.send({ $case: 'heartbeat', value });
      }
      return;
    }
    this.onMessage(message);
    const at = this.#waiters.findIndex(({ matches }) => matches(message));
    const [waiter] = at < 0 ? [] : this.#waiters.splice(at, 1);
    if (waiter === undefined) this.#inbox.push(message);
    else waiter.resolve(message);
  }

  #end(reason: string, resolve: (reason: string) => void): void {
    for (const waiter of this.#waiters) waiter.reject(new Error(`session over: ${reason}`));
    this.#waiters = [];
    this.#client.close();
    resolve(reason);
  }
}
