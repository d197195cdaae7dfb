/** Latencies in buckets of 10 microseconds up to one second; what takes longer counts as one second. */
import { machineMs, type Tally } from './tally-sink.js';

const BUCKETS_PER_MS = 100;
const BUCKETS = 1000 * BUCKETS_PER_MS;

export interface Timed {
  /** When the record was due at the source, on the machine's monotonic clock. */
  readonly due_ms: number;
  readonly index: number;
}

/** Pairs of bucket and count. */
export type LatencyHistogram = readonly (readonly [number, number])[];

export class LatencyTally implements Tally<Timed> {
  readonly #counts = new Float64Array(BUCKETS + 1);
  readonly #fromIndex: number;

  /** @param fromIndex records before this one are warm-up and not counted */
  constructor(fromIndex: number) {
    this.#fromIndex = fromIndex;
  }

  add(record: Timed): void {
    if (record.index < this.#fromIndex) return;
    const bucket = Math.floor(Math.max(0, machineMs() - record.due_ms) * BUCKETS_PER_MS);
    const at = Math.min(bucket, BUCKETS);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  cut(): LatencyHistogram {
    const pairs = [...this.#counts.entries()].filter(([, count]) => count > 0);
    this.#counts.fill(0);
    return pairs;
  }
}

/** Least latency in ms that the share `quantile` of all records stays at or below. */
export function quantileMs(histograms: readonly LatencyHistogram[], quantile: number): number {
  const merged = histograms.flat().sort(([a], [b]) => a - b);
  const total = merged.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of merged) {
    seen += count;
    if (seen >= total * quantile) return (bucket + 1) / BUCKETS_PER_MS;
  }
  return 0;
}
