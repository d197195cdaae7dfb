/**
 * Trying again while a broker restarts or a leader moves: soon at first, then more and more rarely, and
 * never for longer than was agreed. Only what a broker or the network says to be passing is tried again.
 */
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import type { Clock } from '../../core/clock.js';
import { hasKafkaCode, isRetriable } from './kafka-error.js';

export interface PatienceOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** From the first try to the beginning of the last, ms. */
  readonly patienceMs: number;
  /** Before the second try, ms; doubled each time. */
  readonly firstDelayMs: number;
}

const DELAY_MAX_MS = 1_000;
/** A topic that was just made is not known to every broker; one that is missing should soon be told of. */
const TOPIC_PATIENCE_MS = 3_000;
/** The time ends it, not the count. */
const ATTEMPTS_MAX = 10_000;

/** @throws what the last try threw */
export async function withPatience<T>(
  { clock, patienceMs, firstDelayMs }: PatienceOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const startMs = clock.monotonic();
  const policy = retry(
    handleWhen((error) => {
      if (!isRetriable(error)) return false;
      const isMissing = hasKafkaCode(error, 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID');
      const limitMs = isMissing ? Math.min(TOPIC_PATIENCE_MS, patienceMs) : patienceMs;
      return clock.monotonic() - startMs < limitMs;
    }),
    {
      maxAttempts: ATTEMPTS_MAX,
      backoff: new ExponentialBackoff({ initialDelay: firstDelayMs, maxDelay: DELAY_MAX_MS }),
    },
  );
  return policy.execute(attempt);
}
