/**
 * Decides on how many slots a job runs: as many as there are, up to the parallelism that is desired
 * of it. Flink's adaptive scheduler as a pure step; the job decider composes it with the execution
 * graph and the checkpoint decider. It must never end an attempt that runs but for a checkpoint to
 * go on from, and never let slots that come and go move a job to and fro.
 */
import { assertNever, invariant, type SerializedError } from './errors.js';
import type { Stamp } from './execution-state.js';
import { parallelismWithin, slotsNeeded } from './job-graph.js';
import {
  SCALING_TRANSITIONS,
  type RescaleReason,
  type RescaleRecord,
  type ScalingConfig,
  type ScalingEffect,
  type ScalingEvent,
  type ScalingPhase,
  type ScalingState,
} from './scaling-protocol.js';
import type { StreamGraph } from './stream-graph.js';

/** Changes of parallelism kept for showing; older ones are dropped. */
export const RESCALES_MAX = 16;

/** What takes longer to load than this is not waited for: it goes on beside the checkpoint. */
export const PREPARE_SLOTS_MAX_MS = 5_000;

export interface ScalingOptions {
  readonly desiredParallelism: number;
  readonly exact: boolean;
  readonly config: ScalingConfig;
}

export interface ScalingStep {
  readonly state: ScalingState;
  readonly effects: readonly ScalingEffect[];
}

interface Draft {
  state: ScalingState;
  readonly effects: ScalingEffect[];
}

export function createScaling(streamGraph: StreamGraph, options: ScalingOptions): ScalingState {
  return {
    streamGraph,
    ...options,
    phase: 'IDLE',
    resources: { slots: 0, slotsTotal: 0, leaving: [], changedAtMs: 0 },
    slotsChangedAtMs: 0,
    waiting: undefined,
    claim: undefined,
    workers: [],
    preparing: undefined,
    reason: undefined,
    before: undefined,
    cooldownUntilMs: 0,
    history: [],
  };
}

/** The parallelism at which the job could run on the slots there are; undefined: at none. */
export function possibleParallelism(state: ScalingState): number | undefined {
  const { streamGraph, resources, desiredParallelism, exact } = state;
  const possible = parallelismWithin(streamGraph, resources.slots, desiredParallelism);
  return exact && possible !== desiredParallelism ? undefined : possible;
}

/** Monotonic time at which a timerElapsed is due, if any. */
export function scalingWakeAtMs(state: ScalingState): number | undefined {
  if (state.phase === 'STABILIZING') return settledAtMs(state);
  if (state.phase === 'PREPARING_SLOTS') return state.preparing?.untilMs;
  if (state.phase !== 'WAITING' || state.waiting === undefined) return undefined;
  const givenUpAtMs = state.waiting.sinceMs + waitMs(state);
  if (possibleParallelism(state) === undefined) return givenUpAtMs;
  return Math.min(givenUpAtMs, state.resources.changedAtMs + state.config.stabilizationMs);
}

export function stepScaling(state: ScalingState, event: ScalingEvent): ScalingStep {
  const draft: Draft = { state, effects: [] };
  handle(draft, event);
  return draft;
}

function handle(draft: Draft, event: ScalingEvent): void {
  const { state } = draft;
  const { nowMs } = event;
  switch (event.kind) {
    case 'resourcesChanged': {
      const { resources } = event;
      const same = resources.slots === state.resources.slots;
      const slotsChangedAtMs = same ? state.slotsChangedAtMs : nowMs;
      draft.state = { ...state, resources, slotsChangedAtMs };
      return decide(draft, nowMs);
    }
    case 'rescaleRequested': {
      const { parallelism } = event;
      draft.state = { ...state, desiredParallelism: parallelism };
      draft.effects.push({ kind: 'recordParallelism', parallelism });
      if (parallelism === state.claim?.parallelism) return decide(draft, nowMs);
      return begin(draft, 'REQUESTED', nowMs);
    }
    case 'slotsWanted': {
      const atOnce = state.phase === 'REDEPLOYING';
      const waiting = { attempt: event.attempt, sinceMs: nowMs, atOnce };
      draft.state = { ...move(state, 'WAITING'), waiting, claim: undefined, workers: [] };
      return decide(draft, nowMs);
    }
    case 'slotsUnwanted':
      withdraw(draft);
      draft.state = { ...move(draft.state, 'IDLE'), waiting: undefined, claim: undefined };
      return;
    case 'slotsGranted': {
      const workers = event.slices.map(({ workerId }) => workerId);
      draft.state = { ...move(state, 'DEPLOYING'), workers, waiting: undefined };
      return;
    }
    case 'slotsPrepared':
      if (state.phase === 'PREPARING_SLOTS') checkpoint(draft);
      return;
    case 'attemptRunning':
      if (state.phase !== 'DEPLOYING') return;
      draft.state = { ...move(state, 'STABLE'), cooldownUntilMs: nowMs + state.config.cooldownMs };
      record(draft, event);
      return decide(draft, nowMs);
    case 'attemptEnded':
      return endAttempt(draft, nowMs);
    case 'checkpointCompleted':
      if (state.phase !== 'CHECKPOINTING') return;
      draft.state = move(state, 'REDEPLOYING');
      draft.effects.push({ kind: 'rescaleAttempt' });
      return;
    case 'timerElapsed':
      return decide(draft, nowMs);
    default:
      return assertNever(event);
  }
}

/** Looks at what there is and does what follows from it, in whatever phase. */
function decide(draft: Draft, nowMs: number): void {
  const { phase } = draft.state;
  switch (phase) {
    case 'WAITING':
      return decideRequest(draft, nowMs);
    case 'REQUESTED':
      return reconsiderRequest(draft, nowMs);
    case 'STABLE':
    case 'STABILIZING':
    case 'PREPARING_SLOTS':
    case 'CHECKPOINTING':
      return decideRescale(draft, nowMs);
    case 'IDLE':
    case 'DEPLOYING':
    case 'REDEPLOYING':
      return;
    default:
      return assertNever(phase);
  }
}

/** Asks for slots once there are all that are desired, or no more are to be expected soon. */
function decideRequest(draft: Draft, nowMs: number): void {
  const { state } = draft;
  const { waiting, resources, config, exact, before, desiredParallelism } = state;
  invariant(waiting !== undefined, 'a scaling that is WAITING waits for an attempt');
  // Its place in the queue keeps a large job from starving behind small ones.
  if (exact) return request(draft, desiredParallelism);
  const possible = possibleParallelism(state);
  const overdue = nowMs >= waiting.sinceMs + waitMs(state);
  if (possible === undefined) {
    if (overdue) draft.effects.push({ kind: 'attemptFailed', failure: notEnoughSlots(state) });
    return;
  }
  const enough =
    possible === desiredParallelism ||
    waiting.atOnce ||
    overdue ||
    resources.slots >= (before?.claim.slots ?? Infinity) ||
    nowMs >= resources.changedAtMs + config.stabilizationMs;
  if (enough) request(draft, possible);
}

function request(draft: Draft, parallelism: number): void {
  const { state } = draft;
  invariant(state.waiting !== undefined, 'slots are requested for an attempt that waits');
  const { attempt } = state.waiting;
  const slots = slotsNeeded(state.streamGraph, parallelism);
  draft.state = { ...move(state, 'REQUESTED'), claim: { attempt, parallelism, slots } };
  draft.effects.push({ kind: 'requestSlots', attempt, count: slots });
}

/** What was asked for went to another job or away: ask for what is left. */
function reconsiderRequest(draft: Draft, nowMs: number): void {
  const { exact, claim, resources } = draft.state;
  if (exact || resources.slots >= (claim?.slots ?? 0)) return;
  withdraw(draft);
  draft.state = { ...move(draft.state, 'WAITING'), claim: undefined };
  decideRequest(draft, nowMs);
}

function withdraw(draft: Draft): void {
  const { phase, claim } = draft.state;
  if (phase !== 'REQUESTED' || claim === undefined) return;
  draft.effects.push({ kind: 'cancelSlotRequest', attempt: claim.attempt });
}

function decideRescale(draft: Draft, nowMs: number): void {
  const reason = reasonToRescale(draft.state);
  if (reason === undefined) {
    if (draft.state.phase !== 'STABLE') draft.state = move(draft.state, 'STABLE');
    draft.state = { ...draft.state, reason: undefined };
    return;
  }
  if (draft.state.phase === 'CHECKPOINTING') return;
  if (draft.state.phase === 'PREPARING_SLOTS') {
    if (nowMs >= (draft.state.preparing?.untilMs ?? 0)) return checkpoint(draft);
    return prepareSlots(draft);
  }
  if (reason !== 'SLOTS_ADDED' || nowMs >= settledAtMs(draft.state)) {
    return begin(draft, reason, nowMs);
  }
  if (draft.state.phase === 'STABLE') draft.state = move(draft.state, 'STABILIZING');
}

function reasonToRescale(state: ScalingState): RescaleReason | undefined {
  const { claim, resources, workers, desiredParallelism } = state;
  const possible = possibleParallelism(state);
  if (possible === undefined || claim === undefined) return undefined;
  if (workers.some((workerId) => resources.leaving.includes(workerId))) return 'WORKER_LEAVING';
  if (possible > claim.parallelism) return 'SLOTS_ADDED';
  return desiredParallelism < claim.parallelism ? 'REQUESTED' : undefined;
}

function settledAtMs({ cooldownUntilMs, slotsChangedAtMs, config }: ScalingState): number {
  return Math.max(cooldownUntilMs, slotsChangedAtMs + config.stabilizationMs);
}

/** What takes time and needs no state comes first, while the job runs. */
function begin(draft: Draft, reason: RescaleReason, nowMs: number): void {
  const preparing = { count: 0, untilMs: nowMs + PREPARE_SLOTS_MAX_MS };
  draft.state = { ...move(draft.state, 'PREPARING_SLOTS'), reason, preparing };
  prepareSlots(draft);
}

function prepareSlots(draft: Draft): void {
  const { state } = draft;
  const parallelism = possibleParallelism(state);
  if (parallelism === undefined || state.preparing === undefined) return;
  const count = slotsNeeded(state.streamGraph, parallelism);
  if (count === state.preparing.count) return;
  draft.state = { ...state, preparing: { ...state.preparing, count } };
  draft.effects.push({ kind: 'prepareSlots', count });
}

/** From here on the next checkpoint that completes is the one to go on from. */
function checkpoint(draft: Draft): void {
  draft.state = { ...move(draft.state, 'CHECKPOINTING'), preparing: undefined };
  draft.effects.push({ kind: 'checkpointWanted' });
}

function endAttempt(draft: Draft, nowMs: number): void {
  const { state } = draft;
  const { claim, phase } = state;
  const ran = phase !== 'REQUESTED' && phase !== 'DEPLOYING';
  // One that never ran leaves the downtime of the attempt before it to go on.
  const before = claim === undefined || !ran ? state.before : { claim, endedAtMs: nowMs };
  draft.state = { ...state, before, workers: [] };
  if (phase === 'REDEPLOYING' || phase === 'IDLE') return;
  const reason = state.reason === 'REQUESTED' ? state.reason : undefined;
  draft.state = { ...move(draft.state, 'IDLE'), waiting: undefined, claim: undefined, reason };
}

/** The job runs again: notes whether that is at another parallelism or place than before. */
function record(draft: Draft, stamp: Stamp): void {
  const { claim, before, history, reason } = draft.state;
  draft.state = { ...draft.state, before: undefined, reason: undefined };
  if (claim === undefined || before === undefined) return;
  const from = before.claim.parallelism;
  const to = claim.parallelism;
  if (from === to && reason === undefined) return;
  const entry: RescaleRecord = {
    from,
    to,
    reason: reason ?? (to < from ? 'SLOTS_LOST' : 'SLOTS_ADDED'),
    attempt: claim.attempt,
    atMs: stamp.wallMs,
    downtimeMs: stamp.nowMs - before.endedAtMs,
  };
  draft.state = { ...draft.state, history: [...history, entry].slice(-RESCALES_MAX) };
}

function waitMs({ config, waiting }: ScalingState): number {
  return (waiting?.attempt ?? 1) > 1 ? config.recoverySlotWaitMs : config.slotWaitMs;
}

function notEnoughSlots(state: ScalingState): SerializedError {
  const { streamGraph, resources } = state;
  const least = slotsNeeded(streamGraph, 1);
  const message =
    `NOT_ENOUGH_SLOTS: job "${streamGraph.jobName}" can't do without ${least} slots, but could have ` +
    `${resources.slots} of the cluster's ${resources.slotsTotal} (no more came within ${waitMs(state)} ms); ` +
    "start more workers ('millrace worker --slots N') or end another job";
  return { code: 'NOT_ENOUGH_SLOTS', message };
}

function move(state: ScalingState, to: ScalingPhase): ScalingState {
  const targets: readonly ScalingPhase[] = SCALING_TRANSITIONS[state.phase];
  invariant(targets.includes(to), `scaling moves from ${state.phase} to ${to}`);
  return { ...state, phase: to };
}
