/**
 * How a job looks over REST: DTOs made of the record, the execution graph and the reported figures.
 * Pure; it must never change what it looks at.
 */
import type {
  JobDetails,
  JobFailure,
  JobStatus,
  JobSummary,
  SubtaskDetails,
  VertexDetails,
} from '../api/rest/job-dto.js';
import type { SerializedError } from '../core/errors.js';
import {
  taskKey,
  type FailureRecord,
  type JobStatus as CoreJobStatus,
} from '../core/execution-state.js';
import type { ExecutionGraphState } from '../core/execution-protocol.js';
import type { JobDeciderState } from '../core/job-decider.js';
import type { JobVertex } from '../core/job-graph.js';
import type { JobRecord } from './job-record.js';
import { describeScaling, describeSlotWait } from './scaling-view.js';
import type { TaskMetricsStore } from './task-metrics.js';

/** The watermark after the end of input: no lag is meant by it. */
const WATERMARK_END_MIN_MS = 8_640_000_000_000_000;

/** SUSPENDED is between coordinators: to a user the job is being restarted. */
export function shownStatus(status: CoreJobStatus): JobStatus {
  return status === 'SUSPENDED' ? 'RESTARTING' : status;
}

export function summarize(record: JobRecord): JobSummary {
  return {
    jobId: record.jobId,
    jobName: record.jobName,
    status: record.status,
    attempt: record.attempt,
    parallelism: record.parallelism,
    desiredParallelism: record.desiredParallelism,
    restarts: Math.max(0, record.attempt - 1 - record.rescales),
    rescales: record.rescales,
    submittedAtMs: record.submittedAtMs,
    finishedAtMs: record.finishedAtMs,
  };
}

/** A job that ended under an earlier coordinator: what its record says. */
export function describeEnded(record: JobRecord): JobDetails {
  const { failure, attempt, finishedAtMs } = record;
  return {
    ...summarize(record),
    bundleId: record.bundleId,
    vertices: [],
    failures: failure === null ? [] : [describeFailure(failure, attempt, finishedAtMs ?? 0)],
    restoredFrom: record.restore?.name ?? null,
    waitingFor: null,
    scaling: null,
  };
}

/** What a job's view needs to know besides the job. */
export interface ViewContext {
  readonly nowMs: number;
  readonly slotsFree: number;
  readonly slotsTotal: number;
}

export function describeJob(
  record: JobRecord,
  state: JobDeciderState,
  metrics: TaskMetricsStore,
  context: ViewContext,
): JobDetails {
  const { execution, restored } = state;
  return {
    ...summarize(record),
    bundleId: record.bundleId,
    vertices: describeVertices(execution, metrics, context.nowMs),
    failures: describeFailures(execution.failures),
    restoredFrom: restored?.prefix ?? null,
    waitingFor: describeWaiting(state, context),
    scaling: describeScaling(state),
  };
}

function describeWaiting(
  { execution: { phase, status, slots }, scaling }: JobDeciderState,
  { slotsFree, slotsTotal }: ViewContext,
): string | null {
  if (phase === 'SCHEDULING') {
    return `${describeSlotWait(scaling)}; ${slotsFree} of the cluster's ${slotsTotal} are free`;
  }
  if (phase === 'RELEASING') {
    const held = slots.filter(({ released }) => !released).length;
    return `the release of ${held} slots of the attempt before`;
  }
  return phase === 'IDLE' && status === 'RESTARTING' ? 'the delay before the restart' : null;
}

function describeFailures(failures: readonly FailureRecord[]): JobFailure[] {
  return failures.map(({ cause, attempt, atMs }) => describeFailure(cause, attempt, atMs));
}

function describeFailure(cause: SerializedError, attempt: number, atMs: number): JobFailure {
  const { location = {} } = cause;
  return {
    atMs,
    attempt,
    code: cause.code,
    message: cause.message,
    operator: location.operator ?? null,
    subtask: location.subtask ?? null,
    worker: location.worker ?? null,
    stack: cause.stack ?? null,
  };
}

function describeVertices(
  execution: ExecutionGraphState,
  metrics: TaskMetricsStore,
  nowMs: number,
): VertexDetails[] {
  return execution.graph.vertices.map((vertex) =>
    describeVertex(vertex, execution, metrics, nowMs),
  );
}

function describeVertex(
  vertex: JobVertex,
  execution: ExecutionGraphState,
  metrics: TaskMetricsStore,
  nowMs: number,
): VertexDetails {
  const subtasks = Array.from({ length: vertex.parallelism }, (_, subtask): SubtaskDetails => {
    const figures = metrics.task(vertex.id, subtask);
    return {
      subtask,
      state: execution.tasks.get(taskKey({ vertex: vertex.id, subtask }))?.state ?? 'CREATED',
      workerId: execution.slots[subtask]?.workerId ?? null,
      busyMsPerSecond: figures?.busyMsPerSecond ?? 0,
      idleMsPerSecond: figures?.idleMsPerSecond ?? 0,
      backPressuredMsPerSecond: figures?.backPressuredMsPerSecond ?? 0,
      watermarkMs: figures?.watermarkMs ?? null,
    };
  });
  const mean = (of: (subtask: SubtaskDetails) => number): number =>
    subtasks.reduce((sum, subtask) => sum + of(subtask), 0) / subtasks.length;
  const watermarkMs = leastWatermark(subtasks);
  return {
    id: vertex.id,
    parallelism: vertex.parallelism,
    operators: vertex.operators.map(({ name, kind, connectorInfo = null }) => {
      const figures = metrics.operator(name);
      return {
        name,
        kind,
        connectorInfo,
        recordsIn: figures.recordsIn,
        recordsOut: figures.recordsOut,
        sideOutputs: Object.fromEntries(figures.sideOutputs),
        metrics: Object.fromEntries(figures.metrics),
      };
    }),
    subtasks,
    busyMsPerSecond: mean((subtask) => subtask.busyMsPerSecond),
    idleMsPerSecond: mean((subtask) => subtask.idleMsPerSecond),
    backPressuredMsPerSecond: mean((subtask) => subtask.backPressuredMsPerSecond),
    watermarkMs,
    watermarkLagMs:
      watermarkMs === null || watermarkMs >= WATERMARK_END_MIN_MS ? null : nowMs - watermarkMs,
  };
}

function leastWatermark(subtasks: readonly SubtaskDetails[]): number | null {
  let least: number | null = null;
  for (const { watermarkMs } of subtasks) {
    if (watermarkMs === null) return null;
    least = least === null ? watermarkMs : Math.min(least, watermarkMs);
  }
  return least;
}
