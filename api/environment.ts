/** The environment in which a job's builder declares its sources: the root of all of a job's streams. */
import type { Schema } from '../core/schema.js';
import { DEAD_LETTERS_OUTPUT, MAIN_OUTPUT } from '../core/stream-graph.js';
import { deadLetterSchema } from './dead-letter.js';
import { originOf, type Declarations, type OperatorOptions } from './declarations.js';
import type { DeadLetter, Source, SourceSplit } from './source.js';
import { Stream } from './stream.js';
import type { WatermarkStrategy } from './watermarks.js';

/** The outputs of a source: its records, those behind their own split's watermark, and what could not be decoded. */
export class SourceStream<T> extends Stream<T> {
  readonly late: Stream<T>;
  readonly deadLetters: Stream<DeadLetter>;

  constructor(declarations: Declarations, name: string) {
    super(declarations, [originOf(name, MAIN_OUTPUT)]);
    this.late = new Stream<T>(declarations, [originOf(name, 'late')]);
    this.deadLetters = new Stream<DeadLetter>(declarations, [originOf(name, DEAD_LETTERS_OUTPUT)]);
  }
}

export class StreamEnvironment {
  readonly #declarations: Declarations;

  constructor(declarations: Declarations) {
    this.#declarations = declarations;
  }

  /**
   * Declares a source.
   * @throws MillraceError OPERATOR_NAME_DUPLICATE or OPERATOR_NAME_INVALID showing where
   */
  source<T, S extends SourceSplit>(
    name: string,
    source: Source<T, S>,
    options: OperatorOptions & { readonly watermarks?: WatermarkStrategy<T> } = {},
  ): SourceStream<T> {
    this.#declarations.declare({
      name,
      inputs: [],
      functions: {
        kind: 'source',
        source: source as unknown as Source<unknown>,
        watermarks: options.watermarks as WatermarkStrategy<unknown> | undefined,
      },
      outputs: new Map<string, Schema<unknown>>([
        [MAIN_OUTPUT, source.schema],
        ['late', source.schema],
        [DEAD_LETTERS_OUTPUT, deadLetterSchema],
      ]),
      connector: source.description,
      connectorInfo: source.info,
      options,
    });
    return new SourceStream<T>(this.#declarations, name);
  }
}
