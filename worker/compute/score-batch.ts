/**
 * Scores one chunk: decode, call, check, encode. When the call throws, the batch is halved until
 * the first record that fails alone is found, which costs no more than scoring the batch again.
 */
import { MillraceError } from '../../core/errors.js';
import type { DecodedChunk } from '../../core/record-codec.js';
import { recordText } from '../../core/record-text.js';
import type { ScoringModule } from './scoring-module.js';

/**
 * @returns chunk of the results, in an ArrayBuffer of its own
 * @throws MillraceError SCORE_FAILED naming module, index, record and the user's message
 */
export async function scoreBatch(module: ScoringModule, chunk: Uint8Array): Promise<Uint8Array> {
  const decoded = module.input.decode(chunk, {
    values: [],
    timestamps: new Float64Array(0),
    count: 0,
  });
  let results: unknown;
  try {
    results = await module.score(decoded.values);
  } catch (error) {
    throw await failedRecord(module, decoded.values, error);
  }
  return encodeResults(module, decoded, results);
}

function encodeResults(
  module: ScoringModule,
  decoded: DecodedChunk<unknown>,
  results: unknown,
): Uint8Array {
  const { count, values, timestamps } = decoded;
  if (!Array.isArray(results) || results.length !== count) {
    const got = Array.isArray(results) ? `${String(results.length)} results` : typeof results;
    throw new MillraceError(
      'SCORE_FAILED',
      `scoring module '${module.name}' returned ${got} for ${String(count)} records; return an array with one result per record, in their order`,
    );
  }
  const builder = module.output.builder(count);
  for (let i = 0; i < count; i++) {
    try {
      builder.append(results[i], timestamps[i] ?? -Infinity);
    } catch (cause) {
      throw recordError(module, i, count, values[i], 'returned an unfit result', cause);
    }
  }
  return builder.finish();
}

async function failedRecord(
  module: ScoringModule,
  records: readonly unknown[],
  error: unknown,
): Promise<MillraceError> {
  let low = 0;
  let high = records.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const left = await failureOf(module, records.slice(low, middle));
    if (left === undefined) low = middle;
    else high = middle;
  }
  const alone = high > low ? await failureOf(module, records.slice(low, high)) : undefined;
  if (alone !== undefined) {
    return recordError(module, low, records.length, records[low], 'failed', alone.error);
  }
  return new MillraceError(
    'SCORE_FAILED',
    `scoring module '${module.name}' failed on a batch of ${String(records.length)} records but on none of them alone: ${messageOf(error)}; make score() independent of what else is in the batch`,
    { cause: error },
  );
}

async function failureOf(
  module: ScoringModule,
  records: readonly unknown[],
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await module.score(records);
    return undefined;
  } catch (error) {
    return { error };
  }
}

function recordError(
  module: ScoringModule,
  index: number,
  count: number,
  value: unknown,
  what: string,
  cause: unknown,
): MillraceError {
  const record = recordText(value);
  return new MillraceError(
    'SCORE_FAILED',
    `scoring module '${module.name}' ${what} on record ${String(index)} of ${String(count)}, ${record}: ${messageOf(cause)}; correct the module, or filter such records before scoring`,
    { cause, location: { record } },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
