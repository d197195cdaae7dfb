/** The schema of what a source could not decode; the same for every source, so one sink can take them all. */
import { t, type Schema } from './schema.js';
import type { DeadLetter } from './source.js';

export const deadLetterSchema: Schema<DeadLetter> = t.record({
  origin: t.string,
  position: t.float64,
  reason: t.string,
  raw: t.string,
});
