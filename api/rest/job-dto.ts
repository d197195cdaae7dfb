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

/**
 * Whose the savepoint or checkpoint is that a job starts from. `no-claim`: it stays what it was, the
 * job never refers to its files. `claim`: it is the job's, which deletes it when it needs it no more.
 */
export const CLAIM_MODES = ['no-claim', 'claim'] as const;
export type ClaimMode = (typeof CLAIM_MODES)[number];

export const SubmitJobRequest = Type.Object(
  {
    bundleId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    /** As many slots as there are, up to the job's own or else its max parallelism, unless told. */
    parallelism: Type.Optional(Type.Integer({ minimum: 1, maximum: 32_768 })),
    /** Run at that parallelism or not at all; else the job makes do with the slots there are. */
    exactParallelism: Type.Optional(Type.Boolean()),
    /** Id of a savepoint, or `JOB/CHECKPOINT` for a retained checkpoint of another job. */
    fromSavepoint: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    /** With `fromSavepoint`; default no-claim. */
    claimMode: Type.Optional(
      Type.Unsafe<ClaimMode>(Type.Union(CLAIM_MODES.map((mode) => Type.Literal(mode)))),
    ),
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
  /** At which it runs, or ran last. */
  parallelism: Type.Integer(),
  /** At which it is to run once there are slots for that. */
  desiredParallelism: Type.Integer(),
  /** Attempts that were started because one had failed, and because one had been rescaled. */
  restarts: Type.Integer(),
  rescales: Type.Integer(),
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
  /** Of a source whose connector gives it: JSON text, see `Source.info`. */
  connectorInfo: Type.Union([Type.String(), Type.Null()]),
  recordsIn: Type.Number(),
  recordsOut: Type.Number(),
  /** Records by side output. */
  sideOutputs: Type.Record(Type.String(), Type.Number()),
  /** Counters and gauges that its connector has named: sums over the subtasks, or the largest of `*_max`. */
  metrics: Type.Record(Type.String(), Type.Number()),
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

export const RescaleReason = Type.Union([
  Type.Literal('REQUESTED'),
  Type.Literal('SLOTS_ADDED'),
  Type.Literal('SLOTS_LOST'),
  Type.Literal('WORKER_LEAVING'),
]);
export type RescaleReason = Static<typeof RescaleReason>;

/** A change of a job's parallelism or place. */
export const RescaleDetails = Type.Object({
  from: Type.Integer(),
  to: Type.Integer(),
  reason: RescaleReason,
  /** The attempt that it led to. */
  attempt: Type.Integer(),
  atMs: Type.Number(),
  /** Time without output: from the end of the attempt before until all tasks ran again. */
  downtimeMs: Type.Number(),
});
export type RescaleDetails = Static<typeof RescaleDetails>;

export const JobScaling = Type.Object({
  /** The desired parallelism or none. */
  exact: Type.Boolean(),
  /** How many slots the job could have now, what it holds included. */
  slotsAvailable: Type.Integer(),
  /** The greatest parallelism that it can ever have; a job that wishes for it takes all free slots. */
  maxParallelism: Type.Integer(),
  /** Whether the job is on its way to another parallelism or place. */
  underWay: Type.Boolean(),
  /** Why it doesn't run at the desired parallelism, or what is under way; null: nothing to say. */
  why: Type.Union([Type.String(), Type.Null()]),
  /** Since this coordinator has the job; the latest ones, newest last. */
  history: Type.Array(RescaleDetails),
});
export type JobScaling = Static<typeof JobScaling>;

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
    /** Null once the job has ended under an earlier coordinator. */
    scaling: Type.Union([JobScaling, Type.Null()]),
  }),
]);
export type JobDetails = Static<typeof JobDetails>;

export const StopJobRequest = Type.Object(
  { savepoint: Type.Literal(true) },
  { additionalProperties: false },
);
export type StopJobRequest = Static<typeof StopJobRequest>;

export const RescaleJobRequest = Type.Object(
  { parallelism: Type.Integer({ minimum: 1, maximum: 32_768 }) },
  { additionalProperties: false },
);
export type RescaleJobRequest = Static<typeof RescaleJobRequest>;

export const JobAccepted = Type.Object({ jobId: Type.String() });
export type JobAccepted = Static<typeof JobAccepted>;
