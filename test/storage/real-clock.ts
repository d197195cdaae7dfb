/** The machine's own clock and identifiers, for tests of storage that is real. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '../../core/clock.js';

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

export const realIds: Pick<Random, 'id'> = { id: () => randomBytes(8).toString('hex') };
