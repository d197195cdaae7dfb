/** Waiting for what no event tells of: the state of another process, asked again until it is there. */
import { setTimeout as delay } from 'node:timers/promises';

const ASK_INTERVAL_MS = 10;
const TIMEOUT_MS = 180_000;

/**
 * Resolves with the first answer that isn't undefined.
 * @throws Error naming `what` after three minutes
 */
export async function eventually<T>(
  what: () => string,
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited in vain for ${what()}`);
    await delay(ASK_INTERVAL_MS);
  }
}
