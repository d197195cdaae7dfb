/**
 * The heap of a slot's thread. Its young generation is large, so that a batch of records dies young,
 * and has its full size from the start: V8 would double it at times that depend on what happened to
 * survive, and halve it in quiet ones, and a worker's memory would be anyone's guess for an hour. A
 * slot that has a budget for its state gets a heap of that size, or V8 would fill the machine with
 * garbage before it collected any.
 */
import type { ResourceLimits } from 'node:worker_threads';
import { MillraceError } from '../core/errors.js';
import type { StateConfig } from '../core/stream-graph.js';

/** Measured best at 64 MB. */
const YOUNG_GENERATION_MB = 64;
/** V8 rounds a third of the young generation up to a power of two. */
const SEMI_SPACE_MB = 32;
/** Where memory is what counts; V8 makes 16 MB of a third of it. */
const YOUNG_GENERATION_MB_BUDGETED = 48;
/** Beside a small budget; records cost up to a quarter more time than with 48. */
const YOUNG_GENERATION_MB_SMALL = 6;
const SMALL_BUDGET_MB = 48;
/** Beside live state: the runtime and the bundle take 30 MB, user code and garbage the rest. */
const BESIDE_STATE_MB = 192;
const MIB = 1024 * 1024;

/**
 * V8's flag for a young generation of full size; threads can't be given it one by one, so it is set
 * for the process before the first of them starts. Threads with smaller limits keep to those.
 */
export const FULL_YOUNG_GENERATION = `--min-semi-space-size=${SEMI_SPACE_MB}`;

/** @param heapMb limit of the old generation; unless given what the budget asks for, or V8's own */
export function slotHeapLimits(state: StateConfig, heapMb: number | undefined): ResourceLimits {
  if (state.backend === 'memory') {
    return {
      maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
      ...(heapMb === undefined ? {} : { maxOldGenerationSizeMb: heapMb }),
    };
  }
  const isSmall = state.memoryBytesMax < SMALL_BUDGET_MB * MIB;
  return {
    maxYoungGenerationSizeMb: isSmall ? YOUNG_GENERATION_MB_SMALL : YOUNG_GENERATION_MB_BUDGETED,
    maxOldGenerationSizeMb: heapMb ?? budgetHeapMb(state),
  };
}

/** @returns what to do when a thread that has a budget ran out of heap; undefined for other errors */
export function describeHeapError(
  error: Error,
  state: StateConfig,
  heapMb: number | undefined,
): MillraceError | undefined {
  if (state.backend === 'memory') return undefined;
  if (!('code' in error) || error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return undefined;
  const budgetMb = Math.floor(state.memoryBytesMax / MIB);
  const limitMb = heapMb ?? budgetHeapMb(state);
  return new MillraceError(
    'USER_CODE_FAILED',
    `the slot's heap of ${limitMb} MB is full: beside state.memoryBytesMax (${budgetMb} MiB) there was no room for what user code keeps; keep less outside of state, or start the workers with --slot-heap-mb ${limitMb + BESIDE_STATE_MB} at least`,
    { cause: error },
  );
}

function budgetHeapMb({ memoryBytesMax }: StateConfig): number {
  return Math.ceil(memoryBytesMax / MIB) + BESIDE_STATE_MB;
}
