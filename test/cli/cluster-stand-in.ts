/** An HTTP server with the answers of a cluster that ran one job: tests of the command need no more. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import type {
  CheckpointDetails,
  JobCheckpoints,
  SavepointStatus,
} from '../../api/rest/checkpoint-dto.js';
import type { SavepointSummary } from '../../api/rest/cluster-dto.js';
import type { JobDetails, JobStatus } from '../../api/rest/job-dto.js';

const SUBMITTED_AT_MS = Date.UTC(2026, 0, 1);

const checkpoint: CheckpointDetails = {
  checkpointId: 1,
  kind: 'checkpoint',
  status: 'COMPLETED',
  savepointId: null,
  attempt: 1,
  triggeredAtMs: SUBMITTED_AT_MS,
  durationMs: 12,
  bytes: 2048,
  unaligned: true,
  inFlightBytes: 256,
  checkpointedBytes: 512,
  acknowledged: 2,
  tasks: 2,
  failure: null,
  taskTimings: [],
};

const savepointSummary: SavepointSummary = {
  savepointId: 'sp-1',
  jobId: 'job-1',
  jobName: 'clicks',
  createdAtMs: SUBMITTED_AT_MS,
  bytes: 2048,
  claimedBy: 'job-3',
};

const checkpoints: JobCheckpoints = {
  jobId: 'job-1',
  jobName: 'clicks',
  counts: { triggered: 1, inProgress: 0, completed: 1, failed: 0, restored: 0 },
  latestCompleted: checkpoint,
  retained: [
    { checkpointId: 0, savepointId: null, bytes: 1024, completedAtMs: SUBMITTED_AT_MS },
    { checkpointId: 1, savepointId: null, bytes: 2048, completedAtMs: SUBMITTED_AT_MS },
  ],
  history: [checkpoint],
};

function jobDetails(status: JobStatus): JobDetails {
  return {
    jobId: 'job-1',
    jobName: 'clicks',
    status,
    attempt: 2,
    parallelism: 2,
    desiredParallelism: 2,
    restarts: 1,
    rescales: 0,
    submittedAtMs: SUBMITTED_AT_MS,
    finishedAtMs: SUBMITTED_AT_MS + 5000,
    bundleId: '0'.repeat(64),
    vertices: [],
    failures: [
      {
        atMs: SUBMITTED_AT_MS,
        attempt: 1,
        code: 'USER_CODE_FAILED',
        message: 'USER_CODE_FAILED: operator "page" threw: boom',
        operator: 'page',
        subtask: 0,
        worker: 'w1',
        stack: 'Error: boom\n    at pageOf (lib/page.ts:2:3)\n    at node:internal/x:1:1',
      },
    ],
    restoredFrom: null,
    waitingFor: null,
    scaling: null,
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export interface ClusterStandIn {
  readonly address: string;
  /** SHA-256 of each uploaded bundle. */
  readonly uploads: readonly string[];
}

/** Serves until the test ends. */
export async function serveCluster(
  t: ExecutionContext,
  options: {
    readonly status?: JobStatus;
    readonly foreign?: boolean;
    /** How the job looks, look after look; the last one stays. */
    readonly looks?: readonly Partial<JobDetails>[];
  } = {},
): Promise<ClusterStandIn> {
  const uploads: string[] = [];
  const job = jobDetails(options.status ?? 'FINISHED');
  const savepoint: SavepointStatus = {
    savepointId: 'sp-1',
    jobId: 'job-1',
    status: 'IN_PROGRESS',
    failure: null,
  };
  const answers: Readonly<Record<string, readonly [number, unknown]>> = {
    'GET /v1/cluster': [
      200,
      {
        clusterId: 'c',
        engineVersion: '0.1.0',
        epoch: 1,
        uptimeMs: 1,
        workers: 0,
        slotsTotal: 0,
        slotsFree: 0,
        jobsRunning: 0,
      },
    ],
    'GET /v1/workers': [200, { workers: [] }],
    'GET /v1/jobs': [200, { jobs: [job] }],
    'POST /v1/jobs': [201, { jobId: 'job-1', jobName: 'clicks' }],
    'GET /v1/jobs/job-1': [200, job],
    'GET /v1/jobs/job-1/checkpoints': [200, checkpoints],
    'POST /v1/jobs/job-1/savepoints': [202, savepoint],
    'GET /v1/jobs/job-1/savepoints/sp-1': [200, { ...savepoint, status: 'COMPLETED' }],
    'GET /v1/savepoints': [200, { savepoints: [savepointSummary] }],
    'POST /v1/savepoints/sp-1/dispose': [200, { savepointId: 'sp-1' }],
    'POST /v1/jobs/job-1/stop': [202, savepoint],
    'POST /v1/jobs/job-1/rescale': [202, { jobId: 'job-1' }],
    'POST /v1/jobs/job-1/cancel': [202, { jobId: 'job-1' }],
  };
  const looks = [...(options.looks ?? [])];
  const notFound = {
    error: {
      code: 'JOB_NOT_FOUND',
      message: "JOB_NOT_FOUND: there is no job job-2; see 'millrace jobs'",
    },
  };
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const call = `${request.method ?? ''} ${request.url ?? ''}`;
      let [status, answer] = answers[call] ?? [404, notFound];
      if (call === 'POST /v1/bundles') {
        const bundleId = createHash('sha256').update(body).digest('hex');
        uploads.push(bundleId);
        [status, answer] = [201, { bundleId, jobName: 'clicks' }];
      }
      if (call === 'GET /v1/jobs/job-1' && looks.length > 0) {
        answer = { ...job, ...(looks.length > 1 ? looks.shift() : looks[0]) };
      }
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(options.foreign === true ? '<html>' : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, uploads };
}
