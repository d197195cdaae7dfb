/**
 * Which worker each slice of an attempt goes to, given how many slots are free on each. A slice stays
 * where it ran before if it can, since its files are there. Pure; it must never give out more slots
 * than there are.
 */
import { invariant } from '../core/errors.js';

/** `spread`: the worker with the most free slots first. `fill`: the one with the fewest. */
export type Placement = 'spread' | 'fill';

/**
 * @param free slots by worker; at least `count` in all
 * @param preferred worker by slice; a slice without one goes anywhere
 * @returns the worker of each slice
 */
export function placeSlices(
  free: ReadonlyMap<string, number>,
  count: number,
  preferred: readonly string[],
  placement: Placement,
): readonly string[] {
  const left = new Map(free);
  const placed = new Array<string | undefined>(count).fill(undefined);
  const place = (slice: number, workerId: string): void => {
    placed[slice] = workerId;
    left.set(workerId, (left.get(workerId) ?? 0) - 1);
  };
  for (let slice = 0; slice < count; slice++) {
    const workerId = preferred[slice];
    if (workerId !== undefined && (left.get(workerId) ?? 0) > 0) place(slice, workerId);
  }
  return placed.map((workerId, slice) => {
    if (workerId !== undefined) return workerId;
    const chosen = choose(left, placement);
    place(slice, chosen);
    return chosen;
  });
}

function choose(left: ReadonlyMap<string, number>, placement: Placement): string {
  const sign = placement === 'spread' ? -1 : 1;
  const [chosen] = [...left]
    .filter(([, slots]) => slots > 0)
    .sort((a, b) => sign * (a[1] - b[1]) || (a[0] < b[0] ? -1 : 1));
  invariant(chosen !== undefined, 'slices are placed only when enough slots are free');
  return chosen[0];
}
