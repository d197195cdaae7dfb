/**
 * How a job's scaling looks over REST: at which parallelism it is to run, at which it does, and why
 * these differ, in plain words. Pure; it must never change what it looks at.
 */
import type { JobScaling, RescaleReason } from '../api/rest/job-dto.js';
import { isTerminalJobStatus } from '../core/execution-state.js';
import type { JobDeciderState } from '../core/job-decider.js';
import { slotsNeeded } from '../core/job-graph.js';
import { possibleParallelism } from '../core/scaling-decider.js';
import type { ScalingPhase, ScalingState } from '../core/scaling-protocol.js';

const REASONS = {
  REQUESTED: 'as asked for',
  SLOTS_ADDED: 'since slots came',
  SLOTS_LOST: 'since slots were lost',
  WORKER_LEAVING: 'since a worker leaves',
} as const satisfies Record<RescaleReason, string>;

export function describeScaling({ scaling, execution }: JobDeciderState): JobScaling {
  const { phase, exact, resources, history } = scaling;
  const ended = isTerminalJobStatus(execution.status);
  return {
    exact,
    slotsAvailable: resources.slots,
    maxParallelism: scaling.streamGraph.maxParallelism,
    underWay: !ended && (isLeaving(phase) || isRedeploying(scaling)),
    why: ended ? null : why(scaling),
    history: history.map((rescale) => ({ ...rescale })),
  };
}

/** What an attempt that has no slots yet waits for. */
export function describeSlotWait(scaling: ScalingState): string {
  const { claim, streamGraph, desiredParallelism } = scaling;
  if (claim !== undefined) return `${claim.slots} slots`;
  const possible = possibleParallelism(scaling);
  if (possible === undefined) return `at least ${slotsNeeded(streamGraph, 1)} slots`;
  const wish = desiredParallelism === streamGraph.maxParallelism ? '' : ` of ${desiredParallelism}`;
  return `more slots, for a moment: it could start at parallelism ${possible}${wish}`;
}

/** The attempt that runs is to be left for another one. */
function isLeaving(phase: ScalingPhase): boolean {
  return phase === 'PREPARING_SLOTS' || phase === 'CHECKPOINTING';
}

/** Between the end of the attempt that was rescaled and the start of the next. */
function isRedeploying({ phase, reason }: ScalingState): boolean {
  if (phase === 'REDEPLOYING') return true;
  const starting = phase === 'WAITING' || phase === 'REQUESTED' || phase === 'DEPLOYING';
  return starting && reason !== undefined;
}

function why(scaling: ScalingState): string | null {
  const { phase, claim, resources, reason, desiredParallelism, config } = scaling;
  const possible = possibleParallelism(scaling);
  const because = reason === undefined ? '' : `, ${REASONS[reason]}`;
  if (isRedeploying(scaling)) return `is being redeployed${because}`;
  if (isLeaving(phase)) {
    return `goes on at parallelism ${possible ?? desiredParallelism} from its next checkpoint${because}`;
  }
  if (phase === 'STABILIZING') {
    return (
      `goes to parallelism ${possible ?? desiredParallelism} once slots have stayed as they are for ` +
      `${config.stabilizationMs} ms, at most once in ${config.cooldownMs} ms`
    );
  }
  if (phase !== 'STABLE' || claim === undefined || claim.parallelism >= desiredParallelism) {
    return null;
  }
  return `it can have ${resources.slots} of the cluster's ${resources.slotsTotal} slots`;
}
