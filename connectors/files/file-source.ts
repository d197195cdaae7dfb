/**
 * A source that reads files line by line. Here is what the job's author says; what a reader does
 * with it stands in file-reader.ts.
 */
import type { Source } from '../../api/source.js';
import { checkOptions, flag, optional, wholeNumber } from '../../core/option-check.js';
import { readFileFormat, type ReadableFormat } from './file-format.js';
import { FileReader } from './file-reader.js';
import { fileSplitSchema, splitFile, type FileSplit } from './file-split.js';
import { checkPattern, listInputFiles } from './input-files.js';

export interface FileSourceOptions<T> {
  /**
   * A file, a directory (the files directly in it), or a pattern with `*` or `?` in its last part.
   * Names that begin with `.` or `_` are skipped. A relative path is taken from where the worker runs.
   */
  readonly path: string;
  readonly format: ReadableFormat<T>;
  /** Bytes per split, fixed for the life of the job's state; 8 MiB by default. */
  readonly splitBytes?: number;
  /** Keep reading as files grow and, in a directory or pattern, as files come; never ends. */
  readonly follow?: boolean;
  /** Longest line in bytes, 1 MiB by default; a longer one is a dead letter. */
  readonly lineBytesMax?: number;
  /** With `follow`: how often to look for growth that no event told of, 1,000 ms by default. */
  readonly pollIntervalMs?: number;
}

const MIB = 1024 * 1024;
const SPLIT_BYTES_DEFAULT = 8 * MIB;
const LINE_BYTES_MAX_DEFAULT = MIB;
const POLL_INTERVAL_MS_DEFAULT = 1_000;
/** One read: large enough that its fixed cost is small against decoding it. */
const BLOCK_BYTES = 256 * 1024;

/**
 * A source of the lines of files. A split is a fixed byte range; a line belongs to the split in
 * which it begins. A subtask reads its splits one after another, files in order of their names, each
 * from its beginning; each split but a file's first shows the 64 KiB before it to its watermark when
 * it begins, not when it is restored behind its beginning: its watermark is then restored with it.
 * A line that holds no record goes to the dead-letter output with file, byte position and reason.
 * Files may grow but not change; with `follow` a last line counts once its newline is there.
 *
 * Reading fails with MillraceError INPUT_MISSING when there is nothing to read, and INPUT_INVALID
 * when a file can't be read, was replaced, or ends before a position that was read.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function fileSource<T>(options: FileSourceOptions<T>): Source<T, FileSplit> {
  const { path, format, ...given } = checkOptions('fileSource', options, {
    path: checkPattern,
    format: readFileFormat,
    splitBytes: optional(wholeNumber(1)),
    follow: optional(flag),
    lineBytesMax: optional(wholeNumber(1)),
    pollIntervalMs: optional(wholeNumber(1)),
  });
  const { follow = false, splitBytes = SPLIT_BYTES_DEFAULT } = given;
  const { lineBytesMax = LINE_BYTES_MAX_DEFAULT } = given;
  const { pollIntervalMs = POLL_INTERVAL_MS_DEFAULT } = given;
  return {
    description: `files ${path}`,
    schema: format.schema,
    splitSchema: fileSplitSchema,
    bounded: !follow,
    ...(follow ? { discoveryIntervalMs: pollIntervalMs } : {}),
    async discoverSplits() {
      const files = await listInputFiles(path, follow);
      return files.flatMap((file) => splitFile(file.path, file.sizeBytes, splitBytes));
    },
    createReader: ({ clock }) =>
      new FileReader({
        format,
        follow,
        splitBytes,
        blockBytes: BLOCK_BYTES,
        lineBytesMax,
        pollIntervalMs,
        clock,
      }),
  };
}
