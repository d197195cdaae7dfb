/**
 * Buckets: stretches of neighbouring key groups that lie together in a run, at the same borders in
 * every run of a job. With up to 128 key groups each is a bucket of its own; more of them share
 * buckets, so that a small change of a large operator is not torn into thousands of pieces.
 */
import type { KeyGroupRange } from '../../core/key-group.js';

const BUCKETS_MAX = 128;

function bucketWidth(maxParallelism: number): number {
  return Math.ceil(maxParallelism / BUCKETS_MAX);
}

export function bucketOf(keyGroup: number, maxParallelism: number): number {
  return Math.floor(keyGroup / bucketWidth(maxParallelism));
}

/** The buckets that hold anything of these key groups: from `start` to `end`, excluded. */
export function bucketsOf(keyGroups: KeyGroupRange, maxParallelism: number): KeyGroupRange {
  const width = bucketWidth(maxParallelism);
  return { start: Math.floor(keyGroups.start / width), end: Math.ceil(keyGroups.end / width) };
}

/** The key groups of the buckets from `start` to `end`, excluded. */
export function keyGroupsOf(buckets: KeyGroupRange, maxParallelism: number): KeyGroupRange {
  const width = bucketWidth(maxParallelism);
  return {
    start: buckets.start * width,
    end: Math.min(maxParallelism, buckets.end * width),
  };
}

export function intersect(left: KeyGroupRange, right: KeyGroupRange): KeyGroupRange {
  const start = Math.max(left.start, right.start);
  return { start, end: Math.max(start, Math.min(left.end, right.end)) };
}

export function contains(range: KeyGroupRange, keyGroup: number): boolean {
  return keyGroup >= range.start && keyGroup < range.end;
}
