/**
 * Barrier alignment as a pure step (journey of a barrier: data path -> barrier aligner). A channel
 * that has delivered the barrier is blocked until all others have; then the task snapshots. Or the
 * barrier overtakes: the task snapshots at once, and what the other channels still deliver before
 * their barrier is recorded as part of the snapshot. Either way a snapshot holds exactly the records
 * before the barrier. No I/O, no queues.
 */
import { invariant } from '../../core/errors.js';
import { ChannelSet, type ReadonlyChannelSet } from './channel-set.js';

export interface AlignerState {
  readonly channelCount: number;
  /** The checkpoint being aligned: which channels have delivered its barrier. */
  readonly pending: { readonly checkpointId: number; readonly blocked: ReadonlyChannelSet } | null;
  /** The checkpoint whose barrier overtook: which channels have delivered theirs by now. */
  readonly overtaken: {
    readonly checkpointId: number;
    readonly arrived: ReadonlyChannelSet;
  } | null;
  /** Greatest checkpoint id that was snapshotted or given up; barriers up to it are stale. */
  readonly settled: number;
}

export type AlignerEvent =
  | { readonly kind: 'barrier'; readonly channel: number; readonly checkpointId: number }
  /** The barrier has waited long enough, on whichever channels it has come. */
  | { readonly kind: 'overtake'; readonly checkpointId: number }
  | { readonly kind: 'aborted'; readonly checkpointId: number };

export type AlignerEffect =
  | { readonly kind: 'block'; readonly channel: number }
  | { readonly kind: 'unblockAll' }
  /** All channels have delivered the barrier: snapshot now, before any further record. */
  | { readonly kind: 'aligned'; readonly checkpointId: number }
  /** Snapshot now; record what comes on the channels that have not `arrived`, up to their barrier. */
  | {
      readonly kind: 'overtaken';
      readonly checkpointId: number;
      readonly arrived: ReadonlyChannelSet;
    }
  /** The channel's barrier has come: what was recorded of it is complete. */
  | { readonly kind: 'arrived'; readonly channel: number }
  /** That was the last channel. */
  | { readonly kind: 'recorded'; readonly checkpointId: number }
  /** A newer barrier came, so this checkpoint will never be complete here. */
  | { readonly kind: 'abandoned'; readonly checkpointId: number };

export interface AlignerStep {
  readonly state: AlignerState;
  readonly effects: readonly AlignerEffect[];
}

export function initialAligner(channelCount: number): AlignerState {
  return { channelCount, pending: null, overtaken: null, settled: 0 };
}

export function alignBarrier(state: AlignerState, event: AlignerEvent): AlignerStep {
  switch (event.kind) {
    case 'aborted':
      return abort(state, event.checkpointId);
    case 'overtake':
      return overtake(state, event.checkpointId);
    case 'barrier': {
      const { channel, checkpointId } = event;
      invariant(channel >= 0 && channel < state.channelCount, `channel ${channel} is of this gate`);
      if (state.overtaken?.checkpointId === checkpointId) return arrive(state, channel);
      return align(state, channel, checkpointId);
    }
  }
}

function abort(state: AlignerState, checkpointId: number): AlignerStep {
  const isOver = (other: { readonly checkpointId: number } | null): boolean =>
    other !== null && other.checkpointId <= checkpointId;
  return {
    state: {
      ...state,
      pending: isOver(state.pending) ? null : state.pending,
      overtaken: isOver(state.overtaken) ? null : state.overtaken,
      settled: Math.max(state.settled, checkpointId),
    },
    effects: isOver(state.pending) ? [{ kind: 'unblockAll' }] : [],
  };
}

/** Older checkpoints never complete once a newer barrier is here. */
function abandonOlder(state: AlignerState, checkpointId: number): AlignerStep {
  const effects: AlignerEffect[] = [];
  let { pending, overtaken, settled } = state;
  if (pending !== null && pending.checkpointId < checkpointId) {
    effects.push({ kind: 'unblockAll' }, { kind: 'abandoned', checkpointId: pending.checkpointId });
    settled = pending.checkpointId;
    pending = null;
  }
  if (overtaken !== null) {
    effects.push({ kind: 'abandoned', checkpointId: overtaken.checkpointId });
    overtaken = null;
  }
  return { state: { ...state, pending, overtaken, settled }, effects };
}

function align(before: AlignerState, channel: number, checkpointId: number): AlignerStep {
  const { pending } = before;
  if (pending?.checkpointId === checkpointId) {
    return block(before, [], pending.blocked, channel, checkpointId);
  }
  if (checkpointId <= before.settled) return { state: before, effects: [] };
  if (pending !== null && checkpointId < pending.checkpointId) {
    return { state: before, effects: [] };
  }
  const { state, effects } = abandonOlder(before, checkpointId);
  return block(state, effects, new ChannelSet(state.channelCount), channel, checkpointId);
}

function block(
  state: AlignerState,
  before: readonly AlignerEffect[],
  already: ReadonlyChannelSet,
  channel: number,
  checkpointId: number,
): AlignerStep {
  const blocked = already.with(channel);
  if (blocked.size === state.channelCount) {
    return {
      state: { ...state, pending: null, settled: checkpointId },
      effects: [...before, { kind: 'aligned', checkpointId }, { kind: 'unblockAll' }],
    };
  }
  return {
    state: { ...state, pending: { checkpointId, blocked } },
    effects: [...before, { kind: 'block', channel }],
  };
}

function overtake(before: AlignerState, checkpointId: number): AlignerStep {
  if (checkpointId <= before.settled) return { state: before, effects: [] };
  if (before.pending !== null && checkpointId < before.pending.checkpointId) {
    return { state: before, effects: [] };
  }
  const { state, effects } = abandonOlder(before, checkpointId);
  const arrived = state.pending?.blocked ?? new ChannelSet(state.channelCount);
  return {
    state: {
      ...state,
      pending: null,
      overtaken: { checkpointId, arrived },
      settled: checkpointId,
    },
    effects: [...effects, { kind: 'overtaken', checkpointId, arrived }, { kind: 'unblockAll' }],
  };
}

function arrive(state: AlignerState, channel: number): AlignerStep {
  const { overtaken } = state;
  if (overtaken === null || overtaken.arrived.has(channel)) return { state, effects: [] };
  const arrived = overtaken.arrived.with(channel);
  const effects: AlignerEffect[] = [{ kind: 'arrived', channel }];
  const { checkpointId } = overtaken;
  if (arrived.size < state.channelCount) {
    return { state: { ...state, overtaken: { checkpointId, arrived } }, effects };
  }
  effects.push({ kind: 'recorded', checkpointId });
  return { state: { ...state, overtaken: null }, effects };
}
