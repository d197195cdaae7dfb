/**
 * Metrics of slots whose state may outgrow memory: what is live, what is on disk, and how often a key
 * was found in memory. It keeps the last report of each slot, since counters only go up by differences.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { SlotStateReport } from './slot-messages.js';

const LABELS = ['job', 'slice'] as const;

export class StateMetrics {
  readonly #liveBytes: Gauge<(typeof LABELS)[number]>;
  readonly #coldBytes: Gauge<(typeof LABELS)[number]>;
  readonly #hits: Counter<(typeof LABELS)[number]>;
  readonly #misses: Counter<(typeof LABELS)[number]>;
  readonly #evictions: Counter<(typeof LABELS)[number]>;
  /** By attempt and slice. */
  readonly #last = new Map<string, SlotStateReport>();

  constructor(registry: Registry) {
    const options = { labelNames: LABELS, registers: [registry] };
    this.#liveBytes = new Gauge({
      name: 'millrace_state_live_bytes',
      help: 'Estimated memory of keyed state that is in memory',
      ...options,
    });
    this.#coldBytes = new Gauge({
      name: 'millrace_state_cold_bytes',
      help: 'Files of the database that has what is not in memory',
      ...options,
    });
    this.#hits = new Counter({
      name: 'millrace_state_cache_hits_total',
      help: 'Records whose key was in memory by then, or new',
      ...options,
    });
    this.#misses = new Counter({
      name: 'millrace_state_cache_misses_total',
      help: 'Keys whose state was read from the database',
      ...options,
    });
    this.#evictions = new Counter({
      name: 'millrace_state_evictions_total',
      help: 'Keys whose state left memory',
      ...options,
    });
  }

  /** @param attempt job and attempt as text */
  record(job: string, attempt: string, report: SlotStateReport): void {
    const key = `${attempt}#${report.slice}`;
    const last = this.#last.get(key);
    this.#last.set(key, report);
    const labels = { job, slice: String(report.slice) };
    this.#liveBytes.set(labels, report.liveBytes);
    this.#coldBytes.set(labels, report.coldBytes);
    this.#hits.inc(labels, Math.max(0, report.hits - (last?.hits ?? 0)));
    this.#misses.inc(labels, Math.max(0, report.misses - (last?.misses ?? 0)));
    this.#evictions.inc(labels, Math.max(0, report.evictions - (last?.evictions ?? 0)));
  }

  /** Drops what is only true while the attempt runs. */
  removeAttempt(job: string, attempt: string): void {
    for (const [key, { slice }] of this.#last) {
      if (!key.startsWith(`${attempt}#`)) continue;
      this.#last.delete(key);
      this.#liveBytes.remove({ job, slice: String(slice) });
      this.#coldBytes.remove({ job, slice: String(slice) });
    }
  }
}
