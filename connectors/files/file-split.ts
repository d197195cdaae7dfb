/**
 * A split of the file source: a fixed byte range of one file. The lines of a split are those whose
 * first byte stands in its range, so that every line has one split however much the file grows.
 */
import { t, type Schema } from '../../api/schema.js';
import type { SourceSplit } from '../../api/source.js';

export interface FileSplit extends SourceSplit {
  /** As the job gave it, so that state does not depend on where a worker runs. */
  readonly path: string;
  /** First byte of the range. */
  readonly start: number;
  /** First byte behind the range. */
  readonly end: number;
  /** How long the file was when the split was found: it can only have grown since. */
  readonly sizeBytes: number;
  /** First byte behind the last record that was read; `start` while none was. */
  readonly position: number;
  /** Nothing more will come, though the file ended before the range did. */
  readonly finished: boolean;
}

export const fileSplitSchema: Schema<FileSplit> = t.record({
  id: t.string,
  ordinal: t.int32,
  path: t.string,
  start: t.float64,
  end: t.float64,
  sizeBytes: t.float64,
  position: t.float64,
  finished: t.boolean,
});

/** Files start at different subtasks, or else the first would get all the small files. */
const ORDINAL_OFFSETS = 65_536;

/** The splits of a file of `sizeBytes`; an empty file has one, which can be followed. */
export function splitFile(path: string, sizeBytes: number, splitBytes: number): FileSplit[] {
  const offset = hash(path) % ORDINAL_OFFSETS;
  const count = Math.max(1, Math.ceil(sizeBytes / splitBytes));
  return Array.from({ length: count }, (_, k) => ({
    id: `${path}#${String(k)}`,
    ordinal: offset + k,
    path,
    start: k * splitBytes,
    end: (k + 1) * splitBytes,
    sizeBytes,
    position: k * splitBytes,
    finished: false,
  }));
}

/** Reading order: files by name, and each from its beginning. */
export function compareSplits(left: FileSplit, right: FileSplit): number {
  if (left.path !== right.path) return left.path < right.path ? -1 : 1;
  return left.start - right.start;
}

/** FNV-1a over the UTF-16 units: it only spreads. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
