/**
 * The way to an etcd cluster: deadlines on every call, retries that can't lie, errors that name the
 * endpoints. Stands under `EtcdMetaStore` and its watches and leases. The client library's own
 * retries are off: it would repeat a transaction whose answer was lost and then report that the
 * comparison failed, though the first one had won.
 */
import { noop } from 'cockatiel';
import { Etcd3, isRecoverableError, type IOptions } from 'etcd3';
import type { Clock } from '../core/clock.js';
import { isMillraceError, MillraceError } from '../core/errors.js';

/** A call that got no answer by then may be tried again elsewhere. */
const CALL_TIMEOUT_MS = 2000;
/** No new attempt begins later than this after the first, less one call: covers a leader's loss. */
const OPERATION_TIMEOUT_MS = 6000;
const RETRY_PAUSE_MS = 200;
/** Streams are cut and reopened that often, since nothing else shows that a member is frozen. */
const STREAM_TIMEOUT_MS = 3000;
const RECONNECT_PAUSE_MIN_MS = 100;
const RECONNECT_PAUSE_MAX_MS = 1000;
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

export interface EtcdConnectionOptions {
  /** `HOST:PORT` of one or more members. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  /** Deadline of one call. Default 2000. */
  readonly callTimeoutMs?: number;
  /** When retries of one operation end. Default 6000. */
  readonly operationTimeoutMs?: number;
}

export class EtcdConnection {
  readonly client: Etcd3;
  readonly clock: Clock;
  readonly callTimeoutMs: number;
  readonly #endpoints: readonly string[];
  readonly #operationTimeoutMs: number;

  constructor(options: EtcdConnectionOptions) {
    const { endpoints, clock } = options;
    this.clock = clock;
    this.callTimeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS;
    this.#operationTimeoutMs = options.operationTimeoutMs ?? OPERATION_TIMEOUT_MS;
    this.#endpoints = endpoints;
    const faultHandling: IOptions['faultHandling'] = { global: noop };
    // With several members the default circuit breaker passes over one that fails; with a single
    // one it would only refuse for seconds after that member came back.
    if (endpoints.length === 1) faultHandling.host = () => noop;
    this.client = new Etcd3({
      hosts: endpoints.map((endpoint) => `http://${endpoint}`),
      faultHandling,
      grpcOptions: {
        'grpc.max_receive_message_length': RESPONSE_BYTES_MAX,
        // The library's pause of a second and more would outlast a call's deadline.
        'grpc.initial_reconnect_backoff_ms': RECONNECT_PAUSE_MIN_MS,
        'grpc.max_reconnect_backoff_ms': RECONNECT_PAUSE_MAX_MS,
      },
      defaultCallOptions: ({ isStream }) => ({
        deadline: clock.now() + (isStream ? STREAM_TIMEOUT_MS : this.callTimeoutMs),
      }),
    });
  }

  /**
   * Runs `attempt` until it answers or fails for good. An attempt that follows one whose answer was
   * lost is told so: what the lost one asked for may have happened, or may happen yet.
   * @throws MillraceError STORAGE_UNAVAILABLE naming the endpoints
   */
  async retry<T>(what: string, attempt: (afterLostAnswer: boolean) => Promise<T>): Promise<T> {
    const lastStart = this.clock.monotonic() + this.#operationTimeoutMs - this.callTimeoutMs;
    for (let afterLostAnswer = false; ; afterLostAnswer = true) {
      try {
        return await attempt(afterLostAnswer);
      } catch (error) {
        const mayRetry = error instanceof Error && isRecoverableError(error);
        const pauseEnd = this.clock.monotonic() + RETRY_PAUSE_MS;
        if (!mayRetry || pauseEnd > lastStart) throw this.describe(what, error);
      }
      await this.pause(RETRY_PAUSE_MS);
    }
  }

  /** One attempt only: for what must not be repeated. */
  async once<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      throw this.describe(what, error);
    }
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(delayMs, resolve));
  }

  describe(what: string, error: unknown): MillraceError {
    if (isMillraceError(error)) return error;
    const reason = error instanceof Error ? error.message || error.name : String(error);
    return new MillraceError(
      'STORAGE_UNAVAILABLE',
      `etcd at ${this.#endpoints.join(', ')} could not ${what}: ${reason}; ` +
        `check that etcd runs, has a quorum and is reachable from here`,
      { cause: error },
    );
  }

  close(): void {
    this.client.close();
  }
}
