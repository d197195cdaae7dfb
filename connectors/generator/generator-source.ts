/**
 * A source that makes its records: record i is `generate(i)`, so a restored reader continues with
 * exactly the records that it would have made. It must never keep a record or read the wall clock.
 */
import type { Schema } from '../../api/schema.js';
import type { Source } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
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
 * @throws MillraceError PARAM_INVALID naming the option that is out of its range
 */
export function generatorSource<T>(options: GeneratorOptions<T>): Source<T, GeneratorSplit> {
  const { schema, generate, count, ratePerSecond } = options;
  const splits = options.splits ?? SPLITS_DEFAULT;
  if (!Number.isInteger(splits) || splits < 1 || splits > SPLITS_MAX) {
    throw outOfRange('splits', splits, `a whole number from 1 to ${String(SPLITS_MAX)}`);
  }
  if (count !== undefined && (!Number.isSafeInteger(count) || count < 0)) {
    throw outOfRange('count', count, 'a whole number, 0 or more');
  }
  if (ratePerSecond !== undefined && !(ratePerSecond > 0 && Number.isFinite(ratePerSecond))) {
    throw outOfRange('ratePerSecond', ratePerSecond, 'a number above 0');
  }
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

function outOfRange(option: string, value: number, range: string): MillraceError {
  return new MillraceError(
    'PARAM_INVALID',
    `generatorSource: ${option} is ${String(value)}; give ${range}`,
  );
}
