/**
 * Key groups: the unit in which keyed state is stored, restored and handed to subtasks. A key's
 * group is fixed for the life of a job; which subtask owns the group follows from the parallelism.
 * Both formulas are Flink's and must never change, since checkpoints depend on them.
 */
import { MillraceError } from './errors.js';

export const MAX_PARALLELISM_LIMIT = 32_768;
export const MAX_PARALLELISM_DEFAULT = 128;

/** Key groups from `start` (included) to `end` (excluded). */
export interface KeyGroupRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Key group of a key; fixed for the life of the job.
 * @param keyHash unsigned 32-bit hash of the encoded key
 * @param maxParallelism number of key groups, 1..32768
 * @returns g, 0 <= g < maxParallelism
 * @see Flink KeyGroupRangeAssignment; docs/glossary.md "key group"
 */
export function keyGroupOf(keyHash: number, maxParallelism: number): number {
  // A small integer to V8 too: a field that holds groups would change its form for all objects otherwise.
  return ((keyHash >>> 0) % maxParallelism) | 0;
}

/**
 * The key groups that one subtask owns; the ranges of all subtasks partition 0..maxParallelism.
 * @param subtask index, 0 <= subtask < parallelism
 * @throws MillraceError KEY_GROUP_RANGE
 */
export function keyGroupRange(
  subtask: number,
  parallelism: number,
  maxParallelism: number,
): KeyGroupRange {
  checkParallelism(parallelism, maxParallelism);
  checkIndex('subtask', subtask, parallelism);
  return {
    start: Math.ceil((subtask * maxParallelism) / parallelism),
    end: Math.ceil(((subtask + 1) * maxParallelism) / parallelism),
  };
}

/**
 * The subtask that owns a key group: the inverse of keyGroupRange.
 * @throws MillraceError KEY_GROUP_RANGE
 */
export function subtaskOf(keyGroup: number, parallelism: number, maxParallelism: number): number {
  checkParallelism(parallelism, maxParallelism);
  checkIndex('key group', keyGroup, maxParallelism);
  return Math.floor((keyGroup * parallelism) / maxParallelism);
}

/**
 * Refuses a parallelism that key groups can't be spread over.
 * @throws MillraceError KEY_GROUP_RANGE
 */
export function checkParallelism(parallelism: number, maxParallelism: number): void {
  if (!(Number.isInteger(maxParallelism) && maxParallelism >= 1)) {
    throw range(`max parallelism ${String(maxParallelism)} is not a positive integer`);
  }
  if (maxParallelism > MAX_PARALLELISM_LIMIT) {
    throw range(
      `max parallelism ${String(maxParallelism)} is above ${String(MAX_PARALLELISM_LIMIT)}`,
    );
  }
  if (!(Number.isInteger(parallelism) && parallelism >= 1 && parallelism <= maxParallelism)) {
    throw range(
      `parallelism ${String(parallelism)} is not within 1..${String(maxParallelism)} (max parallelism)`,
    );
  }
}

function checkIndex(what: string, index: number, count: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < count)) {
    throw range(`${what} ${String(index)} is not within 0..${String(count - 1)}`);
  }
}

function range(message: string): MillraceError {
  return new MillraceError(
    'KEY_GROUP_RANGE',
    `${message}; choose a parallelism no greater than the job's max parallelism`,
  );
}
