/**
 * Barrier alignment as a pure step (journey of a barrier: data path -> barrier aligner). A channel
 * that has delivered the barrier is blocked until all others have; then the task snapshots. Aligned
 * is what makes a snapshot hold exactly the records before the barrier. No I/O, no queues.
 */
import { invariant } from '../../core/errors.js';

export interface AlignerState {
  readonly channelCount: number;
  /** The checkpoint being aligned: which channels have delivered its barrier. */
  readonly pending: { readonly checkpointId: number; readonly blocked: readonly boolean[] } | null;
  /** Greatest checkpoint id that was aligned or given up; barriers up to it are stale. */
  readonly settled: number;
}

export type AlignerEvent =
  | { readonly kind: 'barrier'; readonly channel: number; readonly checkpointId: number }
  | { readonly kind: 'aborted'; readonly checkpointId: number };

export type AlignerEffect =
  | { readonly kind: 'block'; readonly channel: number }
  | { readonly kind: 'unblockAll' }
  /** All channels have delivered the barrier: snapshot now, before any further record. */
  | { readonly kind: 'aligned'; readonly checkpointId: number }
  /** A newer barrier came, so this checkpoint will never be complete here. */
  | { readonly kind: 'abandoned'; readonly checkpointId: number };

export interface AlignerStep {
  readonly state: AlignerState;
  readonly effects: readonly AlignerEffect[];
}

export function initialAligner(channelCount: number): AlignerState {
  return { channelCount, pending: null, settled: 0 };
}

export function alignBarrier(state: AlignerState, event: AlignerEvent): AlignerStep {
  if (event.kind === 'aborted') {
    const settled = Math.max(state.settled, event.checkpointId);
    if (state.pending === null || state.pending.checkpointId > event.checkpointId) {
      return { state: { ...state, settled }, effects: [] };
    }
    return { state: { ...state, pending: null, settled }, effects: [{ kind: 'unblockAll' }] };
  }
  const { channel, checkpointId } = event;
  invariant(channel >= 0 && channel < state.channelCount, `channel ${channel} is of this gate`);
  if (checkpointId <= state.settled) return { state, effects: [] };

  const effects: AlignerEffect[] = [];
  let pending = state.pending;
  let settled = state.settled;
  if (pending !== null && checkpointId < pending.checkpointId) return { state, effects: [] };
  if (pending !== null && checkpointId > pending.checkpointId) {
    effects.push({ kind: 'unblockAll' }, { kind: 'abandoned', checkpointId: pending.checkpointId });
    settled = pending.checkpointId;
    pending = null;
  }
  const blocked =
    pending === null ? new Array<boolean>(state.channelCount).fill(false) : [...pending.blocked];
  blocked[channel] = true;
  if (blocked.every(Boolean)) {
    effects.push({ kind: 'aligned', checkpointId }, { kind: 'unblockAll' });
    return { state: { ...state, pending: null, settled: checkpointId }, effects };
  }
  effects.push({ kind: 'block', channel });
  return { state: { ...state, pending: { checkpointId, blocked }, settled }, effects };
}
