/**
 * Whether a transaction may be open for long enough. One that lasts as long as an epoch has to outlive
 * its checkpoint, and a restart in between: what brokers abort before is lost.
 */
import type { JobSettings } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import type { RestartStrategyConfig } from '../../core/stream-graph.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode } from './kafka-error.js';

const BROKER_SETTING = 'transaction.max.timeout.ms';

/** @throws MillraceError PARAM_INVALID for a transaction that is open while an epoch runs, and too short */
export function checkEpochFits(
  transactionTimeoutMs: number,
  { checkpoint, restart }: JobSettings,
): void {
  const { intervalMs, timeoutMs } = checkpoint;
  const restartMs = longestDelayMs(restart);
  const neededMs = intervalMs + timeoutMs + restartMs;
  if (transactionTimeoutMs >= neededMs) return;
  throw new MillraceError(
    'PARAM_INVALID',
    `kafkaSink: transactionTimeoutMs is ${transactionTimeoutMs}, and a streaming transaction may have to ` +
      `be open for ${neededMs} ms: checkpoint.intervalMs (${intervalMs}), checkpoint.timeoutMs ` +
      `(${timeoutMs}) and a restart delay of ${restartMs}; what brokers abort before is lost, so raise ` +
      "it, or shorten those, or give transaction: 'atCheckpoint'",
  );
}

/** @throws MillraceError PARAM_INVALID when a broker would refuse it, as far as it tells */
export async function checkBrokersAllow(
  transactionTimeoutMs: number,
  client: KafkaClient,
): Promise<void> {
  const allowed = (await settingsOf(client)).map(Number).filter(Number.isFinite);
  const maxMs = Math.min(Infinity, ...allowed);
  if (transactionTimeoutMs <= maxMs) return;
  throw new MillraceError(
    'PARAM_INVALID',
    `kafkaSink: transactionTimeoutMs is ${transactionTimeoutMs}, and the brokers allow ${maxMs}; ` +
      `shorten it, or raise their ${BROKER_SETTING}`,
  );
}

async function settingsOf(client: KafkaClient): Promise<readonly string[]> {
  try {
    const settings = await client.describeBrokers(BROKER_SETTING);
    return settings.flatMap((setting) => setting ?? []);
  } catch (error) {
    // Who may not ask is told when the job starts.
    if (hasKafkaCode(error, 'CLUSTER_AUTHORIZATION_FAILED')) return [];
    throw error;
  }
}

function longestDelayMs(restart: RestartStrategyConfig): number {
  switch (restart.kind) {
    case 'none':
      return 0;
    case 'fixedDelay':
    case 'failureRate':
      return restart.delayMs;
    case 'exponentialDelay':
      return restart.maxMs;
  }
}
