/**
 * The door of the coordinator process: reads flags, opens the stores, starts, announces itself by
 * one line on standard output (`{"ready":{...}}` or `{"failed":{...}}`), logs to standard error, and
 * ends cleanly on SIGTERM and SIGINT. The only file of the coordinator that wires the real world in.
 */
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { Command, CommanderError, Option } from 'commander';
import { join, resolve } from 'node:path';
import pino from 'pino';
import { isMillraceError, MillraceError, serializeError, toMillraceError } from '../core/errors.js';
import { LogDestination } from '../process/log-destination.js';
import { systemClock, systemRandom } from '../process/system-clock.js';
import { wholeNumber } from '../process/whole-number.js';
import { formatBlobLocation, parseBlobLocation } from '../storage/blob-location.js';
import { openBlobStore } from '../storage/open-blob-store.js';
import { openMetaStore } from '../storage/open-meta-store.js';
import { EXPOSE_FLAG } from './bind-address.js';
import { COORDINATOR_DEFAULTS, startCoordinator, type RunningCoordinator } from './coordinator.js';
import type { Placement } from './slot-placement.js';

/** After this long a close that hangs is given up. */
const CLOSE_TIMEOUT_MS = 4_000;

interface Flags {
  readonly data: string;
  readonly meta?: string;
  readonly checkpointStorage?: string;
  readonly host: string;
  readonly restPort: number;
  readonly rpcPort: number;
  readonly heartbeatInterval: number;
  readonly heartbeatTimeout: number;
  readonly slotRequestTimeout: number;
  readonly recoverySlotRequestTimeout: number;
  readonly slotStabilization: number;
  readonly rescaleCooldown: number;
  readonly placement: Placement;
  readonly logLevel: string;
  readonly exposeWithoutAuthentication?: boolean;
  readonly exitWithStdin?: boolean;
}

function readFlags(): Flags {
  const port = wholeNumber(0, 65_535);
  const milliseconds = wholeNumber(10, 86_400_000);
  return new Command('millrace coordinator')
    .description('Runs the coordinator of a cluster.')
    .option('--data <folder>', 'where everything durable is kept', '.millrace')
    .option('--meta <store>', 'etcd://HOST:PORT,... or file:DIR (default: in the data folder)')
    .option(
      '--checkpoint-storage <location>',
      'FOLDER, file:FOLDER or s3://BUCKET/PREFIX?endpoint=URL&region=NAME&pathStyle=true, ' +
        'for checkpoints, savepoints and bundles (default: in the data folder)',
    )
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--rest-port <port>', 'of the REST API; 0: the system chooses', port, 8081)
    .option('--rpc-port <port>', 'that workers connect to; 0: the system chooses', port, 6123)
    .option(
      '--heartbeat-interval <ms>',
      'how often workers are asked',
      milliseconds,
      COORDINATOR_DEFAULTS.heartbeatIntervalMs,
    )
    .option(
      '--heartbeat-timeout <ms>',
      'silence after which a worker is lost',
      milliseconds,
      COORDINATOR_DEFAULTS.heartbeatTimeoutMs,
    )
    .option(
      '--slot-request-timeout <ms>',
      'how long a new job waits for its slots',
      milliseconds,
      COORDINATOR_DEFAULTS.slotRequestTimeoutMs,
    )
    .option(
      '--recovery-slot-request-timeout <ms>',
      'how long a restarted job waits for its slots',
      milliseconds,
      COORDINATOR_DEFAULTS.recoverySlotRequestTimeoutMs,
    )
    .option(
      '--slot-stabilization <ms>',
      'how long slots that came or went stay so before a job is moved',
      milliseconds,
      COORDINATOR_DEFAULTS.slotStabilizationMs,
    )
    .option(
      '--rescale-cooldown <ms>',
      'least time between two rescales that slots which come cause',
      milliseconds,
      COORDINATOR_DEFAULTS.rescaleCooldownMs,
    )
    .addOption(
      new Option('--placement <how>', 'which workers are used first')
        .choices(['spread', 'fill'])
        .default(COORDINATOR_DEFAULTS.placement),
    )
    .addOption(
      new Option('--log-level <level>', 'least level that is logged')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .option(EXPOSE_FLAG, 'listen beyond this machine although anyone may then run code here')
    .option('--exit-with-stdin', 'end when standard input ends')
    .exitOverride()
    .parse()
    .opts<Flags>();
}

async function start(flags: Flags): Promise<RunningCoordinator> {
  const log = pino(
    { level: flags.logLevel, base: { role: 'coordinator' } },
    new LogDestination(2, systemClock),
  );
  const dataFolder = resolve(flags.data);
  const checkpointStorage = formatBlobLocation(
    parseBlobLocation(flags.checkpointStorage ?? join(dataFolder, 'blobs')),
  );
  const metaStore = await openMetaStore(flags.meta ?? join(dataFolder, 'meta'), {
    clock: systemClock,
    random: systemRandom,
  });
  try {
    const coordinator = await startCoordinator({
      clock: systemClock,
      random: systemRandom,
      metaStore,
      blobStore: await openBlobStore(checkpointStorage, {
        clock: systemClock,
        random: systemRandom,
      }),
      checkpointStorage,
      log,
      dataFolder,
      pid: process.pid,
      restAddress: { host: flags.host, port: flags.restPort },
      rpcAddress: { host: flags.host, port: flags.rpcPort },
      exposeWithoutAuthentication: flags.exposeWithoutAuthentication === true,
      heartbeatIntervalMs: flags.heartbeatInterval,
      heartbeatTimeoutMs: flags.heartbeatTimeout,
      slotRequestTimeoutMs: flags.slotRequestTimeout,
      recoverySlotRequestTimeoutMs: flags.recoverySlotRequestTimeout,
      slotStabilizationMs: flags.slotStabilization,
      rescaleCooldownMs: flags.rescaleCooldown,
      placement: flags.placement,
      endedJobsMax: COORDINATOR_DEFAULTS.endedJobsMax,
    });
    return {
      ...coordinator,
      close: async () => {
        await coordinator.close();
        await metaStore.close();
      },
    };
  } catch (error) {
    await metaStore.close();
    throw error;
  }
}

function announce(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function fail(error: MillraceError): void {
  const { code, message } = serializeError(error);
  announce({ failed: { code, message } });
  process.stderr.write(`${message}\n`);
  process.exitCode = error.code === 'USAGE' ? 2 : 1;
}

async function main(): Promise<void> {
  // What fails is thrown to us in words; the library's own lines would only come beside them.
  setLogVerbosity(logVerbosity.NONE);
  const flags = readFlags();
  let endedBy = (_reason: string): void => undefined;
  const ended = new Promise<string>((settle) => (endedBy = settle));
  process.once('SIGTERM', () => endedBy('SIGTERM'));
  process.once('SIGINT', () => endedBy('SIGINT'));
  if (flags.exitWithStdin === true) {
    process.stdin.on('error', () => endedBy('end of standard input'));
    process.stdin.on('close', () => endedBy('end of standard input'));
    process.stdin.resume();
  }
  const coordinator = await start(flags);
  announce({
    ready: {
      role: 'coordinator',
      pid: process.pid,
      rest: coordinator.restAddress,
      rpc: coordinator.rpcAddress,
    },
  });
  void coordinator.superseded.then((reason) => {
    fail(new MillraceError('STALE_EPOCH', `the coordinator steps down: ${reason}; start it again`));
    endedBy('superseded');
  });
  await ended;
  systemClock.setTimer(CLOSE_TIMEOUT_MS, () => process.exit(1));
  await coordinator.close();
  process.exit();
}

try {
  await main();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    fail(isMillraceError(error) ? error : toMillraceError(error));
    process.exit();
  }
}
