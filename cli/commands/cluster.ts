/** `millrace cluster`: coordinator and workers on this machine, until Ctrl-C. */
import path from 'node:path';
import type { CliContext } from '../cli-context.js';
import { DEFAULT_DATA_FOLDER } from '../cluster-connection.js';
import { startEmbeddedCluster } from '../embedded-cluster.js';
import { EXIT, type ExitCode } from '../exit-code.js';

export interface ClusterCommandOptions {
  readonly workers: number;
  readonly slots: number;
  readonly data?: string;
  readonly meta?: string;
  readonly checkpointStorage?: string;
  readonly restPort: number;
  readonly json?: boolean;
}

export async function runCluster(
  context: CliContext,
  options: ClusterCommandOptions,
): Promise<ExitCode> {
  const data = options.data ?? DEFAULT_DATA_FOLDER;
  // Asked for first, so that Ctrl-C during the start ends what was started in order, too.
  const { interrupted } = context;
  let coordinatorEnded = (): void => undefined;
  const lost = new Promise<void>((resolve) => {
    coordinatorEnded = resolve;
  });
  const cluster = await startEmbeddedCluster({
    workers: options.workers,
    slots: options.slots,
    dataDir: path.resolve(context.workingFolder, data),
    restPort: options.restPort,
    clock: context.clock,
    ...(options.meta === undefined ? {} : { meta: options.meta }),
    ...(options.checkpointStorage === undefined
      ? {}
      : { checkpointStorage: options.checkpointStorage }),
    onProcessEnded: (ended) => {
      void ended.ended.then((how) =>
        context.note(
          `${ended.name} (pid ${ended.pid}) ended: ${how}; see ${data}/logs/${ended.name}.log\n`,
        ),
      );
      if (ended.name === 'coordinator') coordinatorEnded();
    },
  });
  try {
    if (interrupted.aborted) return EXIT.interrupted;
    if (options.json === true) {
      const document = {
        rest: cluster.rest,
        rpc: cluster.rpc,
        coordinatorPid: cluster.coordinatorPid,
        workers: cluster.workers.map((worker) => ({ workerId: worker.id, pid: worker.pid })),
        data,
      };
      context.print(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      context.print(
        `cluster is up: REST http://${cluster.rest}, ${options.workers} workers with ${options.slots} slots each, data in ${data}\n` +
          `submit a job from another terminal: millrace submit FILE --cluster ${cluster.rest}\n` +
          'Ctrl-C ends the cluster\n',
      );
    }
    const ended = new Promise<void>((resolve) => {
      if (interrupted.aborted) resolve();
      else interrupted.addEventListener('abort', () => resolve(), { once: true });
    });
    return await Promise.race([ended.then(() => EXIT.done), lost.then(() => EXIT.failed)]);
  } finally {
    await cluster.close();
  }
}
