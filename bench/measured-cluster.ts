/**
 * What the benchmarks of records per second need of a cluster, whoever's it is: the same course is
 * run on Millrace and on its peers, and the same files tell what came of it.
 */
import type { LoadWindow } from './load-watch.js';

export interface MeasuredCluster {
  /** Where the job's tallies and traces go. */
  readonly tallyFolder: string;
  /** @throws Error when the job no longer runs, or was restarted */
  checkRunning(jobId: string): Promise<void>;
  watch(seconds: number): Promise<LoadWindow>;
  /** Stops the sources at a barrier and waits until all before it is in the tallies. */
  stop(jobId: string): Promise<void>;
  /** Ends all processes. */
  close(): Promise<void>;
  /** Seconds that threads stood in garbage collection during the window; call after close. */
  gcSeconds(load: LoadWindow): Promise<number>;
}
