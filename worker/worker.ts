/**
 * A worker process: its session with the coordinator, its exchange, its slots, its scoring pool and
 * its metrics, started and ended together. Everything is passed in; only `main.ts` decides with what.
 */
import { fastify, type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../core/clock.js';
import { MillraceError, toMillraceError } from '../core/errors.js';
import { CONTROL_PROTOCOL_VERSION, ENGINE_VERSION } from '../core/version.js';
import { BundleLoader } from './bundle-loader.js';
import { ScoringPool } from './compute/scoring-pool.js';
import { MergePool } from './merge-pool.js';
import { ExchangeServer } from './network/exchange-server.js';
import { SessionClient } from './session-client.js';
import { StateFolder } from './state-folder.js';
import { TaskExecutor } from './task-executor.js';
import { WorkerMetrics } from './worker-metrics.js';

export interface WorkerOptions {
  readonly workerId: string;
  /** host:port of the coordinator's gRPC server. */
  readonly coordinator: string;
  readonly slots: number;
  /** Host that this worker listens on, and under which its peers reach it. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly dataPort: number;
  readonly httpPort: number;
  readonly bundleFolder: string;
  /** Scratch space for state; other workers may use the same. */
  readonly stateFolder: string;
  readonly slotHeapMb: number | undefined;
  readonly scoringThreads: number;
  /** How long to try to register before giving up, ms. */
  readonly connectTimeoutMs: number;
  /** How long tasks go on without a coordinator before they are ended, ms. */
  readonly coordinatorLostTimeoutMs: number;
  readonly metricsIntervalMs: number;
  readonly machine: { readonly pid: number; readonly hostname: string };
  readonly rssBytes: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Worker {
  readonly workerId: string;
  /** Resolves when the coordinator refuses this worker. */
  readonly refused: Promise<MillraceError>;
  /**
   * Asks that jobs be moved away from here; resolves once nothing runs here any more, nothing will be
   * moved, or after `timeoutMs`. Close the worker then.
   */
  leave(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a worker; resolves once it is registered.
 * @throws MillraceError PORT_IN_USE, STORAGE_UNAVAILABLE, VERSION_MISMATCH or CLUSTER_UNREACHABLE
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { clock, log, host, workerId } = options;
  const state = await StateFolder.open(options.stateFolder);
  const exchange = new ExchangeServer(clock);
  const dataPort = await exchange.listen(host, options.dataPort);
  const metrics = new WorkerMetrics(() => clock.now());
  const http = createHttpServer(metrics);
  const httpPort = await listen(http, host, options.httpPort);
  const scoring = new ScoringPool({
    clock,
    threadsMax: options.scoringThreads,
    onThreadError: (error) => log.error(toMillraceError(error, 'SCORE_FAILED').message),
  });
  const merges = new MergePool();
  let cancelLost: (() => void) | undefined;
  let lastReason = 'no answer';
  let leaving = false;
  let left = (): void => undefined;

  return new Promise((resolve, reject) => {
    let refuse: (error: MillraceError) => void = () => undefined;
    const refused = new Promise<MillraceError>((resolveRefused) => {
      refuse = resolveRefused;
    });
    const session: SessionClient = new SessionClient({
      coordinator: options.coordinator,
      clock,
      register: {
        protocolVersion: CONTROL_PROTOCOL_VERSION,
        engineVersion: ENGINE_VERSION,
        workerId,
        slots: options.slots,
        dataAddress: `${host}:${dataPort}`,
        httpAddress: `${host}:${httpPort}`,
        pid: options.machine.pid,
        host: options.machine.hostname,
      },
      onRegistered: ({ epoch }) => {
        cancelConnect();
        cancelLost?.();
        executor.setEpoch(epoch);
        log.info({ epoch, coordinator: options.coordinator }, 'registered');
        if (leaving) session.send({ $case: 'leaving', value: {} });
        resolve(worker);
      },
      onCommand: (command) => executor.execute(command),
      onUnreachable: (reason) => {
        if (reason !== lastReason) log.warn({ reason }, `no coordinator at ${options.coordinator}`);
        lastReason = reason;
      },
      onRefused: (error) => {
        cancelConnect();
        log.error(error.message);
        refuse(error);
        worker.close().then(() => reject(error), reject);
      },
      onDisconnected: (reason) => {
        log.warn({ reason }, 'lost the coordinator; tasks go on, trying to reach it again');
        cancelLost = clock.setTimer(options.coordinatorLostTimeoutMs, () => {
          log.error('the coordinator stayed away for too long; ending all tasks');
          executor.cancelAll().catch((error: unknown) => log.error(toMillraceError(error).message));
        });
      },
    });
    const executor: TaskExecutor = new TaskExecutor({
      workerId,
      slots: options.slots,
      clock,
      log,
      bundles: new BundleLoader(options.bundleFolder, (id) => session.fetchBundle(id)),
      exchange,
      scoring,
      state,
      merges,
      metrics,
      metricsIntervalMs: options.metricsIntervalMs,
      slotHeapMb: options.slotHeapMb,
      report: (report) => session.send(report),
      onReleased: () => {
        if (executor.usedSlots === 0) left();
      },
      onLeaveGranted: () => left(),
      rssBytes: options.rssBytes,
    });
    const worker: Worker = {
      workerId,
      refused,
      leave: async (timeoutMs) => {
        if (executor.usedSlots === 0) return;
        leaving = true;
        await new Promise<void>((gone) => {
          const cancel = clock.setTimer(timeoutMs, gone);
          left = () => {
            cancel();
            gone();
          };
          log.info('leaving: jobs are being moved away from here');
          session.send({ $case: 'leaving', value: {} });
        });
      },
      close: async () => {
        cancelConnect();
        cancelLost?.();
        session.close();
        await executor.cancelAll();
        await scoring.close();
        await merges.close();
        await state.close();
        exchange.close();
        await http.close();
      },
    };
    const cancelConnect = clock.setTimer(options.connectTimeoutMs, () => {
      const error = new MillraceError(
        'CLUSTER_UNREACHABLE',
        `no coordinator answered at ${options.coordinator} within ${options.connectTimeoutMs} ms (${lastReason}); start one with \`millrace coordinator\` or correct --coordinator`,
      );
      worker.close().then(() => reject(error), reject);
    });
    session.connect();
  });
}

function createHttpServer(metrics: WorkerMetrics): FastifyInstance {
  const http = fastify({ logger: false });
  http.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  http.get('/health', () => ({ status: 'ok' }));
  return http;
}

async function listen(http: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await http.listen({ host, port });
  } catch (error) {
    throw new MillraceError(
      'PORT_IN_USE',
      `the worker can't serve /metrics on ${host}:${port} (${error instanceof Error ? error.message : String(error)}); choose another --http-port, or 0 for any`,
      { cause: error },
    );
  }
  const address = http.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
