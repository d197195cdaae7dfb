/**
 * Entry of a slot's thread: loads the bundle, builds the slot's tasks and connects them to the main
 * thread. User code runs here and nowhere else in a worker. Whatever is thrown outside a task is
 * reported before the thread ends.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { isJob, type BuiltJob } from '../api/job.js';
import { BUNDLE_MANIFEST, parseBundleManifest } from '../core/bundle.js';
import { parseManifest } from '../core/checkpoint-manifest.js';
import { invariant, MillraceError, serializeError, toMillraceError } from '../core/errors.js';
import { createJobGraph } from '../core/job-graph.js';
import { openBlobStore } from '../storage/open-blob-store.js';
import { readFile } from 'node:fs/promises';
import { CheckpointFiles } from './checkpoint-files.js';
import { FileRunStorage } from './file-run-storage.js';
import { LocalRunCopies } from './local-run-copies.js';
import { SlotMerger } from './slot-merger.js';
import { connectScoring } from './compute/scoring-pool-port.js';
import type { Buffer as ChannelBuffer } from './network/buffer.js';
import {
  transferList,
  type FromSlot,
  type SlotDeployment,
  type SlotStateReport,
  type TaskMetricsReport,
  type ToSlot,
} from './slot-messages.js';
import type { ColdDatabase } from './state/cold/cold-database.js';
import { ColdStore } from './state/cold/cold-store.js';
import { splitBudget } from './state/cold/cold-budget.js';
import { DatabaseClient } from './state/cold/database-client.js';
import type { DatabaseConnection } from './state/cold/database-messages.js';
import { FilterBudget } from './state/cold/key-filter.js';
import type { ColdBelow } from './state/key-cache.js';
import { LiveMemory } from './state/live-memory.js';
import { HeapKeyedStateBackend } from './state/heap-keyed-state-backend.js';
import { systemClock, systemRandom } from '../process/system-clock.js';
import type { TaskReports } from './task/task-environment.js';
import { TaskSlot, type SlotExchange } from './task/task-slot.js';

export interface SlotThreadData {
  /** Folder with the unpacked bundle. */
  readonly bundleFolder: string;
  readonly scoringPort: MessagePort;
}

const port = parentPort;
invariant(port !== null, 'slot-thread.js runs as a worker thread');
const { bundleFolder, scoringPort } = workerData as SlotThreadData;

function send(message: FromSlot, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

/** Gathers what leaves the slot, so that a run of turns costs one message. */
class ThreadExchange implements SlotExchange {
  #channels: number[] = [];
  #buffers: ChannelBuffer[] = [];
  readonly #credits = new Map<number, number>();

  send(channel: number, buffer: ChannelBuffer): void {
    this.#channels.push(channel);
    this.#buffers.push(buffer);
  }

  returnCredits(channel: number, count: number): void {
    this.#credits.set(channel, (this.#credits.get(channel) ?? 0) + count);
  }

  flush(): void {
    if (this.#buffers.length > 0) {
      const [channels, buffers] = [this.#channels, this.#buffers];
      this.#channels = [];
      this.#buffers = [];
      send({ kind: 'buffers', channels, buffers }, transferList(buffers));
    }
    if (this.#credits.size > 0) {
      const channels = [...this.#credits.keys()];
      const counts = [...this.#credits.values()];
      this.#credits.clear();
      send({ kind: 'credits', channels, counts });
    }
  }
}

const reports: TaskReports = {
  running: (task) => send({ kind: 'running', task }),
  drained: (task) => send({ kind: 'drained', task }),
  failed: (task, error) => send({ kind: 'failed', task, error: serializeError(error) }),
  acknowledged: (task, checkpointId, files, timings) =>
    send({ kind: 'acknowledged', task, checkpointId, files, timings }),
  declined: (task, checkpointId, error) =>
    send({ kind: 'declined', task, checkpointId, error: serializeError(error) }),
  committed: (task, checkpointId) => send({ kind: 'committed', task, checkpointId }),
};

const merger = new SlotMerger((id, request) => send({ kind: 'merge', id, request }));

/** Runs the bundle's builder and checks that it declares what the coordinator was shown. */
async function loadJob(folder: string): Promise<BuiltJob> {
  const manifest = parseBundleManifest(await readFile(path.join(folder, BUNDLE_MANIFEST), 'utf8'));
  const module = (await import(pathToFileURL(path.join(folder, manifest.entry)).href)) as {
    default?: unknown;
  };
  if (!isJob(module.default)) {
    throw new MillraceError(
      'BUNDLE_INVALID',
      'the bundle exports no job; export default job(...) from the job file',
    );
  }
  const built = module.default.build(manifest.params);
  const declared = (graph: BuiltJob['graph']): unknown =>
    graph.nodes.map(({ declaredAt: _, ...node }) => node);
  const deployed = JSON.parse(JSON.stringify(declared(manifest.streamGraph))) as unknown;
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(declared(built.graph))), deployed)) {
    throw new MillraceError(
      'JOB_INVALID',
      `the builder of job "${manifest.jobName}" declared other operators than when it was submitted; it must not depend on the clock, the network or the environment`,
    );
  }
  return { ...built, graph: manifest.streamGraph };
}

/** What the slot's operators put their state over that does not fit into memory. */
function belowMemory(
  connection: DatabaseConnection,
  memoryBytesMax: number,
): ColdBelow & { readonly database: ColdDatabase } {
  const { liveBytes, filterBytes } = splitBudget(memoryBytesMax);
  const database = new DatabaseClient(connection, { monotonic: () => systemClock.monotonic() });
  const filterBudget = new FilterBudget(filterBytes);
  let operators = 0;
  return {
    database,
    memory: new LiveMemory(liveBytes),
    newStore: () => new ColdStore({ database, operator: operators++, filterBudget }),
  };
}

function stateReport(
  slice: number,
  database: ColdDatabase,
  { usedBytes: liveBytes, hits, misses, evictions }: LiveMemory,
): SlotStateReport | undefined {
  try {
    const { diskBytes: coldBytes } = database.statistics();
    return { slice, liveBytes, coldBytes, hits, misses, evictions };
  } catch {
    // The next record that needs the database says what is wrong.
    return undefined;
  }
}

function metricsOf(slot: TaskSlot): TaskMetricsReport[] {
  return slot.tasks.map((task) => ({
    task: task.id,
    operators: task.chain.report(),
    ...task.times(),
    watermark: task.watermark,
  }));
}

function receive(slot: TaskSlot, message: ToSlot): void {
  switch (message.kind) {
    case 'deploy':
      throw new MillraceError('INTERNAL', 'a slot is deployed once; restart the worker');
    case 'buffers':
      for (let i = 0; i < message.buffers.length; i++) {
        const buffer = message.buffers[i];
        if (buffer !== undefined) slot.onBuffer(message.channels[i] ?? 0, buffer);
      }
      break;
    case 'credits':
      for (let i = 0; i < message.channels.length; i++) {
        slot.onCredits(message.channels[i] ?? 0, message.counts[i] ?? 0);
      }
      break;
    case 'trigger':
      slot.triggerCheckpoint(message.barrier);
      break;
    case 'complete':
      slot.notifyCheckpointComplete(message.checkpointId);
      break;
    case 'aborted':
      slot.notifyCheckpointAborted(message.checkpointId);
      break;
    case 'merged':
      merger.onReply(message.id, message.reply);
      break;
    case 'finish': {
      const tasks = slot.tasks.map((task) => task.id);
      send({ kind: 'metrics', tasks: metricsOf(slot), intervalMs: 0 });
      slot.close().then(() => {
        send({ kind: 'finished', tasks });
        port?.close();
        scoringPort.close();
      }, failed);
      break;
    }
    case 'cancel': {
      const closed = (): void => send({ kind: 'closed' });
      // Whatever can't be closed ends with the thread.
      slot.close().then(closed, closed);
      break;
    }
  }
}

function failed(error: unknown): void {
  send({ kind: 'failed', task: undefined, error: serializeError(toMillraceError(error)) });
}

/** What this thread is to run; whatever comes behind it waits in `early` until the slot is built. */
function nextDeployment(early: ToSlot[]): Promise<SlotDeployment> {
  return new Promise((resolve) => {
    port?.on('message', (message: ToSlot) => {
      if (message.kind === 'deploy') resolve(message.deployment);
      else early.push(message);
    });
  });
}

async function run(): Promise<void> {
  process.setSourceMapsEnabled(true);
  const early: ToSlot[] = [];
  const deployed = nextDeployment(early);
  // All that needs no attempt comes first: the thread may have been started ahead of its deployment.
  const { graph, transformations } = await loadJob(bundleFolder);
  send({ kind: 'loaded' });
  const deployment = await deployed;
  const { jobId, attempt, slice, parallelism, restoreManifest, database } = deployment;
  const cold = database && belowMemory(database, graph.state.memoryBytesMax);
  const modules = [
    ...new Set(graph.nodes.flatMap((node) => (node.module === undefined ? [] : [node.module]))),
  ];
  const blobs = await openBlobStore(deployment.checkpointStorage, {
    clock: systemClock,
    random: systemRandom,
  });
  const runStorage = await FileRunStorage.open(deployment.stateFolder);
  const slot = new TaskSlot({
    jobId,
    attempt,
    slice,
    graph: createJobGraph(graph, parallelism),
    transformations,
    restore:
      restoreManifest === undefined
        ? undefined
        : {
            manifest: parseManifest(restoreManifest, 'the checkpoint to restore'),
            owned: deployment.ownsRestored,
          },
    clock: systemClock,
    storage: new CheckpointFiles(blobs, attempt),
    reports,
    exchange: new ThreadExchange(),
    scoring: connectScoring(scoringPort),
    modulePathOf: (module) => path.join(bundleFolder, 'modules', `${modules.indexOf(module)}.mjs`),
    createBackend: (options) =>
      new HeapKeyedStateBackend({
        ...options,
        allowNonRestoredState: deployment.allowNonRestoredState,
        cold,
      }),
    runs: {
      storage: runStorage,
      merger,
      nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
    },
    local: new LocalRunCopies(runStorage, deployment.copiesFolder),
    defer: setImmediate,
  });
  const bytes = await slot.build();
  if (bytes !== undefined) send({ kind: 'restored', bytes });
  const deliver = (message: ToSlot): void => {
    try {
      receive(slot, message);
    } catch (error) {
      failed(error);
    }
  };
  port?.removeAllListeners('message').on('message', deliver);
  early.splice(0).forEach(deliver);
  await slot.open();
  let last = systemClock.monotonic();
  const report = setInterval(() => {
    const now = systemClock.monotonic();
    const state = cold && stateReport(slice, cold.database, cold.memory);
    send({ kind: 'metrics', tasks: metricsOf(slot), state, intervalMs: now - last });
    last = now;
  }, deployment.metricsIntervalMs);
  report.unref();
}

run().catch(failed);
