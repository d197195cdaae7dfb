/**
 * The heap of a slot's thread. Its young generation is large, so that a batch of records dies young,
 * and has its full size from the start: V8 would double it at times that depend on what happened to
 * survive, and halve it in quiet ones, and a worker's memory would be anyone's guess for an hour.
 */
import type { ResourceLimits } from 'node:worker_threads';

/** Measured best at 64 MB. */
const YOUNG_GENERATION_MB = 64;
/** V8 rounds a third of the young generation up to a power of two. */
const SEMI_SPACE_MB = 32;

/**
 * V8's flag for a young generation of full size; threads can't be given it one by one, so it is set
 * for the process before the first of them starts. Threads with smaller limits keep to those.
 */
export const FULL_YOUNG_GENERATION = `--min-semi-space-size=${SEMI_SPACE_MB}`;

/** @param heapMb limit of the old generation; V8's own unless given */
export function slotHeapLimits(heapMb: number | undefined): ResourceLimits {
  return {
    maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
    ...(heapMb === undefined ? {} : { maxOldGenerationSizeMb: heapMb }),
  };
}
