/**
 * An exactly-once sink of files in one directory. Here is what the job's author says; writing stands
 * in file-writer.ts, committing in file-committer.ts.
 */
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Sink, SinkContext } from '../../api/sink.js';
import { checkOptions, fitting, optional, text, wholeNumber } from '../../core/option-check.js';
import { fileCommittableSchema, type FileCommittable } from './file-committable.js';
import { FileCommitter } from './file-committer.js';
import { writtenFileFormat, type FileFormat } from './file-format.js';
import { FileWriter } from './file-writer.js';
import { tryOutput } from './output-error.js';
import { OutputOwner } from './output-owner.js';
import { pendingFolder, type PendingOwner } from './part-name.js';

export interface FileSinkOptions<T> {
  /** The directory; made if it is not there. A relative path is taken from where the worker runs. */
  readonly path: string;
  readonly format: FileFormat<T>;
  /** How the names of the files begin, `part` by default. */
  readonly partPrefix?: string;
  /** A file of at least this many bytes is followed by a new one, 128 MiB by default. */
  readonly rollBytes?: number;
}

const ROLL_BYTES_DEFAULT = 128 * 1024 * 1024;
const PREFIX_PATTERN = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;

/**
 * A sink that writes files `part-<operator>-<subtask>-<checkpoint>-<n>.ndjson`, each of which is
 * there as a whole or not at all: an epoch is written to hidden files, which get their names when its
 * checkpoint is complete. All parts together hold every record exactly once.
 *
 * A directory belongs to the first job that writes an operator's output into it. Another job is
 * refused (OUTPUT_CONFLICT), unless it was started from a checkpoint or savepoint: then it takes the
 * directory over for good, its files end in `-r1`, `-r2`, ..., and the first job can't go on.
 *
 * Writing and committing fail with MillraceError OUTPUT_FAILED naming the path (a full disk, a
 * missing permission, a file that is gone), and with SCHEMA_MISMATCH naming the field.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T, FileCommittable> {
  const given = checkOptions('fileSink', options, {
    path: text('a directory'),
    format: writtenFileFormat,
    partPrefix: optional(
      fitting(
        '1 to 64 letters, digits, "." or "-" that begin with a letter or digit',
        (value) => typeof value === 'string' && PREFIX_PATTERN.test(value),
      ),
    ),
    rollBytes: optional(wholeNumber(1)),
  });
  const { path, format, partPrefix = 'part', rollBytes = ROLL_BYTES_DEFAULT } = given;
  return {
    description: `files ${path}`,
    ...(format.schema === undefined ? {} : { schema: format.schema }),
    committableSchema: fileCommittableSchema,
    async createWriter(context) {
      const directory = resolve(path);
      const folder = pendingFolder(directory);
      await tryOutput('create', folder, () => mkdir(folder, { recursive: true }));
      const self = selfOf(context);
      return new FileWriter({
        directory,
        prefix: partPrefix,
        extension: format.extension,
        encoder: format.createEncoder(),
        rollBytes,
        self,
        owner: new OutputOwner(directory, self),
      });
    },
    createCommitter(context) {
      const directory = resolve(path);
      const self = selfOf(context);
      const owner = new OutputOwner(directory, self);
      return Promise.resolve(new FileCommitter(directory, self, owner, context));
    },
  };
}

function selfOf({ jobId, operator, subtask, attempt: number }: SinkContext): PendingOwner {
  return { jobId, operator, subtask, attempt: number };
}
