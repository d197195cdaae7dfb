/**
 * The answers of the REST API: each route of the contract in terms of the coordinator's parts.
 * Nothing is decided here; a job is looked up and asked.
 */
import type { ClusterOverview } from '../api/rest/cluster-dto.js';
import { MillraceError } from '../core/errors.js';
import { ENGINE_VERSION } from '../core/version.js';
import type { MetaStore } from '../storage/meta-store.js';
import type { BundleStore } from './bundle-store.js';
import { describeNoCheckpoints, describeRetained } from './checkpoint-view.js';
import { readCompleted } from './completed-checkpoint-store.js';
import { findSavepoint, listSavepoints } from './savepoint-record.js';
import type { Dispatcher } from './dispatcher.js';
import type { JobMaster } from './job-master.js';
import { describeEnded } from './job-view.js';
import type { RestBackend } from './rest-server.js';
import type { Scheduler } from './scheduler.js';
import type { WorkerRegistry } from './worker-registry.js';

export interface RestAnswersOptions {
  readonly dispatcher: Dispatcher;
  readonly registry: WorkerRegistry;
  readonly scheduler: Scheduler;
  readonly bundles: BundleStore;
  readonly meta: MetaStore;
  readonly overview: () => ClusterOverview;
}

export interface OverviewParts {
  readonly clusterId: string;
  readonly epoch: number;
  readonly uptimeMs: number;
  readonly workers: number;
  readonly jobsRunning: number;
}

export function clusterOverview(parts: OverviewParts, scheduler: Scheduler): ClusterOverview {
  return {
    ...parts,
    engineVersion: ENGINE_VERSION,
    slotsTotal: scheduler.slotsTotal,
    slotsFree: scheduler.slotsFree,
  };
}

export function createRestAnswers(options: RestAnswersOptions): RestBackend {
  const { dispatcher, registry, scheduler, bundles, meta, overview } = options;
  return {
    health: () => Promise.resolve({ status: 'ok' }),
    cluster: () => Promise.resolve(overview()),
    workers: () =>
      Promise.resolve({
        workers: registry.workers().map((worker) => ({
          workerId: worker.workerId,
          host: worker.host,
          pid: worker.pid,
          slotsTotal: worker.slots,
          slotsFree: scheduler.freeSlotsOf(worker.workerId),
          dataAddress: worker.dataAddress,
          httpAddress: worker.httpAddress,
          registeredAtMs: worker.registeredAtMs,
          heartbeatAgeMs: worker.heartbeatAgeMs,
          rssBytes: worker.rssBytes,
          leaving: scheduler.isLeaving(worker.workerId),
        })),
      }),
    savepoints: async () => ({
      savepoints: (await listSavepoints(meta)).map(
        ({ savepointId, jobId, jobName, createdAtMs, bytes, claimedBy = null }) => ({
          savepointId,
          jobId,
          jobName,
          createdAtMs,
          bytes,
          claimedBy,
        }),
      ),
    }),
    disposeSavepoint: async ({ savepointId }) => {
      await dispatcher.disposeSavepoint(savepointId);
      return { savepointId };
    },
    uploadBundle: async (_params, archive) => {
      const { bundleId, manifest } = await bundles.put(archive);
      return { bundleId, jobName: manifest.jobName };
    },
    submitJob: async (_params, request) => {
      const { jobId, jobName } = await dispatcher.submit(request);
      return { jobId, jobName };
    },
    jobs: () => Promise.resolve({ jobs: [...dispatcher.jobs()] }),
    job: async ({ id }) => {
      const { record, master } = dispatcher.find(id);
      return Promise.resolve(master?.details() ?? describeEnded(record));
    },
    checkpoints: async ({ id }) => {
      const { record, master } = dispatcher.find(id);
      const retained = (await readCompleted(meta, record.jobId)).map(describeRetained);
      return { ...(master?.checkpoints() ?? describeNoCheckpoints(record)), retained };
    },
    triggerSavepoint: async ({ id }) =>
      Promise.resolve(runningJob(dispatcher, id).triggerSavepoint(false)),
    stopJob: async ({ id }) => Promise.resolve(runningJob(dispatcher, id).triggerSavepoint(true)),
    savepoint: async ({ id, savepointId }) => {
      const { record, master } = dispatcher.find(id);
      const known = master?.savepoint(savepointId);
      if (known !== undefined) return known;
      if ((await findSavepoint(meta, savepointId))?.value.jobId === record.jobId) {
        return { savepointId, jobId: record.jobId, status: 'COMPLETED', failure: null };
      }
      throw new MillraceError(
        'CHECKPOINT_NOT_FOUND',
        `job "${record.jobName}" has no savepoint "${savepointId}"; ask for one with 'millrace savepoint'`,
      );
    },
    rescaleJob: async ({ id }, { parallelism }) => {
      const master = runningJob(dispatcher, id);
      await master.rescale(parallelism);
      return { jobId: master.record.jobId };
    },
    cancelJob: async ({ id }) => {
      const master = runningJob(dispatcher, id);
      await master.cancel();
      return { jobId: master.record.jobId };
    },
  };
}

function runningJob(dispatcher: Dispatcher, id: string): JobMaster {
  const { record, master } = dispatcher.find(id);
  if (master !== undefined && !master.isEnded) return master;
  throw new MillraceError(
    'JOB_STATE_CONFLICT',
    `job "${record.jobName}" has ended (${record.status}); submit it again to run it`,
  );
}
