/**
 * Whether a job's options are what they may be. Whoever bundles a job does not check its types, so that a name that
 * is misspelt would be as if it were not there.
 */
import { MillraceError } from '../core/errors.js';
import { JsonReader, JsonShapeError } from '../core/json-reader.js';
import { readCheckpoint, readRestart, readStateConfig } from '../core/stream-graph-json.js';

/** Readers of the options that are objects; what they give has all the names that there are. */
const READERS: Readonly<Record<string, (reader: JsonReader) => object>> = {
  checkpoint: (reader) => ({ onCancel: undefined, ...readCheckpoint(reader) }),
  restart: (reader) => {
    const read = readRestart(reader);
    return read.kind === 'exponentialDelay' ? { attempts: undefined, ...read } : read;
  },
  state: readStateConfig,
};
const NAMES = [
  ...Object.keys(READERS),
  ...['params', 'parallelism', 'maxParallelism', 'bufferTimeoutMs', 'watermarkIntervalMs'],
];

/**
 * @param given the job's options
 * @param complete those that are objects, with what is not given filled in
 * @throws MillraceError JOB_INVALID naming the option and what it may be
 */
export function checkJobOptions(
  jobName: string,
  given: object,
  complete: Readonly<Record<string, object>>,
): void {
  checkNames(jobName, 'options', given, NAMES);
  try {
    for (const [name, value] of Object.entries(complete)) {
      const read = READERS[name]?.(new JsonReader(value, name)) ?? {};
      checkNames(jobName, name, value, Object.keys(read));
    }
  } catch (error) {
    if (error instanceof JsonShapeError) throw invalid(jobName, error.message);
    throw error;
  }
}

function checkNames(jobName: string, place: string, value: object, names: readonly string[]): void {
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw invalid(jobName, `${place} has no "${unknown}"; there are ${[...names].sort().join(', ')}`);
}

function invalid(jobName: string, reason: string): MillraceError {
  return new MillraceError('JOB_INVALID', `job "${jobName}": ${reason}; correct it`);
}
