/**
 * Scoring without a pool, for the local runner: the module is imported and called in the same thread.
 * It encodes and decodes like the pool does, so that schemas are checked here too.
 */
import { pathToFileURL } from 'node:url';
import type { ScoreFunction } from '../../api/functions.js';
import { MillraceError } from '../../core/errors.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { schemaFromJson } from '../../core/schema-json.js';
import type { ScoringRequest, ScoringService } from '../compute/scoring-service.js';

interface LoadedModule {
  readonly score: ScoreFunction<unknown, unknown>;
  readonly input: RecordCodec<unknown>;
  readonly output: RecordCodec<unknown>;
}

export class InThreadScoring implements ScoringService {
  readonly #modules = new Map<string, Promise<LoadedModule>>();

  async score(request: ScoringRequest): Promise<Uint8Array> {
    let loading = this.#modules.get(request.modulePath);
    if (loading === undefined) {
      loading = load(request);
      this.#modules.set(request.modulePath, loading);
    }
    const { score, input, output } = await loading;
    const chunk = input.decode(request.chunk, {
      values: [],
      timestamps: new Float64Array(0),
      count: 0,
    });
    const results = await score(chunk.values.slice(0, chunk.count));
    return output.encode(results, chunk.timestamps, results.length);
  }
}

async function load(request: ScoringRequest): Promise<LoadedModule> {
  const module = (await import(pathToFileURL(request.modulePath).href)) as {
    score?: ScoreFunction<unknown, unknown>;
  };
  if (typeof module.score !== 'function') {
    throw new MillraceError(
      'SCORE_FAILED',
      `${request.moduleName} exports no function "score"; export const score: ScoreFunction<...>`,
    );
  }
  return {
    score: module.score,
    input: compileRecordCodec(schemaFromJson(JSON.parse(request.inputSchema))),
    output: compileRecordCodec(schemaFromJson(JSON.parse(request.outputSchema))),
  };
}
