/**
 * What the REST API says about the cluster, its workers, bundles and savepoints, and how it says
 * that something went wrong. Field names are stable: scripts read them.
 */
import { Type, type Static } from '@sinclair/typebox';

export const ErrorBody = Type.Object({
  error: Type.Object({
    /** One of core/errors.ts. */
    code: Type.String(),
    /** Begins with the code and ends with what the reader can do. */
    message: Type.String(),
  }),
});
export type ErrorBody = Static<typeof ErrorBody>;

export const ClusterOverview = Type.Object({
  clusterId: Type.String(),
  engineVersion: Type.String(),
  /** Grows with each start of a coordinator on the same meta store. */
  epoch: Type.Integer(),
  uptimeMs: Type.Number(),
  workers: Type.Integer(),
  slotsTotal: Type.Integer(),
  slotsFree: Type.Integer(),
  jobsRunning: Type.Integer(),
});
export type ClusterOverview = Static<typeof ClusterOverview>;

export const WorkerDetails = Type.Object({
  workerId: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  slotsTotal: Type.Integer(),
  slotsFree: Type.Integer(),
  dataAddress: Type.String(),
  httpAddress: Type.String(),
  registeredAtMs: Type.Number(),
  /** Age of the last heartbeat. */
  heartbeatAgeMs: Type.Number(),
  rssBytes: Type.Number(),
  /** It is about to end; nothing more is placed there. */
  leaving: Type.Boolean(),
});
export type WorkerDetails = Static<typeof WorkerDetails>;

export const WorkerList = Type.Object({ workers: Type.Array(WorkerDetails) });
export type WorkerList = Static<typeof WorkerList>;

export const UploadedBundle = Type.Object({
  /** SHA-256 of the uploaded bytes. */
  bundleId: Type.String(),
  jobName: Type.String(),
});
export type UploadedBundle = Static<typeof UploadedBundle>;

export const SavepointSummary = Type.Object({
  savepointId: Type.String(),
  jobId: Type.String(),
  jobName: Type.String(),
  createdAtMs: Type.Number(),
  bytes: Type.Number(),
  /** Id of the job that owns it since it was started from it with claim mode `claim`, or null. */
  claimedBy: Type.Union([Type.String(), Type.Null()]),
});
export type SavepointSummary = Static<typeof SavepointSummary>;

export const SavepointList = Type.Object({ savepoints: Type.Array(SavepointSummary) });
export type SavepointList = Static<typeof SavepointList>;

export const Health = Type.Object({ status: Type.Literal('ok') });
export type Health = Static<typeof Health>;
