/**
 * Whether memory grows, told from its readings over time. A collector makes memory go up and down and
 * takes its time to settle: what counts are the floors after a warm-up, and of those the slope that
 * half of all pairs exceed (Theil and Sen), which a leak moves, and a step or an outlier hardly. Pure.
 */

/** A reading: when, in seconds since the measured part began, and how many bytes. */
export type MemoryReading = readonly [seconds: number, bytes: number];

export interface GrowthOptions {
  /** Readings before it are warm-up, s. */
  readonly fromSeconds: number;
  /** The lowest reading of each stretch of so many seconds counts. */
  readonly stretchSeconds: number;
}

/** The lowest reading of each stretch of time. */
export function floorsOf(
  readings: readonly MemoryReading[],
  stretchSeconds: number,
): readonly MemoryReading[] {
  const floors = new Map<number, MemoryReading>();
  for (const reading of readings) {
    const stretch = Math.floor(reading[0] / stretchSeconds);
    const floor = floors.get(stretch);
    if (floor === undefined || reading[1] < floor[1]) floors.set(stretch, reading);
  }
  return [...floors.values()];
}

/** Median of the slopes between all pairs of readings, bytes per second; 0 for less than two. */
export function theilSenSlope(readings: readonly MemoryReading[]): number {
  const slopes = readings.flatMap(([at, bytes], index) =>
    readings
      .slice(index + 1)
      .filter(([later]) => later > at)
      .map(([later, laterBytes]) => (laterBytes - bytes) / (later - at)),
  );
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  const upper = slopes[middle] ?? 0;
  return slopes.length % 2 === 1 ? upper : (upper + (slopes[middle - 1] ?? 0)) / 2;
}

/** Bytes that memory grows in ten minutes, judged by its floors after the warm-up. */
export function growthInTenMinutes(
  readings: readonly MemoryReading[],
  { fromSeconds, stretchSeconds }: GrowthOptions,
): number {
  const settled = readings.filter(([seconds]) => seconds >= fromSeconds);
  return theilSenSlope(floorsOf(settled, stretchSeconds)) * 600;
}
