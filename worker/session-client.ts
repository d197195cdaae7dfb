/**
 * A worker's session with the coordinator: one gRPC stream that carries every report up and every
 * command down. A broken stream is noticed at once and opened again with growing pauses; what was
 * not delivered is not sent again, because a new session starts from what the worker then says.
 */
import { credentials, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { ERROR_CODES, MillraceError, type ErrorCode } from '../core/errors.js';
import {
  ControlClient,
  type CoordinatorMessage,
  type Register,
  type Registered,
  type WorkerMessage,
} from '../proto/gen/millrace/v1/control.js';

const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 1000;
/** A coordinator that takes the stream and never answers is tried again. */
const REGISTER_TIMEOUT_MS = 10_000;
const FETCH_BUNDLE_TIMEOUT_MS = 60_000;
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

export type Report = NonNullable<WorkerMessage['message']>;
export type Command = NonNullable<CoordinatorMessage['message']>;

export interface SessionClientOptions {
  /** host:port */
  readonly coordinator: string;
  readonly register: Register;
  readonly clock: Clock;
  readonly onRegistered: (registered: Registered) => void;
  readonly onCommand: (command: Command) => void;
  /** The coordinator will not have this worker; trying again is useless. */
  readonly onRefused: (error: MillraceError) => void;
  /** The stream broke; it is being opened again. */
  readonly onDisconnected: (reason: string) => void;
  /** There was no session and none could be opened; it is tried again. */
  readonly onUnreachable: (reason: string) => void;
}

export class SessionClient {
  readonly #options: SessionClientOptions;
  readonly #client: ControlClient;
  #stream: ClientDuplexStream<WorkerMessage, CoordinatorMessage> | undefined;
  #registered: Registered | undefined;
  #pauseMs = RECONNECT_MIN_MS;
  #closed = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: SessionClientOptions) {
    this.#options = options;
    this.#client = new ControlClient(options.coordinator, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MIN_MS,
      'grpc.min_reconnect_backoff_ms': RECONNECT_MIN_MS,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
    });
  }

  get isConnected(): boolean {
    return this.#registered !== undefined;
  }

  connect(): void {
    if (this.#closed) return;
    const stream = this.#client.session();
    this.#stream = stream;
    const lost = (reason: string): void => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#lost(reason);
    };
    stream.on('data', ({ message }: CoordinatorMessage) => {
      if (this.#stream === stream && message !== undefined) this.#receive(message);
    });
    stream.on('error', (error: ServiceError) => lost(error.details));
    stream.on('end', () => lost('the coordinator closed the session'));
    this.#cancelTimer = this.#options.clock.setTimer(REGISTER_TIMEOUT_MS, () => {
      stream.cancel();
      lost(`no answer from the coordinator for ${REGISTER_TIMEOUT_MS} ms`);
    });
    stream.write({ message: { $case: 'register', value: this.#options.register } });
  }

  /** Sends a report; without a session it is dropped, since the next session starts afresh. */
  send(report: Report): void {
    if (this.#registered !== undefined) this.#stream?.write({ message: report });
  }

  /** @throws MillraceError CLUSTER_UNREACHABLE or BUNDLE_CORRUPT */
  async fetchBundle(bundleId: string): Promise<Uint8Array> {
    const deadline = this.#options.clock.now() + FETCH_BUNDLE_TIMEOUT_MS;
    const parts: Uint8Array[] = [];
    try {
      for await (const part of this.#client.fetchBundle({ bundleId }, { deadline })) {
        parts.push((part as { data: Uint8Array }).data);
      }
    } catch (error) {
      throw new MillraceError(
        'CLUSTER_UNREACHABLE',
        `the bundle ${bundleId} could not be fetched from the coordinator (${(error as ServiceError).details})`,
        { cause: error },
      );
    }
    return Buffer.concat(parts);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    const stream = this.#stream;
    this.#stream = undefined;
    this.#registered = undefined;
    stream?.end();
    stream?.on('error', (error: ServiceError) => {
      if (error.code !== status.CANCELLED) this.#options.onDisconnected(error.details);
    });
    this.#client.close();
  }

  #receive(command: Command): void {
    switch (command.$case) {
      case 'registered':
        this.#registered = command.value;
        this.#pauseMs = RECONNECT_MIN_MS;
        this.#watchHeartbeats();
        this.#options.onRegistered(command.value);
        break;
      case 'refused': {
        const code = command.value.code as ErrorCode;
        this.#closed = true;
        this.#options.onRefused(
          new MillraceError(code in ERROR_CODES ? code : 'INTERNAL', command.value.message),
        );
        break;
      }
      default:
        if (command.$case === 'heartbeatRequest') this.#watchHeartbeats();
        this.#options.onCommand(command);
    }
  }

  /** A coordinator that has gone silent is taken as gone. */
  #watchHeartbeats(): void {
    this.#cancelTimer?.();
    const timeoutMs = this.#registered?.heartbeatTimeoutMs ?? 0;
    if (timeoutMs === 0) return;
    this.#cancelTimer = this.#options.clock.setTimer(timeoutMs, () => {
      const stream = this.#stream;
      this.#stream = undefined;
      stream?.cancel();
      this.#lost(`no heartbeat from the coordinator for ${timeoutMs} ms`);
    });
  }

  #lost(reason: string): void {
    this.#cancelTimer?.();
    const wasConnected = this.#registered !== undefined;
    this.#registered = undefined;
    if (this.#closed) return;
    if (wasConnected) this.#options.onDisconnected(reason);
    else this.#options.onUnreachable(reason);
    this.#cancelTimer = this.#options.clock.setTimer(this.#pauseMs, () => this.connect());
    this.#pauseMs = Math.min(RECONNECT_MAX_MS, this.#pauseMs * 2);
  }
}
