/**
 * A job's parallelism as the command line says it: at which it runs, at which it is to run, and why
 * these differ. A job that may have every slot there is wishes for no number.
 */
import type { JobDetails } from '../api/rest/job-dto.js';

export function describeParallelism(job: JobDetails): string {
  const why = job.scaling?.why ?? null;
  return `${job.parallelism}${describeWish(job)}${why === null ? '' : `: ${why}`}`;
}

function describeWish({ parallelism, desiredParallelism, scaling }: JobDetails): string {
  if (parallelism === desiredParallelism) return '';
  return desiredParallelism === scaling?.maxParallelism
    ? ` (all free slots, at most ${desiredParallelism})`
    : ` of ${desiredParallelism} desired`;
}
