/** Reads the pauses out of a log that Java writes with `-Xlog:gc:file=...:timenanos`. */

export interface GcPause {
  /** When it ended, by the machine's monotonic clock. */
  readonly atMs: number;
  readonly durationMs: number;
}

/** `[123456789ns] GC(7) Pause Young (Normal) (G1 Evacuation Pause) 512M->12M(1024M) 3.125ms` */
const PAUSE = /^\[(\d+)ns\].*\bPause\b.* (\d+(?:\.\d+)?)ms$/gm;

export function gcPausesIn(log: string): readonly GcPause[] {
  return [...log.matchAll(PAUSE)].map(([, nanos, durationMs]) => ({
    atMs: Number(nanos) / 1e6,
    durationMs: Number(durationMs),
  }));
}
