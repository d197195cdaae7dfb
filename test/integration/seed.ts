/** The seed of a test run: new each time, or given in MILLRACE_SEED to replay one. It stands in the titles. */
import { SeededRandom } from '../simulation/event-loop.js';

const given = process.env['MILLRACE_SEED'];

export const SEED = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);

/** Numbers of one test, the same for the same seed whichever tests run beside it. */
export function randomOf(title: string): SeededRandom {
  let mixed = SEED;
  for (const character of title) mixed = Math.imul(mixed ^ character.charCodeAt(0), 0x01000193);
  return new SeededRandom(mixed);
}
