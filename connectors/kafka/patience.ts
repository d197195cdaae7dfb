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
/**
 * Of a topic that was just made some brokers do not know, and a broker that is killed closes connections
 * at any time; but what goes on like this is a mistake, and should soon be told of.
 */
const SHORT_PATIENCE_MS = 3_000;
const SHORT = ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID', 'GREETING_REFUSED'];
/** The time ends it, not the count. */
const ATTEMPTS_MAX = 10_000;

/** @throws what the last try threw */
export async function withPatience<T>(
  { clock, patienceMs, firstDelayMs }: PatienceOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const startMs = clock.monotonic();
  /** When the tries began to fail with what should pass soon. */
  let shortSinceMs: number | undefined;
  const policy = retry(
    handleWhen((error) => {
      const nowMs = clock.monotonic();
      shortSinceMs = hasKafkaCode(error, ...SHORT) ? (shortSinceMs ?? nowMs) : undefined;
      const isLong = shortSinceMs !== undefined && nowMs - shortSinceMs >= SHORT_PATIENCE_MS;
      return isRetriable(error) && !isLong && nowMs - startMs < patienceMs;
    }),
    {
      maxAttempts: ATTEMPTS_MAX,
      backoff: new ExponentialBackoff({ initialDelay: firstDelayMs, maxDelay: DELAY_MAX_MS }),
    },
  );
  return policy.execute(attempt);
}

/** Waits for what is only tried, such as a last word to a broker: until it is over, whatever came of it, or ms have passed. */
export async function within(
  clock: Pick<Clock, 'setTimer'>,
  ms: number,
  tried: Promise<unknown>,
): Promise<void> {
  let cancel = (): void => undefined;
  const deadline = new Promise<void>((resolve) => {
    cancel = clock.setTimer(ms, resolve);
  });
  await Promise.race([Promise.allSettled([tried]), deadline]).finally(cancel);
}
