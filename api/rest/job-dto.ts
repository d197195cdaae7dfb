/**
 * What the REST API says about jobs: listings, details with live figures per operator and task, and
 * failures. Field names are stable: scripts read them. Figures count since the start of the current
 * attempt, times are ms, and moments are ms since the epoch.
 */
import { Type, type Static } from '@sinclair/typebox';

export const JOB_STATUSES = [
  'CREATED',
  'RUNNING',
  'RESTARTING',
  'FAILING',
  'CANCELLING',
  'FINISHED',
  'CANCELED',
  'FAILED',
] as const;

export const JobStatus = Type.Union(JOB_STATUSES.map((status) => Type.Literal(status)));
export type JobStatus = (typeof JOB_STATUSES)[number];

/** The statuses that a job never leaves. */
export const TERMINAL_STATUSES: ReadonlySet<JobStatus> = new Set<JobStatus>([
  'FINISHED',
  'CANCELED',
  'FAILED',
]);

export const SubmitJobRequest = Type.Object(
  {
    bundleId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    parallelism: Type.Optional(Type.Integer({ minimum: 1, maximum: 32_768 })),
    /** Id of a savepoint, or `JOB/CHECKPOINT` for a retained checkpoint of another job. */
    fromSavepoint: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** Drop state of operators that the new graph doesn't have. */
    allowNonRestoredState: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type SubmitJobRequest = Static<typeof SubmitJobRequest>;

export const SubmittedJob = Type.Object({ jobId: Type.String(), jobName: Type.String() });
export type SubmittedJob = Static<typeof SubmittedJob>;

export const JobSummary = Type.Object({
  jobId: Type.String(),
  jobName: Type.String(),
  status: Type.Unsafe<JobStatus>(JobStatus),
  attempt: Type.Integer(),
  parallelism: Type.Integer(),
  restarts: Type.Integer(),
  submittedAtMs: Type.Number(),
  finishedAtMs: Type.Union([Type.Number(), Type.Null()]),
});
export type JobSummary = Static<typeof JobSummary>;

export const JobList = Type.Object({ jobs: Type.Array(JobSummary) });
export type JobList = Static<typeof JobList>;

export const JobFailure = Type.Object({
  atMs: Type.Number(),
  attempt: Type.Integer(),
  code: Type.String(),
  message: Type.String(),
  operator: Type.Union([Type.String(), Type.Null()]),
  subtask: Type.Union([Type.Integer(), Type.Null()]),
  worker: Type.Union([Type.String(), Type.Null()]),
  /** Of user code where there is one: the user's file and line. */
  stack: Type.Union([Type.String(), Type.Null()]),
});
export type JobFailure = Static<typeof JobFailure>;

export const OperatorDetails = Type.Object({
  name: Type.String(),
  kind: Type.String(),
  recordsIn: Type.Number(),
  recordsOut: Type.Number(),
  /** Records by side output. */
  sideOutputs: Type.Record(Type.String(), Type.Number()),
});
export type OperatorDetails = Static<typeof OperatorDetails>;

export const SubtaskDetails = Type.Object({
  subtask: Type.Integer(),
  state: Type.String(),
  workerId: Type.Union([Type.String(), Type.Null()]),
  busyMsPerSecond: Type.Number(),
  idleMsPerSecond: Type.Number(),
  backPressuredMsPerSecond: Type.Number(),
  watermarkMs: Type.Union([Type.Number(), Type.Null()]),
});
export type SubtaskDetails = Static<typeof SubtaskDetails>;

export const VertexDetails = Type.Object({
  id: Type.String(),
  parallelism: Type.Integer(),
  operators: Type.Array(OperatorDetails),
  subtasks: Type.Array(SubtaskDetails),
  /** Means over the subtasks. */
  busyMsPerSecond: Type.Number(),
  idleMsPerSecond: Type.Number(),
  backPressuredMsPerSecond: Type.Number(),
  /** The least of the subtasks; null before the first watermark. */
  watermarkMs: Type.Union([Type.Number(), Type.Null()]),
  /** How far the watermark is behind the wall clock; null before the first one and after the last. */
  watermarkLagMs: Type.Union([Type.Number(), Type.Null()]),
});
export type VertexDetails = Static<typeof VertexDetails>;

export const JobDetails = Type.Intersect([
  JobSummary,
  Type.Object({
    bundleId: Type.String(),
    vertices: Type.Array(VertexDetails),
    /** The latest ones, newest last. */
    failures: Type.Array(JobFailure),
    /** The checkpoint that the current attempt was restored from. */
    restoredFrom: Type.Union([Type.String(), Type.Null()]),
    /** Why the job waits, while it does: such as for slots. */
    waitingFor: Type.Union([Type.String(), Type.Null()]),
  }),
]);
export type JobDetails = Static<typeof JobDetails>;

export const StopJobRequest = Type.Object(
  { savepoint: Type.Literal(true) },
  { additionalProperties: false },
);
export type StopJobRequest = Static<typeof StopJobRequest>;

export const JobAccepted = Type.Object({ jobId: Type.String() });
export type JobAccepted = Static<typeof JobAccepted>;
