/**
 * The door of a worker process: reads flags and environment, wires the worker together, announces
 * itself on standard output and ends with it. Nothing else reads the environment.
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { pino } from 'pino';
import { serializeError, toMillraceError, type ErrorCode } from '../core/errors.js';
import { ENGINE_VERSION } from '../core/version.js';
import { LogDestination } from '../process/log-destination.js';
import { systemClock } from '../process/system-clock.js';
import { wholeNumber } from '../process/whole-number.js';
import { FULL_YOUNG_GENERATION } from './slot-heap.js';
import { startWorker } from './worker.js';

interface Flags {
  readonly coordinator: string;
  readonly slots: number;
  readonly host: string;
  readonly dataPort: number;
  readonly httpPort: number;
  readonly data: string;
  readonly workerId: string;
  readonly slotHeapMb?: number;
  readonly scoringThreads: number;
  readonly metricsIntervalMs: number;
  readonly connectTimeoutMs: number;
  readonly coordinatorLostTimeoutMs: number;
  readonly leaveTimeoutMs: number;
  readonly logLevel: string;
  readonly exitWithStdin?: boolean;
}

function hostAndPort(text: string): string {
  const port = /^.+:(\d{1,5})$/.exec(text)?.[1];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new InvalidArgumentError('give HOST:PORT, such as 127.0.0.1:6123');
  }
  return text;
}

/** 2: used wrongly; 3: the coordinator can't be reached; 1: anything else. */
function exitCodeOf(code: ErrorCode): number {
  if (code === 'USAGE') return 2;
  return code === 'CLUSTER_UNREACHABLE' ? 3 : 1;
}

function announce(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main(): Promise<void> {
  const flags = new Command('millrace worker')
    .description('Runs task slots for a coordinator')
    .version(ENGINE_VERSION)
    .exitOverride()
    .requiredOption(
      '--coordinator <host:port>',
      "the coordinator's address for workers",
      hostAndPort,
    )
    .option('--slots <n>', 'task slots', wholeNumber(1, 1024), 2)
    .option('--host <host>', 'address to listen on, and for peers to reach', '127.0.0.1')
    .option('--data-port <port>', 'port of the exchange; 0: any', wholeNumber(0, 65_535), 0)
    .option('--http-port <port>', 'port of /metrics; 0: any', wholeNumber(0, 65_535), 0)
    .option('--data <folder>', 'folder for bundles and working state', '.millrace/worker')
    .option('--worker-id <id>', 'name of this worker', `worker-${randomBytes(4).toString('hex')}`)
    .option('--slot-heap-mb <mb>', 'heap limit of a slot', wholeNumber(32, 1_048_576))
    .option(
      '--scoring-threads <n>',
      'threads of the scoring pool',
      wholeNumber(1, 1024),
      availableParallelism(),
    )
    .option(
      '--metrics-interval-ms <ms>',
      'how often metrics are reported',
      wholeNumber(50, 60_000),
      500,
    )
    .option(
      '--connect-timeout-ms <ms>',
      'how long to try to reach the coordinator at the start',
      wholeNumber(100, 86_400_000),
      30_000,
    )
    .option(
      '--coordinator-lost-timeout-ms <ms>',
      'how long tasks go on without a coordinator',
      wholeNumber(100, 86_400_000),
      60_000,
    )
    .option(
      '--leave-timeout-ms <ms>',
      'how long SIGTERM waits for jobs to be moved away; 0: ends at once',
      wholeNumber(0, 86_400_000),
      20_000,
    )
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .option('--exit-with-stdin', 'end when standard input closes: for whoever starts it as a child')
    .parse()
    .opts<Flags>();
  const log = pino({ level: flags.logLevel }, new LogDestination(2, systemClock));
  setFlagsFromString(FULL_YOUNG_GENERATION);
  const worker = await startWorker({
    workerId: flags.workerId,
    coordinator: flags.coordinator,
    slots: flags.slots,
    host: flags.host,
    dataPort: flags.dataPort,
    httpPort: flags.httpPort,
    bundleFolder: path.resolve(flags.data, 'bundles'),
    stateFolder: path.resolve(flags.data, 'state'),
    slotHeapMb: flags.slotHeapMb,
    scoringThreads: flags.scoringThreads,
    connectTimeoutMs: flags.connectTimeoutMs,
    coordinatorLostTimeoutMs: flags.coordinatorLostTimeoutMs,
    metricsIntervalMs: flags.metricsIntervalMs,
    machine: { pid: process.pid, hostname: hostname() },
    rssBytes: () => process.memoryUsage.rss(),
    clock: systemClock,
    log,
  });
  let closing = false;
  const close = (code: number): void => {
    if (closing) return;
    closing = true;
    worker.close().then(
      () => process.exit(code),
      () => process.exit(1),
    );
  };
  let leaving = false;
  process.on('SIGTERM', () => {
    if (leaving) return close(0);
    leaving = true;
    void worker.leave(flags.leaveTimeoutMs).then(() => close(0));
  });
  process.on('SIGINT', () => close(0));
  if (flags.exitWithStdin === true) {
    process.stdin.on('end', () => close(0)).resume();
  }
  void worker.refused.then((error) => {
    announce({ failed: serializeError(error) });
    close(1);
  });
  announce({ ready: { role: 'worker', pid: process.pid, workerId: worker.workerId } });
}

main().catch((error: unknown) => {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  const failure = toMillraceError(error);
  announce({ failed: serializeError(failure) });
  process.stderr.write(`error: ${failure.message}\n`);
  process.exit(exitCodeOf(failure.code));
});
