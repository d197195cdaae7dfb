/**
 * What jobs start from, and whose it is: looks up what a submission names, checks that the job fits
 * it, lets the job claim it, and has savepoints disposed of. Nothing may be taken away from a job that
 * would be restarted from it. Calls must not overlap: the dispatcher makes them one after the other.
 */
import type { SubmitJobRequest } from '../api/rest/job-dto.js';
import { checkRestorable } from '../core/checkpoint-restore.js';
import { MillraceError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';
import { prefixesOf } from './job-cleanup.js';
import type { JobMaster } from './job-master.js';
import type { JobRecord, RestoreReference } from './job-record.js';
import type { JobServices } from './job-services.js';
import { findRestorePoint, notFound, type RestorePoint } from './restore-point.js';
import { disposeSavepoint } from './savepoint-disposal.js';
import { claimCheckpoints, claimSavepoint, type SnapshotClaim } from './snapshot-claim.js';

/** The jobs of the cluster, as the dispatcher has them. */
export interface JobDirectory {
  masters(): Iterable<JobMaster>;
  /** @throws MillraceError JOB_NOT_FOUND */
  find(jobId: string): { readonly record: JobRecord; readonly master: JobMaster | undefined };
}

export interface RestoreOrigin {
  readonly reference: RestoreReference;
  /** Present when the new job is to own it. */
  readonly claim: SnapshotClaim | undefined;
}

export class RestoreOrigins {
  readonly #services: JobServices;
  readonly #jobs: JobDirectory;

  constructor(services: JobServices, jobs: JobDirectory) {
    this.#services = services;
    this.#jobs = jobs;
  }

  /**
   * @param jobId of the new job
   * @returns undefined when it is to start empty
   * @throws MillraceError CHECKPOINT_NOT_FOUND, CHECKPOINT_CORRUPT, STATE_NOT_RESTORABLE,
   *   JOB_STATE_CONFLICT when it is another job's, USAGE, STORAGE_*
   */
  async resolve(
    { fromSavepoint: name, claimMode, allowNonRestoredState = false }: SubmitJobRequest,
    graph: StreamGraph,
    jobId: string,
  ): Promise<RestoreOrigin | undefined> {
    if (name === undefined) {
      if (claimMode === undefined) return undefined;
      throw new MillraceError('USAGE', 'there is nothing to claim; give --from-savepoint as well');
    }
    const { writer } = this.#services;
    const point = await this.#find(name);
    const owner = this.#ownerOf(point, name);
    const { manifest } = await writer.read(point.manifest);
    checkRestorable(manifest, graph, allowNonRestoredState);
    const claim = claimMode === 'claim' ? await this.#claim(point, owner, jobId) : undefined;
    const { checkpointId, prefix, manifest: handle } = point;
    return {
      reference: { name, checkpointId, prefix, manifest: handle, allowNonRestoredState },
      claim,
    };
  }

  /** @throws MillraceError CHECKPOINT_NOT_FOUND, JOB_STATE_CONFLICT, STORAGE_* */
  dispose(savepointId: string): Promise<void> {
    return disposeSavepoint(this.#services, savepointId, (prefix) => {
      this.#checkUnused([prefix]);
    });
  }

  /** Whether a restart of some job would start from what this ended one has. */
  isNeeded(record: JobRecord): boolean {
    return this.#dependentOn(prefixesOf(record)) !== undefined;
  }

  /** Looked up once more when the end of its job has been settled: that may change what is retained. */
  async #find(name: string): Promise<RestorePoint> {
    const { meta, leader } = this.#services;
    const point = await findRestorePoint(meta, leader, name);
    if (point.origin.kind === 'savepoint') return point;
    const { master } = this.#jobs.find(point.origin.jobId);
    if (master?.isEnded !== true) return point;
    await master.settled;
    return findRestorePoint(meta, leader, name);
  }

  /** The ended job that retains a checkpoint; one that runs may delete it at any moment. */
  #ownerOf({ origin }: RestorePoint, name: string): JobRecord | undefined {
    if (origin.kind === 'savepoint') return undefined;
    const { record, master } = this.#jobs.find(origin.jobId);
    if (master?.isEnded === false) {
      throw new MillraceError(
        'JOB_STATE_CONFLICT',
        `job ${record.jobId} still runs and deletes its checkpoints as it takes new ones; end it ` +
          `first, or start from a savepoint of it ('millrace savepoint ${record.jobId}')`,
      );
    }
    if (record.cleanup === 'delete') throw notFound(name);
    return record;
  }

  async #claim(
    point: RestorePoint,
    owner: JobRecord | undefined,
    jobId: string,
  ): Promise<SnapshotClaim> {
    const { origin } = point;
    if (origin.kind === 'checkpoint' && owner !== undefined) {
      this.#checkUnused(prefixesOf(owner));
      const { meta, collector } = this.#services;
      return claimCheckpoints(owner, origin.pointer, point, jobId, meta, collector);
    }
    if (origin.kind === 'checkpoint') throw notFound(origin.jobId);
    this.#checkUnused([point.prefix]);
    return claimSavepoint(origin.savepoint, point, jobId);
  }

  #checkUnused(prefixes: readonly string[]): void {
    const dependent = this.#dependentOn(prefixes);
    if (dependent === undefined) return;
    const { record, restoresFrom } = dependent;
    throw new MillraceError(
      'JOB_STATE_CONFLICT',
      `job ${record.jobId} ("${record.jobName}") would be restarted from ${restoresFrom ?? ''}; try ` +
        'again when it has completed another checkpoint, or end it first',
    );
  }

  #dependentOn(prefixes: readonly string[]): JobMaster | undefined {
    for (const master of this.#jobs.masters()) {
      const { restoresFrom } = master;
      if (prefixes.some((prefix) => restoresFrom?.startsWith(prefix) === true)) return master;
    }
    return undefined;
  }
}
