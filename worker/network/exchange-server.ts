/**
 * The worker's exchange server: consuming workers subscribe to the channels of an attempt that lead
 * to them, and get frames; credits come back on the same stream. It must never buffer frames itself:
 * when a stream wants a pause, the attempt's outbox waits.
 */
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.js';
import { MillraceError } from '../../core/errors.js';
import type { ExchangeRequest, Subscription } from '../../proto/gen/millrace/v1/exchange.js';
import type { AttemptExchange, FrameSink } from './attempt-exchange.js';
import {
  EXCHANGE_CHANNEL_OPTIONS,
  EXCHANGE_PROTOCOL_VERSION,
  ExchangeService,
} from './exchange-protocol.js';

type SubscribeCall = ServerDuplexStream<ExchangeRequest, Buffer>;

/** How long a subscription waits for its attempt to be deployed here; ms. */
const DEPLOYMENT_TIMEOUT_MS = 30_000;

interface WaitingSubscription {
  readonly subscription: Subscription;
  readonly call: SubscribeCall;
  readonly cancelTimeout: () => void;
}

export class ExchangeServer {
  readonly #clock: Clock;
  readonly #server = new Server(EXCHANGE_CHANNEL_OPTIONS);
  readonly #attempts = new Map<string, AttemptExchange>();
  readonly #waiting = new Map<string, WaitingSubscription[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#server.addService(ExchangeService, {
      subscribe: (call: SubscribeCall | sendUnaryData<Buffer>) => {
        if (typeof call !== 'function') this.#subscribe(call);
      },
    });
  }

  /**
   * @returns the port that was bound
   * @throws MillraceError PORT_IN_USE
   */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(
        `${host}:${port}`,
        ServerCredentials.createInsecure(),
        (error, bound) => {
          if (error === null) resolve(bound);
          else {
            reject(
              new MillraceError(
                'PORT_IN_USE',
                `the exchange can't listen on ${host}:${port} (${error.message}); choose another --data-port, or 0 for any`,
                { cause: error },
              ),
            );
          }
        },
      );
    });
  }

  /** Channels of the attempt may be subscribed to from now on. */
  addAttempt(jobId: string, attempt: number, exchange: AttemptExchange): void {
    const key = attemptKey(jobId, attempt);
    this.#attempts.set(key, exchange);
    for (const { subscription, call, cancelTimeout } of this.#waiting.get(key) ?? []) {
      cancelTimeout();
      exchange.addConsumer(subscription.consumerWorkerId, new CallSink(call));
    }
    this.#waiting.delete(key);
  }

  removeAttempt(jobId: string, attempt: number): void {
    this.#attempts.delete(attemptKey(jobId, attempt));
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #subscribe(call: SubscribeCall): void {
    let key: string | undefined;
    call.on('data', (request: ExchangeRequest) => {
      const { message } = request;
      if (message?.$case === 'subscription' && key === undefined) {
        key = attemptKey(message.value.jobId, message.value.attempt);
        this.#accept(key, message.value, call);
      } else if (message?.$case === 'credits' && key !== undefined) {
        this.#attempts.get(key)?.creditsFromPeer(message.value.channels, message.value.counts);
      }
    });
    call.on('end', () => call.end());
    call.on('error', () => {
      // The consumer is gone; the coordinator hears of it from the consumer's session.
    });
  }

  #accept(key: string, subscription: Subscription, call: SubscribeCall): void {
    if (subscription.protocolVersion !== EXCHANGE_PROTOCOL_VERSION) {
      refuse(
        call,
        `exchange protocol ${subscription.protocolVersion} is not ${EXCHANGE_PROTOCOL_VERSION}; run one version of millrace on all workers`,
      );
      return;
    }
    const exchange = this.#attempts.get(key);
    if (exchange !== undefined) {
      exchange.addConsumer(subscription.consumerWorkerId, new CallSink(call));
      return;
    }
    const entry: WaitingSubscription = {
      subscription,
      call,
      cancelTimeout: this.#clock.setTimer(DEPLOYMENT_TIMEOUT_MS, () => {
        this.#forget(key, entry);
        refuse(call, `attempt ${key} was not deployed within ${DEPLOYMENT_TIMEOUT_MS} ms`);
      }),
    };
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), entry]);
    call.on('cancelled', () => {
      entry.cancelTimeout();
      this.#forget(key, entry);
    });
  }

  #forget(key: string, entry: WaitingSubscription): void {
    const waiting = (this.#waiting.get(key) ?? []).filter((other) => other !== entry);
    if (waiting.length > 0) this.#waiting.set(key, waiting);
    else this.#waiting.delete(key);
  }
}

function attemptKey(jobId: string, attempt: number): string {
  return `${jobId}#${attempt}`;
}

function refuse(call: SubscribeCall, details: string): void {
  call.emit('error', { code: status.FAILED_PRECONDITION, details, metadata: new Metadata() });
}

class CallSink implements FrameSink {
  readonly #call: SubscribeCall;

  constructor(call: SubscribeCall) {
    this.#call = call;
  }

  write(frame: Buffer, drained: () => void): boolean {
    if (this.#call.cancelled || this.#call.destroyed) return true;
    const more = this.#call.write(frame);
    if (!more) this.#call.once('drain', drained);
    return more;
  }

  end(): void {
    this.#call.end();
  }
}
