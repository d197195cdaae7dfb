/** A user's scoring module, loaded and joined with the codecs of its records and results. */
import { pathToFileURL } from 'node:url';
import type { ScoreFunction } from '../../api/functions.js';
import { MillraceError } from '../../core/errors.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { schemaFromJson } from '../../core/schema-json.js';
import type { ScoringTask } from './scoring-task.js';

export interface ScoringModule {
  /** As the job names it. */
  readonly name: string;
  readonly score: ScoreFunction<unknown, unknown>;
  readonly input: RecordCodec<unknown>;
  readonly output: RecordCodec<unknown>;
}

/** @throws MillraceError SCORE_FAILED when the module can't be loaded or exports no `score` */
export async function loadScoringModule(task: ScoringTask): Promise<ScoringModule> {
  const { modulePath, moduleName: name, inputSchema, outputSchema } = task;
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = (await import(pathToFileURL(modulePath).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'SCORE_FAILED',
      `scoring module '${name}' can't be loaded: ${message}; check that the job names an existing module and that it imports cleanly`,
      { cause },
    );
  }
  const { score } = exported;
  if (typeof score !== 'function') {
    throw new MillraceError(
      'SCORE_FAILED',
      `scoring module '${name}' exports no function 'score'; add 'export function score(records)' that returns one result per record`,
    );
  }
  return {
    name,
    score: score as ScoreFunction<unknown, unknown>,
    input: compileRecordCodec(schemaFromJson(JSON.parse(inputSchema))),
    output: compileRecordCodec(schemaFromJson(JSON.parse(outputSchema))),
  };
}
