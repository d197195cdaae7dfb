/** A coordinator on a temporary folder, with a client, and workers that a test scripts. */
import type { ExecutionContext } from 'ava';
import { join } from 'node:path';
import pino from 'pino';
import { RestClient } from '../../api/rest/client.js';
import type { JobDetails, SubmitJobRequest } from '../../api/rest/job-dto.js';
import {
  COORDINATOR_DEFAULTS,
  startCoordinator,
  type CoordinatorOptions,
  type RunningCoordinator,
} from '../../coordinator/coordinator.js';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import type { StreamGraph } from '../../core/stream-graph.js';
import type { BlobStore } from '../../storage/blob-store.js';
import { FileBlobStore } from '../../storage/file-blob-store.js';
import { FileMetaStore } from '../../storage/file-meta-store.js';
import { exampleArchive, exampleGraph } from '../bundle-fixture.js';
import { temporaryFolder } from '../temporary-folder.js';
import { ScriptedWorker } from './scripted-worker.js';

/** Between two looks at what the cluster says; what is waited for has no event over REST. */
const POLL_MS = 10;

export interface FixtureOptions extends Partial<CoordinatorOptions> {
  /** What the coordinator gets in place of the folder's blob store. */
  readonly wrapBlobs?: (blobs: BlobStore) => BlobStore;
}

export class CoordinatorFixture {
  readonly #t: ExecutionContext;
  readonly folder: string;
  readonly blobs: FileBlobStore;
  readonly #overrides: FixtureOptions;
  #coordinator: RunningCoordinator | undefined;
  #closeStores: () => Promise<void> = () => Promise.resolve();

  private constructor(
    t: ExecutionContext,
    folder: string,
    blobs: FileBlobStore,
    overrides: FixtureOptions,
  ) {
    this.#t = t;
    this.folder = folder;
    this.blobs = blobs;
    this.#overrides = overrides;
  }

  static async start(
    t: ExecutionContext,
    overrides: FixtureOptions = {},
  ): Promise<CoordinatorFixture> {
    const folder = await temporaryFolder(t);
    const blobs = await FileBlobStore.open(join(folder, 'blobs'));
    const fixture = new CoordinatorFixture(t, folder, blobs, overrides);
    t.teardown(() => fixture.stop());
    await fixture.restart();
    return fixture;
  }

  get coordinator(): RunningCoordinator {
    if (this.#coordinator === undefined) throw new Error('the coordinator has been stopped');
    return this.#coordinator;
  }

  get client(): RestClient {
    return new RestClient({ address: this.coordinator.restAddress });
  }

  async stop(): Promise<void> {
    await this.#coordinator?.close();
    this.#coordinator = undefined;
    await this.#closeStores();
    this.#closeStores = () => Promise.resolve();
  }

  /** Starts another coordinator on the same folder. */
  async restart(): Promise<void> {
    await this.stop();
    const metaStore = await FileMetaStore.open(join(this.folder, 'meta'), { clock: systemClock });
    this.#closeStores = () => metaStore.close();
    const address = { host: '127.0.0.1', port: 0 };
    const { wrapBlobs = (blobs) => blobs, ...overrides } = this.#overrides;
    this.#coordinator = await startCoordinator({
      clock: systemClock,
      random: systemRandom,
      metaStore,
      blobStore: wrapBlobs(this.blobs),
      checkpointStorage: `file:${join(this.folder, 'blobs')}`,
      log: pino({ enabled: false }),
      dataFolder: this.folder,
      pid: process.pid,
      restAddress: address,
      rpcAddress: address,
      exposeWithoutAuthentication: false,
      ...COORDINATOR_DEFAULTS,
      ...overrides,
    });
  }

  async worker(workerId: string, slots = 2): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker(this.coordinator.rpcAddress, workerId, slots);
    this.#t.teardown(() => worker.kill());
    await worker.join();
    return worker;
  }

  async submit(
    options: { graph?: Partial<StreamGraph> } & Omit<SubmitJobRequest, 'bundleId'> = {},
  ): Promise<string> {
    const { graph = {}, ...request } = options;
    const archive = await exampleArchive(exampleGraph(graph));
    const { bundleId } = await this.client.uploadBundle(archive);
    return (await this.client.submitJob({ bundleId, ...request })).jobId;
  }

  job(jobId: string, holds: (job: JobDetails) => boolean): Promise<JobDetails> {
    return this.until(() => this.client.job(jobId), holds);
  }

  /** Waits until all of the job's tasks are RUNNING in the given attempt. */
  running(jobId: string, attempt = 1): Promise<JobDetails> {
    return this.job(
      jobId,
      (job) =>
        job.attempt === attempt &&
        job.vertices.every(({ subtasks }) => subtasks.every(({ state }) => state === 'RUNNING')),
    );
  }

  async until<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
    for (;;) {
      const seen = await look();
      if (holds(seen)) return seen;
      await new Promise((resolve) => systemClock.setTimer(POLL_MS, () => resolve(undefined)));
    }
  }

  /** Keys of everything in the blob store under the prefix. */
  async keys(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.blobs.list(prefix)) keys.push(key);
    return keys;
  }
}
