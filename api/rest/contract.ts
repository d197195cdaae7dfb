/**
 * The REST API as one table: method, path, request and response of every route. The coordinator
 * serves from it and the client calls by it, so the two can't drift apart. It must never import
 * anything of either side.
 */
import { Type, type TSchema } from '@sinclair/typebox';
import { DisposedSavepoint, JobCheckpoints, SavepointStatus } from './checkpoint-dto.js';
import {
  ClusterOverview,
  Health,
  SavepointList,
  UploadedBundle,
  WorkerList,
} from './cluster-dto.js';
import {
  JobAccepted,
  JobDetails,
  JobList,
  RescaleJobRequest,
  StopJobRequest,
  SubmitJobRequest,
  SubmittedJob,
} from './job-dto.js';

/** Content type of an uploaded bundle. */
export const BUNDLE_CONTENT_TYPE = 'application/gzip';

/** A request body in JSON, or raw bytes, or none. */
export type RouteBody = TSchema | 'bytes' | undefined;

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly params?: TSchema;
  readonly body?: RouteBody;
  readonly response: TSchema;
  /** Status of the answer when all went well. */
  readonly status: 200 | 201 | 202;
}

const Name = Type.String({ minLength: 1, maxLength: 128 });
/** `:id` is a job's id, or its name where only one job that has not ended bears it. */
const JobParams = Type.Object({ id: Name });
const DisposalParams = Type.Object({ savepointId: Name });
const SavepointParams = Type.Object({ id: Name, savepointId: Name });

export const ROUTES = {
  health: { method: 'GET', path: '/health', response: Health, status: 200 },
  cluster: { method: 'GET', path: '/v1/cluster', response: ClusterOverview, status: 200 },
  workers: { method: 'GET', path: '/v1/workers', response: WorkerList, status: 200 },
  savepoints: { method: 'GET', path: '/v1/savepoints', response: SavepointList, status: 200 },
  disposeSavepoint: {
    method: 'POST',
    path: '/v1/savepoints/:savepointId/dispose',
    params: DisposalParams,
    response: DisposedSavepoint,
    status: 200,
  },
  uploadBundle: {
    method: 'POST',
    path: '/v1/bundles',
    body: 'bytes',
    response: UploadedBundle,
    status: 201,
  },
  submitJob: {
    method: 'POST',
    path: '/v1/jobs',
    body: SubmitJobRequest,
    response: SubmittedJob,
    status: 201,
  },
  jobs: { method: 'GET', path: '/v1/jobs', response: JobList, status: 200 },
  job: {
    method: 'GET',
    path: '/v1/jobs/:id',
    params: JobParams,
    response: JobDetails,
    status: 200,
  },
  checkpoints: {
    method: 'GET',
    path: '/v1/jobs/:id/checkpoints',
    params: JobParams,
    response: JobCheckpoints,
    status: 200,
  },
  triggerSavepoint: {
    method: 'POST',
    path: '/v1/jobs/:id/savepoints',
    params: JobParams,
    response: SavepointStatus,
    status: 202,
  },
  savepoint: {
    method: 'GET',
    path: '/v1/jobs/:id/savepoints/:savepointId',
    params: SavepointParams,
    response: SavepointStatus,
    status: 200,
  },
  stopJob: {
    method: 'POST',
    path: '/v1/jobs/:id/stop',
    params: JobParams,
    body: StopJobRequest,
    response: SavepointStatus,
    status: 202,
  },
  /** The wish is durable; GET the job to see it come true. */
  rescaleJob: {
    method: 'POST',
    path: '/v1/jobs/:id/rescale',
    params: JobParams,
    body: RescaleJobRequest,
    response: JobAccepted,
    status: 202,
  },
  cancelJob: {
    method: 'POST',
    path: '/v1/jobs/:id/cancel',
    params: JobParams,
    response: JobAccepted,
    status: 202,
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;
