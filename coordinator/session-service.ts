/**
 * The Control service over gRPC: the handshake, the session streams and the bundles that workers
 * fetch. It turns streams into sessions of the worker registry and nothing else; it must never look
 * into what the messages say about jobs.
 */
import {
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { isBundleId } from '../core/bundle.js';
import type { Clock } from '../core/clock.js';
import { MillraceError, toMillraceError } from '../core/errors.js';
import { CONTROL_PROTOCOL_VERSION, ENGINE_VERSION, isSameEngine } from '../core/version.js';
import { errorToStatus } from '../proto/error-status.js';
import {
  ControlService,
  type BundlePart,
  type ControlServer,
  type CoordinatorMessage,
  type FetchBundleRequest,
  type Register,
  type WorkerMessage,
} from '../proto/gen/millrace/v1/control.js';
import { describeListenError, formatAddress, type BindAddress } from './bind-address.js';
import type { BundleStore } from './bundle-store.js';
import { COORDINATOR_LIMITS } from './limits.js';
import type { ToWorker, WorkerRegistry, WorkerSession } from './worker-registry.js';

type SessionStream = ServerDuplexStream<WorkerMessage, CoordinatorMessage>;

export interface SessionServiceOptions {
  readonly registry: WorkerRegistry;
  readonly bundles: BundleStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clusterId: string;
  readonly epoch: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

export class SessionService {
  readonly #options: SessionServiceOptions;
  readonly #server: Server;

  private constructor(options: SessionServiceOptions) {
    this.#options = options;
    this.#server = new Server({
      'grpc.max_receive_message_length': COORDINATOR_LIMITS.messageBytesMax,
      'grpc.max_send_message_length': COORDINATOR_LIMITS.messageBytesMax,
    });
    const handlers: ControlServer = {
      session: (stream) => this.#openSession(stream),
      fetchBundle: (call) => void this.#fetchBundle(call),
    };
    this.#server.addService(ControlService, handlers);
  }

  /** @throws MillraceError PORT_IN_USE, USAGE */
  static async listen(
    address: BindAddress,
    options: SessionServiceOptions,
  ): Promise<{ service: SessionService; address: string }> {
    const service = new SessionService(options);
    const port = await new Promise<number>((resolve, reject) => {
      service.#server.bindAsync(
        formatAddress(address),
        ServerCredentials.createInsecure(),
        (error, bound) => {
          if (error === null) resolve(bound);
          else reject(describeListenError('the coordinator (gRPC)', address, error));
        },
      );
    });
    return { service, address: formatAddress({ host: address.host, port }) };
  }

  /** Cuts what is still open; the registry has ended its sessions before. */
  close(): void {
    this.#server.forceShutdown();
  }

  #openSession(stream: SessionStream): void {
    const { registry, log, clock } = this.#options;
    let workerId: string | undefined;
    const session = new StreamSession(stream);
    const cancelTimer = clock.setTimer(COORDINATOR_LIMITS.registerTimeoutMs, () => {
      session.close(new MillraceError('WIRE_CORRUPT', 'no Register came in time; send it first'));
    });
    const leave = (reason: string): void => {
      cancelTimer();
      if (workerId !== undefined) registry.disconnected(workerId, session, reason);
    };
    stream.on('data', ({ message }: WorkerMessage) => {
      if (message === undefined) return;
      if (workerId !== undefined) {
        registry.receive(workerId, session, message);
      } else if (message.$case === 'register') {
        cancelTimer();
        workerId = this.#register(message.value, session);
      } else {
        session.close(
          new MillraceError('WIRE_CORRUPT', `${message.$case} came before Register; send it first`),
        );
      }
    });
    stream.on('cancelled', () => leave('its connection is broken'));
    stream.on('error', (error) => leave(`its connection is broken (${error.message})`));
    stream.on('end', () => {
      log.debug({ workerId }, 'session ended by the worker');
      leave('its session has ended');
      session.end();
    });
  }

  /** @returns the worker's id, or undefined when it was refused */
  #register(register: Register, session: StreamSession): string | undefined {
    const { registry, log, epoch, clusterId } = this.#options;
    const { workerId } = register;
    try {
      checkRegister(register);
      session.send({
        $case: 'registered',
        value: {
          epoch,
          heartbeatIntervalMs: this.#options.heartbeatIntervalMs,
          heartbeatTimeoutMs: this.#options.heartbeatTimeoutMs,
          clusterId,
        },
      });
      registry.register(
        {
          workerId,
          slots: register.slots,
          dataAddress: register.dataAddress,
          httpAddress: register.httpAddress,
          pid: register.pid,
          host: register.host,
        },
        session,
      );
      return workerId;
    } catch (error) {
      const { code, message } = toMillraceError(error);
      log.warn({ workerId, code }, message);
      session.send({ $case: 'refused', value: { code, message } });
      session.end();
      return undefined;
    }
  }

  async #fetchBundle(call: ServerWritableStream<FetchBundleRequest, BundlePart>): Promise<void> {
    const { bundles, clock } = this.#options;
    const { fetchBundleTimeoutMs } = COORDINATOR_LIMITS;
    const tooLate = new AbortController();
    const cancelTimer = clock.setTimer(fetchBundleTimeoutMs, () => tooLate.abort());
    try {
      const { bundleId } = call.request;
      if (!isBundleId(bundleId)) {
        throw new MillraceError(
          'BUNDLE_INVALID',
          `"${bundleId}" names no bundle; give its SHA-256`,
        );
      }
      const archive = await bundles.get(bundleId);
      for (let at = 0; at < archive.byteLength; at += COORDINATOR_LIMITS.bundlePartBytes) {
        if (call.cancelled) return;
        const part = archive.subarray(at, at + COORDINATOR_LIMITS.bundlePartBytes);
        if (call.write({ data: Buffer.from(part) })) continue;
        await once(call, 'drain', { signal: tooLate.signal });
      }
      call.end();
    } catch (error) {
      const slow = `the worker did not take the bundle within ${fetchBundleTimeoutMs} ms; ask again`;
      const { code, details } = errorToStatus(
        tooLate.signal.aborted ? new MillraceError('WORKER_LOST', slow, { cause: error }) : error,
      );
      call.emit('error', { code, details });
    } finally {
      cancelTimer();
    }
  }
}

/** One stream as the registry uses it. Writing to a stream that has ended does nothing. */
class StreamSession implements WorkerSession {
  #stream: SessionStream | undefined;

  constructor(stream: SessionStream) {
    this.#stream = stream;
  }

  send(message: ToWorker): void {
    const stream = this.#stream;
    if (stream === undefined || stream.cancelled) return;
    if (stream.writableLength > COORDINATOR_LIMITS.unsentMessagesMax) {
      this.close(new MillraceError('WORKER_LOST', 'the worker reads no messages; register again'));
      return;
    }
    stream.write({ message });
  }

  close(reason: MillraceError): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined || stream.cancelled) return;
    const { details } = errorToStatus(reason);
    stream.emit('error', { code: status.UNAVAILABLE, details });
  }

  end(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }
}

/** @throws MillraceError VERSION_MISMATCH, USAGE */
function checkRegister(register: Register): void {
  if (
    register.protocolVersion !== CONTROL_PROTOCOL_VERSION ||
    !isSameEngine(register.engineVersion, ENGINE_VERSION)
  ) {
    throw new MillraceError(
      'VERSION_MISMATCH',
      `worker ${register.workerId} is millrace ${register.engineVersion} (protocol ` +
        `${register.protocolVersion}), the coordinator ${ENGINE_VERSION} (protocol ` +
        `${CONTROL_PROTOCOL_VERSION}); start a worker of the coordinator's version`,
    );
  }
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(register.workerId)) {
    throw new MillraceError('USAGE', 'the worker gives no usable id; restart it');
  }
  const { slotsPerWorkerMax } = COORDINATOR_LIMITS;
  if (register.slots < 1 || register.slots > slotsPerWorkerMax) {
    throw new MillraceError(
      'USAGE',
      `worker ${register.workerId} offers ${register.slots} slots; give --slots 1 to ${slotsPerWorkerMax}`,
    );
  }
}
