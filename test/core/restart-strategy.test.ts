import test from 'ava';
import {
  INITIAL_RESTART_STATE,
  onFailure,
  type RestartDecision,
} from '../../core/restart-strategy.js';
import type { RestartStrategyConfig } from '../../core/stream-graph.js';

const CRASH = { code: 'USER_CODE_FAILED', message: 'USER_CODE_FAILED: thrown' } as const;

function decisions(
  config: RestartStrategyConfig,
  atMs: readonly number[],
): readonly (number | 'fail')[] {
  let state = INITIAL_RESTART_STATE;
  return atMs.map((nowMs) => {
    const step = onFailure(state, config, CRASH, nowMs);
    state = step.state;
    return step.decision.kind === 'restart' ? step.decision.delayMs : 'fail';
  });
}

test('none never restarts', (t) => {
  t.deepEqual(decisions({ kind: 'none' }, [0]), ['fail']);
});

test('fixed delay restarts as often as it says', (t) => {
  const config = { kind: 'fixedDelay', attempts: 2, delayMs: 50 } as const;
  t.deepEqual(decisions(config, [0, 1, 2]), [50, 50, 'fail']);
});

test('failure rate forgets failures that are long past', (t) => {
  const config = { kind: 'failureRate', failuresMax: 2, intervalMs: 100, delayMs: 5 } as const;
  t.deepEqual(decisions(config, [0, 10, 105, 108]), [5, 5, 5, 'fail']);
});

test('exponential delay grows to its greatest value and starts again after a quiet time', (t) => {
  const config = {
    kind: 'exponentialDelay',
    initialMs: 100,
    multiplier: 2,
    maxMs: 300,
    resetAfterMs: 1_000,
  } as const;
  t.deepEqual(decisions(config, [0, 200, 500, 900, 2_199]), [100, 200, 300, 300, 300]);
  t.deepEqual(decisions(config, [0, 200, 1_400]), [100, 200, 100]);
  t.deepEqual(decisions({ ...config, attempts: 1 }, [0, 200]), [100, 'fail']);
});

test('what no restart can cure fails at once, in words', (t) => {
  const config = { kind: 'fixedDelay', attempts: 9, delayMs: 1 } as const;
  const failure = { code: 'CHECKPOINT_CORRUPT', message: 'CHECKPOINT_CORRUPT: bits' } as const;
  const { decision } = onFailure(INITIAL_RESTART_STATE, config, failure, 0);
  const expected: RestartDecision = {
    kind: 'fail',
    reason: "CHECKPOINT_CORRUPT can't be cured by trying again",
  };
  t.deepEqual(decision, expected);
});
