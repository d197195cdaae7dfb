/**
 * A source that makes its records: record i is `generate(i)`, so a restored reader continues with
 * exactly the records that it would have made. It must never keep a record or read the wall clock.
 */
import type { Schema } from '../../api/schema.js';
import type { Source } from '../../api/source.js';
import {
  callback,
  checkOptions,
  fitting,
  optional,
  schema as schemaRule,
  wholeNumber,
} from '../../core/option-check.js';
import { GeneratorReader } from './generator-reader.js';
import { generatorSplits, generatorSplitSchema, type GeneratorSplit } from './generator-split.js';

export interface GeneratorOptions<T> {
  readonly schema: Schema<T>;
  /** Record number `index`, counted from 0. The same index must always give the same record. */
  readonly generate: (index: number) => T;
  /** Indices 0..count-1 are generated; without it the source never ends. */
  readonly count?: number;
  /** Records per second over all splits; without it as fast as the job takes them. */
  readonly ratePerSecond?: number;
  /**
   * Splits, 1..32768, fixed for the life of the job's state; 8 by default. Split s of n makes the
   * indices s, s + n, s + 2n, ... in that order.
   */
  readonly splits?: number;
}

const SPLITS_DEFAULT = 8;
const SPLITS_MAX = 32_768;

/**
 * A source of generated records.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function generatorSource<T>(options: GeneratorOptions<T>): Source<T, GeneratorSplit> {
  const given = checkOptions('generatorSource', options, {
    schema: schemaRule,
    generate: callback('(index) => record'),
    count: optional(wholeNumber(0)),
    ratePerSecond: optional(
      fitting('a number above 0', (value) => Number.isFinite(value) && Number(value) > 0),
    ),
    splits: optional(
      fitting(
        `a whole number from 1 to ${String(SPLITS_MAX)}`,
        (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= SPLITS_MAX,
      ),
    ),
  });
  const { schema, generate, count, ratePerSecond, splits = SPLITS_DEFAULT } = given;
  return {
    description: count === undefined ? 'generator' : `generator of ${String(count)} records`,
    schema,
    splitSchema: generatorSplitSchema,
    bounded: count !== undefined,
    discoverSplits: () => Promise.resolve(generatorSplits(splits)),
    createReader: (context) =>
      new GeneratorReader(generate, {
        count: count ?? Infinity,
        ratePerSecond: ratePerSecond ?? Infinity,
        stride: splits,
        clock: context.clock,
      }),
  };
}
