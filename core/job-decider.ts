/**
 * Everything that is decided about one job, as one pure step: the execution graph and the checkpoint
 * decider, with what they tell each other. The job master's shell and the simulation feed it events
 * and perform its effects, and nothing else decides. It must never start or end anything while a
 * compare-and-set is under way: until that is known, so is not what to restore from.
 */
import {
  checkpointWakeAtMs,
  createCheckpointDecider,
  isSettled,
  latestCompleted,
  stepCheckpoint,
} from './checkpoint-decider.js';
import { createManifest, type CheckpointManifest } from './checkpoint-manifest.js';
import type {
  CheckpointDeciderState,
  CheckpointEffect,
  CheckpointEvent,
  KnownCheckpoints,
} from './checkpoint-protocol.js';
import { isOwned } from './checkpoint-retention.js';
import { assertNever, type SerializedError } from './errors.js';
import { createExecutionGraph, executionWakeAtMs, stepExecution } from './execution-graph.js';
import type { ExecutionEffect, ExecutionEvent, ExecutionGraphState } from './execution-protocol.js';
import { isTerminalJobStatus, taskKey, type Attempt, type Stamp } from './execution-state.js';
import { createJobGraph, type JobGraph } from './job-graph.js';
import { findManifestFault } from './manifest-check.js';
import { mayBeRescaled, refuseRescale } from './rescale-request.js';
import {
  createScaling,
  scalingWakeAtMs,
  stepScaling,
  type ScalingOptions,
} from './scaling-decider.js';
import type { ScalingEffect, ScalingEvent, ScalingState } from './scaling-protocol.js';
import type { StreamGraph } from './stream-graph.js';

/** Where an attempt takes its state from. */
export interface RestoreSource {
  readonly checkpointId: number;
  /** Blob key prefix under which the manifest lies. */
  readonly prefix: string;
  /** Only for what the user named at submission; a job's own checkpoints fit always. */
  readonly allowNonRestoredState: boolean;
  /** Whether later checkpoints may name its files: it is the job's own, or was claimed. */
  readonly owned: boolean;
}

export interface JobDeciderOptions {
  readonly jobId: string;
  readonly epoch: number;
  readonly streamGraph: StreamGraph;
  readonly scaling: ScalingOptions;
  /** Rescales under earlier coordinators. */
  readonly rescales?: number;
  /** Nothing, for a new job. */
  readonly known?: KnownCheckpoints;
  /** The savepoint or checkpoint that the user asked to start from; used until there is a later one. */
  readonly restoreFrom?: Omit<RestoreSource, 'owned'>;
}

export interface JobDeciderState {
  readonly restoreFrom: Omit<RestoreSource, 'owned'> | undefined;
  readonly execution: ExecutionGraphState;
  readonly scaling: ScalingState;
  readonly checkpoints: CheckpointDeciderState;
  /** Effects that wait for the end of a compare-and-set. */
  readonly held: readonly HeldEffect[];
  /** What the current attempt was restored from. */
  readonly restored: RestoreSource | undefined;
  /** Attempts that started from a checkpoint or savepoint. */
  readonly restoredCount: number;
}

/** What one part of the step tells another; see ExecutionEffect and CheckpointEffect. */
type ToCheckpoints =
  'attemptRunning' | 'attemptDrained' | 'attemptEnded' | 'attemptReleased' | 'checkpointWanted';
type ToScaling = 'slotsWanted' | 'slotsUnwanted';
type ToExecution = 'failAttempt' | 'attemptCommitted' | 'attemptFailed' | 'rescaleAttempt';
type HeldEffect = Extract<ExecutionEffect, { kind: 'prepareAttempt' | 'jobTerminal' }>;

/** Events that come from outside; the rest are between the parts. */
export type JobEvent =
  | Exclude<
      ExecutionEvent,
      { kind: Exclude<ToExecution, 'attemptFailed'> | 'slotsGranted' | 'timerElapsed' }
    >
  | Omit<Extract<ExecutionEvent, { kind: 'slotsGranted' }>, 'graph'>
  | Exclude<CheckpointEvent, { kind: ToCheckpoints | 'jobEnded' | 'recovered' | 'superseded' }>
  | Extract<ScalingEvent, { kind: 'resourcesChanged' | 'rescaleRequested' | 'slotsPrepared' }>;

export type JobEffect =
  | Exclude<ExecutionEffect, { kind: ToCheckpoints | ToScaling | 'prepareAttempt' | 'deploySlot' }>
  | Exclude<CheckpointEffect, { kind: ToExecution | 'writeManifest' }>
  | Exclude<ScalingEffect, { kind: ToExecution | ToCheckpoints }>
  | { readonly kind: 'rescaleRefused'; readonly failure: SerializedError }
  /** Record the attempt's number durably and verify what it restores from; then attemptPrepared. */
  | {
      readonly kind: 'prepareAttempt';
      readonly attempt: Attempt;
      readonly rescales: number;
      readonly restore: RestoreSource | undefined;
    }
  | (Extract<ExecutionEffect, { kind: 'deploySlot' }> & {
      readonly restore: RestoreSource | undefined;
    })
  | {
      readonly kind: 'writeManifest';
      readonly checkpointId: number;
      readonly prefix: string;
      readonly manifest: CheckpointManifest;
    };

export interface JobStep {
  readonly state: JobDeciderState;
  /** In the order in which they are to be performed. */
  readonly effects: readonly JobEffect[];
}

interface Draft {
  state: JobDeciderState;
  readonly effects: JobEffect[];
}

const NOTHING_KNOWN: KnownCheckpoints = {
  completed: [],
  references: new Map(),
  allocatedId: 0,
};

export function createJobDecider(options: JobDeciderOptions): JobDeciderState {
  const {
    jobId,
    epoch,
    streamGraph,
    scaling,
    rescales,
    known = NOTHING_KNOWN,
    restoreFrom,
  } = options;
  const graph = createJobGraph(streamGraph, scaling.desiredParallelism);
  return {
    restoreFrom,
    execution: createExecutionGraph(jobId, epoch, graph, rescales),
    scaling: createScaling(streamGraph, scaling),
    checkpoints: createCheckpointDecider(jobId, streamGraph.checkpoint, known),
    held: [],
    restored: undefined,
    restoredCount: 0,
  };
}

/** Monotonic time at which a timerElapsed is due, if any; ask again after every step. */
export function wakeAtMs(state: JobDeciderState): number | undefined {
  const due = [
    executionWakeAtMs(state.execution),
    checkpointWakeAtMs(state.checkpoints),
    scalingWakeAtMs(state.scaling),
  ];
  const known = due.filter((atMs) => atMs !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

export function stepJob(state: JobDeciderState, event: JobEvent): JobStep {
  const draft: Draft = { state, effects: [] };
  switch (event.kind) {
    case 'submitted':
    case 'attemptPrepared':
    case 'taskState':
    case 'slotState':
    case 'workerLost':
    case 'attemptFailed':
    case 'cancelRequested':
      toExecution(draft, event);
      break;
    case 'slotsGranted':
      onSlotsGranted(draft, event);
      break;
    case 'resourcesChanged':
    case 'slotsPrepared':
      toScaling(draft, event);
      break;
    case 'rescaleRequested': {
      const failure = refuseRescale(state, event.parallelism);
      if (failure === undefined) toScaling(draft, event);
      else draft.effects.push({ kind: 'rescaleRefused', failure });
      break;
    }
    case 'recovered':
      toCheckpoints(draft, { kind: 'recovered', nowMs: event.nowMs, wallMs: event.wallMs });
      toExecution(draft, event);
      break;
    case 'superseded':
      toCheckpoints(draft, event);
      toExecution(draft, event);
      break;
    case 'timerElapsed':
      toExecution(draft, event);
      toScaling(draft, event);
      toCheckpoints(draft, event);
      break;
    case 'savepointRequested':
      toCheckpoints(draft, event);
      if (isTerminalJobStatus(draft.state.execution.status)) {
        toCheckpoints(draft, { ...event, kind: 'jobEnded' });
      }
      break;
    case 'idAllocated':
    case 'idFailed':
    case 'acknowledged':
    case 'declined':
    case 'committed':
    case 'manifestWritten':
    case 'manifestFailed':
    case 'completionFailed':
      toCheckpoints(draft, event);
      break;
    case 'completed':
      toCheckpoints(draft, event);
      if (mayBeRescaled(draft.state)) {
        const { nowMs, wallMs } = event;
        toScaling(draft, { kind: 'checkpointCompleted', nowMs, wallMs });
      }
      break;
    default:
      return assertNever(event);
  }
  releaseHeld(draft, event);
  return draft;
}

function toExecution(draft: Draft, event: ExecutionEvent): void {
  const { state, effects } = stepExecution(draft.state.execution, event);
  draft.state = { ...draft.state, execution: state };
  const { nowMs, wallMs } = event;
  for (const effect of effects) {
    switch (effect.kind) {
      case 'attemptRunning':
      case 'attemptEnded':
        toCheckpoints(draft, { ...effect, nowMs, wallMs });
        toScaling(draft, { kind: effect.kind, nowMs, wallMs });
        break;
      case 'attemptDrained':
      case 'attemptReleased':
        toCheckpoints(draft, { ...effect, nowMs, wallMs });
        break;
      case 'slotsWanted':
      case 'slotsUnwanted':
        toScaling(draft, { ...effect, nowMs, wallMs });
        break;
      case 'prepareAttempt':
      case 'jobTerminal':
        draft.state = { ...draft.state, held: [...draft.state.held, effect] };
        break;
      case 'deploySlot':
        draft.effects.push({ ...effect, restore: draft.state.restored });
        break;
      default:
        draft.effects.push(effect);
    }
  }
}

/** What isn't what was asked for last goes back. */
function onSlotsGranted(draft: Draft, event: Extract<JobEvent, { kind: 'slotsGranted' }>): void {
  const { claim, phase, streamGraph } = draft.state.scaling;
  const { attempt, slices } = event;
  if (phase !== 'REQUESTED' || claim?.attempt !== attempt || claim.slots !== slices.length) {
    draft.effects.push({ kind: 'returnSlots', attempt, slices });
    return;
  }
  toScaling(draft, event);
  toExecution(draft, { ...event, graph: createJobGraph(streamGraph, claim.parallelism) });
}

function toScaling(draft: Draft, event: ScalingEvent): void {
  const { state, effects } = stepScaling(draft.state.scaling, event);
  draft.state = { ...draft.state, scaling: state };
  const { nowMs, wallMs } = event;
  for (const effect of effects) {
    switch (effect.kind) {
      case 'attemptFailed': {
        const { attempt } = draft.state.execution;
        toExecution(draft, { ...effect, attempt, nowMs, wallMs });
        break;
      }
      case 'rescaleAttempt':
        toExecution(draft, { ...effect, nowMs, wallMs });
        break;
      case 'checkpointWanted':
        toCheckpoints(draft, { ...effect, nowMs, wallMs });
        break;
      default:
        draft.effects.push(effect);
    }
  }
}

function toCheckpoints(draft: Draft, event: CheckpointEvent): void {
  const { state, effects } = stepCheckpoint(draft.state.checkpoints, event);
  draft.state = { ...draft.state, checkpoints: state };
  const { nowMs, wallMs } = event;
  const { attempt } = draft.state.execution;
  for (const effect of effects) {
    switch (effect.kind) {
      case 'failAttempt':
        toExecution(draft, {
          kind: 'attemptFailed',
          attempt,
          failure: effect.failure,
          nowMs,
          wallMs,
        });
        break;
      case 'attemptCommitted':
        toExecution(draft, { kind: 'attemptCommitted', nowMs, wallMs });
        break;
      case 'writeManifest':
        writeManifest(draft, effect, event);
        break;
      default:
        draft.effects.push(effect);
    }
  }
}

/** Has it written, unless what the tasks have acknowledged makes no sense as a whole. */
function writeManifest(
  draft: Draft,
  effect: Extract<CheckpointEffect, { kind: 'writeManifest' }>,
  { nowMs, wallMs }: Stamp,
): void {
  const { checkpointId, prefix } = effect;
  const manifest = manifestOf(draft.state.execution.graph, effect, wallMs);
  const fault = findManifestFault(manifest);
  if (fault === undefined) {
    draft.effects.push({ kind: 'writeManifest', checkpointId, prefix, manifest });
    return;
  }
  const code = 'CHECKPOINT_FAILED';
  const message = `${code}: tasks acknowledged files that don't fit together: ${fault}; report it`;
  toCheckpoints(draft, {
    kind: 'manifestFailed',
    checkpointId,
    failure: { code, message },
    nowMs,
    wallMs,
  });
}

/** Performs what waited for the latest completed checkpoint to be known, if it still applies. */
function releaseHeld(draft: Draft, stamp: Stamp): void {
  if (draft.state.held.length === 0 || !isSettled(draft.state.checkpoints)) return;
  const { held } = draft.state;
  draft.state = { ...draft.state, held: [] };
  for (const effect of held) {
    if (effect.kind === 'jobTerminal') {
      draft.effects.push(effect);
      toCheckpoints(draft, { kind: 'jobEnded', nowMs: stamp.nowMs, wallMs: stamp.wallMs });
      continue;
    }
    const { phase, attempt } = draft.state.execution;
    if (phase !== 'PREPARING' || effect.attempt.attempt !== attempt) continue;
    const restore = restoreOf(draft.state);
    draft.state = {
      ...draft.state,
      restored: restore,
      restoredCount: draft.state.restoredCount + (restore === undefined ? 0 : 1),
    };
    draft.effects.push({ ...effect, restore, rescales: draft.state.execution.rescales });
  }
}

function restoreOf(state: JobDeciderState): RestoreSource | undefined {
  const { restoreFrom, checkpoints } = state;
  const latest = latestCompleted(checkpoints);
  if (latest === undefined) {
    return restoreFrom === undefined ? undefined : { ...restoreFrom, owned: false };
  }
  const { checkpointId, prefix } = latest;
  // What was claimed is the job's own from the start, and still what the user named.
  const isNamed = restoreFrom?.prefix === prefix && restoreFrom.allowNonRestoredState;
  return { checkpointId, prefix, allowNonRestoredState: isNamed, owned: isOwned(latest) };
}

function manifestOf(
  graph: JobGraph,
  effect: Extract<CheckpointEffect, { kind: 'writeManifest' }>,
  createdAt: number,
): CheckpointManifest {
  return createManifest({
    jobId: effect.attempt.jobId,
    checkpointId: effect.checkpointId,
    ...(effect.savepointId === undefined ? {} : { savepoint: effect.savepointId }),
    attempt: effect.attempt.attempt,
    epoch: effect.attempt.epoch,
    createdAt,
    streamGraph: graph.streamGraph,
    vertices: graph.vertices.map(({ id, parallelism }) => ({
      vertex: id,
      parallelism,
      tasks: Array.from({ length: parallelism }, (_, subtask) => ({
        subtask,
        files: effect.acknowledged.get(taskKey({ vertex: id, subtask }))?.files ?? [],
      })),
    })),
  });
}
