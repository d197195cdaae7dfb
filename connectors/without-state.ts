/** What to do where a source can't go on from its state: leave that behind, and keep all other state of the job. */
export const START_WITHOUT_STATE =
  'rename the source in the job and submit it with --from-savepoint JOB/CHECKPOINT --allow-non-restored-state';
