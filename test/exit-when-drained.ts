/**
 * How a process of tests ends, loaded into each of them: by `process.exit` once nothing is left to do.
 * Left to itself Node 20 takes its environment apart first, and was seen to spin there for ever, after
 * the last test of a file had passed. What a test forgot to close still keeps its process alive.
 */
import { registerCompletionHandler } from 'ava';

registerCompletionHandler(() => {
  process.once('beforeExit', () => process.exit());
});
