/** What the tests of scoring share: schemas, a clock, and requests in terms of records. */
import { fileURLToPath } from 'node:url';
import * as t from '../../../api/schema-builder.js';
import type { Clock } from '../../../core/clock.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import { schemaToJson } from '../../../core/schema-json.js';
import type { Infer } from '../../../core/schema.js';
import type { ScoringRequest, ScoringService } from '../../../worker/compute/scoring-service.js';

const Transaction = t.record({ id: t.string, price: t.float64 });
const Scored = t.record({ id: t.string, risk: t.float64 });
export type Transaction = Infer<typeof Transaction>;
export type Scored = Infer<typeof Scored>;

const input = compileRecordCodec(Transaction);
const output = compileRecordCodec(Scored);
const inputSchema = JSON.stringify(schemaToJson(Transaction));
const outputSchema = JSON.stringify(schemaToJson(Scored));

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Absolute path of a module beside this file. */
export function modulePath(name: string): string {
  return fileURLToPath(new URL(`modules/${name}.js`, import.meta.url));
}

export function requestOf(
  path: string,
  records: readonly Transaction[],
  timeoutMs = 60_000,
): ScoringRequest {
  const timestamps = new Float64Array(records.length);
  return {
    modulePath: path,
    moduleName: path,
    inputSchema,
    outputSchema,
    chunk: input.encode(records, timestamps),
    timeoutMs,
  };
}

/** Scores records and opens the results. */
export async function ask(
  service: ScoringService,
  path: string,
  records: readonly Transaction[],
  timeoutMs?: number,
): Promise<readonly Scored[]> {
  const chunk = await service.score(requestOf(path, records, timeoutMs));
  return output.decode(chunk, { values: [], timestamps: new Float64Array(0), count: 0 }).values;
}

export function transactions(count: number): readonly Transaction[] {
  return Array.from({ length: count }, (_, i) => ({ id: `tx-${String(i)}`, price: i }));
}
