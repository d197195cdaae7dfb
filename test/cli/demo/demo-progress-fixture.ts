/** A job's progress as the demo sees it, with the parts that a test cares about. */
import type { DemoProgress } from '../../../cli/demo/demo-progress.js';

export function progressOf(
  parts: Partial<DemoProgress> & { readonly attempt?: number } = {},
): DemoProgress {
  const { attempt = 1, ...others } = parts;
  return {
    job: {
      jobId: 'job-1',
      jobName: 'fraud-detection',
      status: 'RUNNING',
      attempt,
      parallelism: 2,
      desiredParallelism: 2,
      restarts: attempt - 1,
      rescales: 0,
      submittedAtMs: 0,
      finishedAtMs: null,
      bundleId: '0'.repeat(64),
      vertices: [
        {
          id: 'transactions',
          parallelism: 1,
          operators: [
            {
              name: 'transactions',
              kind: 'source',
              connectorInfo: null,
              recordsIn: 0,
              recordsOut: 1234,
              sideOutputs: {},
              metrics: {},
            },
          ],
          subtasks: [
            {
              subtask: 0,
              state: 'RUNNING',
              workerId: 'w-2',
              busyMsPerSecond: 500,
              idleMsPerSecond: 500,
              backPressuredMsPerSecond: 0,
              watermarkMs: 0,
            },
          ],
          busyMsPerSecond: 500,
          idleMsPerSecond: 500,
          backPressuredMsPerSecond: 0,
          watermarkMs: 0,
          watermarkLagMs: null,
        },
      ],
      failures: [],
      restoredFrom: null,
      waitingFor: null,
      scaling: null,
    },
    elapsedMs: 0,
    recordsRead: 1234,
    recordsPerSecond: 1000,
    watermarkMs: 0,
    watermarkSkewMs: 1500,
    checkpointsCompleted: 0,
    latestCheckpoint: null,
    alerts: 0,
    latestAlerts: [],
    ...others,
  };
}
