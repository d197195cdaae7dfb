/** Parallelisms of a running job: asked for, and waited for. */
import type { JobDetails } from '../../api/rest/job-dto.js';
import { isMillraceError } from '../../core/errors.js';
import { eventually } from './eventually.js';
import type { JobWatch } from './job-watch.js';
import type { TestCluster } from './test-cluster.js';

/** Slots settle at once, so that a test need not wait; how long they take by default is no matter here. */
export const QUICK = ['--slot-stabilization', '200', '--rescale-cooldown', '100'];
const NOT_NOW: readonly string[] = ['JOB_STATE_CONFLICT', 'NOT_ENOUGH_SLOTS'];

/** All tasks run at this parallelism and have read something, and nothing is about to change that. */
export async function runsAt(watch: JobWatch, parallelism: number): Promise<JobDetails> {
  const { job } = await watch.until(`parallelism ${parallelism}`, ({ job: seen, recordsRead }) => {
    const states = seen.vertices.flatMap(({ subtasks }) => subtasks.map(({ state }) => state));
    return (
      seen.status === 'RUNNING' &&
      seen.parallelism === parallelism &&
      seen.scaling?.underWay === false &&
      states.every((state) => state === 'RUNNING') &&
      recordsRead > 0
    );
  });
  return job;
}

/**
 * Asks for another parallelism until that is taken: a job that restarts takes no wish, and a worker
 * that has not come (back) to the coordinator yet has no slots.
 */
export async function wish(
  cluster: TestCluster,
  watch: JobWatch,
  parallelism: number,
): Promise<void> {
  await eventually(
    () => `the wish for parallelism ${parallelism}`,
    async () => {
      try {
        await cluster.client.rescaleJob(watch.jobId, parallelism);
        return true;
      } catch (error) {
        if (isMillraceError(error) && NOT_NOW.includes(error.code)) return undefined;
        throw error;
      }
    },
  );
}
