/**
 * Restart strategies: whether a failed job starts again, and after how long. Asked by the execution
 * graph on every failure of an attempt. Pure: it must never read a clock; the caller passes
 * monotonic time in.
 */
import { assertNever, ERROR_CODES, type SerializedError } from './errors.js';
import type { RestartStrategyConfig } from './stream-graph.js';

export interface RestartState {
  /** Restarts granted since the job started, or since the delay was last reset. */
  readonly restarts: number;
  /** Monotonic times of the failures that still count for `failureRate`; at most failuresMax. */
  readonly failuresAtMs: readonly number[];
  /** The delay granted last, in ms; 0 before the first failure. */
  readonly delayMs: number;
  /** Monotonic time at which the restart granted last was due. */
  readonly restartedAtMs?: number;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  /** `reason` is for people: it follows "the job is not restarted because". */
  | { readonly kind: 'fail'; readonly reason: string };

export interface RestartStep {
  readonly state: RestartState;
  readonly decision: RestartDecision;
}

export const INITIAL_RESTART_STATE: RestartState = { restarts: 0, failuresAtMs: [], delayMs: 0 };

/** @param nowMs monotonic time of the failure */
export function onFailure(
  state: RestartState,
  config: RestartStrategyConfig,
  failure: SerializedError,
  nowMs: number,
): RestartStep {
  if (ERROR_CODES[failure.code][1] === 'never') {
    return fail(state, `${failure.code} can't be cured by trying again`);
  }
  switch (config.kind) {
    case 'none':
      return fail(state, 'its restart strategy is "none"');
    case 'fixedDelay':
      if (state.restarts >= config.attempts) return exhausted(state, config.attempts);
      return restart(state, config.delayMs, nowMs);
    case 'failureRate':
      return onFailureRate(state, config, nowMs);
    case 'exponentialDelay':
      return onExponentialDelay(state, config, nowMs);
    default:
      return assertNever(config);
  }
}

function onFailureRate(
  state: RestartState,
  config: Extract<RestartStrategyConfig, { kind: 'failureRate' }>,
  nowMs: number,
): RestartStep {
  const recent = state.failuresAtMs.filter((atMs) => nowMs - atMs < config.intervalMs);
  if (recent.length >= config.failuresMax) {
    return fail(
      { ...state, failuresAtMs: recent },
      `it failed more than ${config.failuresMax} times in ${config.intervalMs} ms`,
    );
  }
  return restart({ ...state, failuresAtMs: [...recent, nowMs] }, config.delayMs, nowMs);
}

function onExponentialDelay(
  state: RestartState,
  config: Extract<RestartStrategyConfig, { kind: 'exponentialDelay' }>,
  nowMs: number,
): RestartStep {
  const quiet =
    state.restartedAtMs !== undefined && nowMs - state.restartedAtMs >= config.resetAfterMs;
  const current = quiet ? INITIAL_RESTART_STATE : state;
  if (config.attempts !== undefined && current.restarts >= config.attempts) {
    return exhausted(current, config.attempts);
  }
  const delayMs =
    current.restarts === 0
      ? config.initialMs
      : Math.min(config.maxMs, Math.ceil(current.delayMs * config.multiplier));
  return restart(current, Math.min(config.maxMs, delayMs), nowMs);
}

function restart(state: RestartState, delayMs: number, nowMs: number): RestartStep {
  return {
    state: { ...state, restarts: state.restarts + 1, delayMs, restartedAtMs: nowMs + delayMs },
    decision: { kind: 'restart', delayMs },
  };
}

function exhausted(state: RestartState, attempts: number): RestartStep {
  return fail(state, `it has been restarted ${attempts} times, as often as its strategy allows`);
}

function fail(state: RestartState, reason: string): RestartStep {
  return { state, decision: { kind: 'fail', reason } };
}
