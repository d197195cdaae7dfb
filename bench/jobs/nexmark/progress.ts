/**
 * How far a bounded source has come, for the runner in another process: where nothing comes out for
 * long, a sink's trace says nothing. One file for each split of the index.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { machineMs } from '../tally-sink.js';

/** By index modulo this, whatever the splits of the source. A power of two. */
const SPLITS = 8;
/** Events of a split between two lines. A power of two. */
const EVERY = 8192;

/** Leaves a line `ms count` now and then. */
export function noteProgress(folder: string, index: number): void {
  const count = Math.floor(index / SPLITS);
  if ((count & (EVERY - 1)) !== 0) return;
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `progress-${index % SPLITS}-1`);
  appendFileSync(file, `${machineMs().toFixed(3)} ${count}\n`);
}
