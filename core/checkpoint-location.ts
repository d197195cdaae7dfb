/**
 * Where the files of checkpoints and savepoints live in the blob store, and how savepoints are
 * named. Known to the coordinator, which collects what is orphaned, and to the workers, which write.
 */

export type CheckpointKind = 'checkpoint' | 'savepoint';

/** The name of the savepoint that a job's checkpoint id stands for. */
export function savepointIdOf(jobId: string, checkpointId: number): string {
  return `sp-${jobId}-${checkpointId}`;
}

/** The blob prefix of a job's checkpoints, without a slash at the end. */
export function jobFolder(jobId: string): string {
  return `jobs/${jobId}`;
}

/** The blob folder of one checkpoint or savepoint, without a slash at the end. */
export function checkpointFolder(
  jobId: string,
  checkpointId: number,
  kind: CheckpointKind,
): string {
  return kind === 'savepoint'
    ? `savepoints/${savepointIdOf(jobId, checkpointId)}`
    : `${jobFolder(jobId)}/chk-${checkpointId}`;
}
