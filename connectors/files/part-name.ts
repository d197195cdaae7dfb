/**
 * Names in an output directory. A pending name is unique to the attempt that writes it; a final name
 * depends on nothing but what is committed, so that committing twice gives one file.
 */
import { join } from 'node:path';

/** Whose a pending file is. */
export interface PendingOwner {
  readonly jobId: string;
  readonly operator: string;
  readonly subtask: number;
  readonly attempt: number;
}

const PENDING_FOLDER = '.pending';
/** Stands in no operator name. */
const SEPARATOR = '~';

export function pendingFolder(directory: string): string {
  return join(directory, PENDING_FOLDER);
}

/** @param sequence number of the file within the attempt */
export function pendingName(owner: PendingOwner, sequence: number): string {
  const { jobId, operator, subtask, attempt } = owner;
  return [encodeURIComponent(jobId), operator, subtask, attempt, sequence].join(SEPARATOR);
}

/** Undefined when no sink gave the name. */
export function parsePendingName(name: string): PendingOwner | undefined {
  const parts = name.split(SEPARATOR);
  const [jobId, operator, subtask, attempt] = parts;
  if (jobId === undefined || operator === undefined || parts.length !== 5) return undefined;
  return {
    jobId: decodeURIComponent(jobId),
    operator,
    subtask: Number(subtask),
    attempt: Number(attempt),
  };
}

export interface FinalPart {
  readonly prefix: string;
  readonly operator: string;
  readonly subtask: number;
  readonly checkpointId: number;
  /** Number of the file within the subtask's epoch. */
  readonly index: number;
  /** How many jobs wrote into the directory before: their checkpoint ids began at 1, too. */
  readonly generation: number;
  readonly extension: string;
}

export function finalName(part: FinalPart): string {
  const { prefix, operator, subtask, checkpointId, index, generation, extension } = part;
  const name = [prefix, operator, subtask, checkpointId, index].join('-');
  return `${name}${generation === 0 ? '' : `-r${String(generation)}`}${extension}`;
}
