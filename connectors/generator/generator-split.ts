/**
 * A split of a generator: every n-th index, beginning with its own number. All splits therefore
 * move through the index, and so through event time, side by side.
 */
import { t, type Schema } from '../../api/schema.js';
import type { SourceSplit } from '../../api/source.js';

export interface GeneratorSplit extends SourceSplit {
  /** The index of the next record; it grows by `stride`. */
  readonly next: number;
  /** The number of splits when the job first ran. */
  readonly stride: number;
}

export const generatorSplitSchema: Schema<GeneratorSplit> = t.record({
  id: t.string,
  ordinal: t.int32,
  next: t.float64,
  stride: t.int32,
});

/** The splits of a fresh generator: split s begins at index s. */
export function generatorSplits(stride: number): readonly GeneratorSplit[] {
  return Array.from({ length: stride }, (_, ordinal) => ({
    id: `generator#${String(ordinal)}`,
    ordinal,
    next: ordinal,
    stride,
  }));
}
