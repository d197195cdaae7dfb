/**
 * The heap of threads that serve slots with bytes which others made: state threads and the merge
 * thread. What they pass on lies outside of the heap and goes with the next collection of young
 * objects; in a large young generation that would be seconds later. No slot may run under it.
 */
import type { ResourceLimits } from 'node:worker_threads';

/** V8 makes 1 MB of a third of it. */
const YOUNG_GENERATION_MB = 3;

export const SERVING_HEAP_LIMITS: ResourceLimits = {
  maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
};

/** Several times what a merge holds, which is estimated; without a limit V8 would collect late. */
export const MERGE_HEAP_MB = 160;
/** What a merge holds of a bucket dies young: among old objects its garbage would wait, 100 MB of it. */
const MERGE_YOUNG_GENERATION_MB = 24;

export function mergeHeapLimits(heapMb: number): ResourceLimits {
  return { maxYoungGenerationSizeMb: MERGE_YOUNG_GENERATION_MB, maxOldGenerationSizeMb: heapMb };
}
