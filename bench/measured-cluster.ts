/**
 * What the benchmarks of records per second need of a cluster, whoever's it is: the same course is
 * run on Millrace and on its peers, and the same files tell what came of it.
 */
import type { LoadWindow } from './load-watch.js';

export interface MeasuredCluster {
  /** Where the job's tallies and traces go. */
  readonly tallyFolder: string;
  /** Process ids by name. */
  readonly processes: ReadonlyMap<string, number>;
  /** @throws Error when the job no longer runs, or was restarted */
  checkRunning(jobId: string): Promise<void>;
  /** @param until for how many seconds, or until it resolves */
  watch(until: number | Promise<unknown>): Promise<LoadWindow>;
  /** Resolves when a bounded job, or one that was stopped, has finished and all of it is in the tallies. */
  finished(jobId: string): Promise<void>;
  /** Stops the sources at a barrier and waits until all before it is in the tallies. */
  stop(jobId: string): Promise<void>;
  /** Ends all processes. */
  close(): Promise<void>;
  /** Seconds that threads stood in garbage collection during the window; call after close. */
  gcSeconds(load: LoadWindow): Promise<number>;
}
