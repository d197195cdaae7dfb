/**
 * Whether a job can be rescaled now, asked by the job decider before the scaling decider hears of the
 * wish. Every refusal says what stands in the way and what to do. It must never change anything.
 */
import type { CheckpointDeciderState } from './checkpoint-protocol.js';
import type { ErrorCode, SerializedError } from './errors.js';
import type { ExecutionGraphState } from './execution-protocol.js';
import { slotsNeeded } from './job-graph.js';
import type { ScalingState } from './scaling-protocol.js';

export interface RescaledJob {
  readonly execution: ExecutionGraphState;
  readonly checkpoints: CheckpointDeciderState;
  readonly scaling: ScalingState;
}

/** @returns undefined when the job can be rescaled to this parallelism */
export function refuseRescale(job: RescaledJob, parallelism: number): SerializedError | undefined {
  const { streamGraph, resources } = job.scaling;
  const { jobName, maxParallelism } = streamGraph;
  if (!Number.isInteger(parallelism) || parallelism < 1 || parallelism > maxParallelism) {
    return refusal(
      'PARAM_INVALID',
      `parallelism ${parallelism} is outside 1..${maxParallelism}, the max parallelism of job ` +
        `"${jobName}", which is fixed for its life; choose one within`,
    );
  }
  const busy = whatIsUnderWay(job);
  if (busy !== undefined) return refusal('JOB_STATE_CONFLICT', `job "${jobName}" ${busy}`);
  const wanted = slotsNeeded(streamGraph, parallelism);
  if (wanted <= resources.slots) return undefined;
  return refusal(
    'NOT_ENOUGH_SLOTS',
    `parallelism ${parallelism} needs ${wanted} slots, and job "${jobName}" can have ` +
      `${resources.slots} of the cluster's ${resources.slotsTotal}; start more workers ` +
      "('millrace worker --slots N'), end another job, or choose a lower parallelism",
  );
}

/** Whether the running attempt may be left for another one: it isn't ending for good. */
export function mayBeRescaled({ execution, checkpoints }: RescaledJob): boolean {
  return (
    execution.phase === 'DEPLOYED' &&
    checkpoints.running?.drained === false &&
    checkpoints.lastCheckpointId === undefined
  );
}

function whatIsUnderWay(job: RescaledJob): string | undefined {
  const { execution, checkpoints, scaling } = job;
  const { phase, claim, reason } = scaling;
  if (
    execution.status === 'RUNNING' &&
    (phase === 'PREPARING_SLOTS' || phase === 'CHECKPOINTING')
  ) {
    return `is being rescaled from parallelism ${claim?.parallelism} already; ask again when that is done`;
  }
  if (reason !== undefined && execution.status === 'RESTARTING') {
    return 'is being rescaled already; ask again when that is done';
  }
  if (execution.status !== 'RUNNING' || phase === 'DEPLOYING') {
    const status = execution.status === 'RUNNING' ? 'still starting' : execution.status;
    return `is ${status}; a job is rescaled while it runs`;
  }
  const stops = [checkpoints.pending?.savepoint, ...checkpoints.savepoints].some(
    (savepoint) => savepoint?.stopAfter === true,
  );
  if (stops || !mayBeRescaled(job)) return 'is coming to its end; submit it again instead';
  return undefined;
}

function refusal(code: ErrorCode, message: string): SerializedError {
  return { code, message: `${code}: ${message}` };
}
