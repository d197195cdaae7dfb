/** A clock that goes slower than another: time as it passes for one of many slots that share a thread. */
import type { Clock } from '../core/clock.js';

/** @param factor how many times slower */
export function slowedClock(clock: Clock, factor: number): Clock {
  const [now, monotonic] = [clock.now(), clock.monotonic()];
  return {
    now: () => now + (clock.now() - now) / factor,
    monotonic: () => monotonic + (clock.monotonic() - monotonic) / factor,
    setTimer: (delayMs, callback) => clock.setTimer(delayMs * factor, callback),
  };
}
