/**
 * The scoring operator: gathers records into batches, has them scored in the worker's pool, and emits
 * results in the order of the records. Watermarks keep their place between batches. What is in flight
 * is bounded; before a barrier everything in flight comes out, so a snapshot holds none of it.
 */
import { MillraceError } from '../../core/errors.js';
import {
  compileRecordCodec,
  type RecordBuilder,
  type RecordCodec,
} from '../../core/record-codec.js';
import type { Schema } from '../../core/schema.js';
import { schemaToJson } from '../../core/schema-json.js';
import type { ScoringService } from '../compute/scoring-service.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import type { OperatorOutput } from './operator.js';
import { userCodeError } from './user-code.js';

export interface ScoreOperatorOptions {
  readonly name: string;
  readonly modulePath: string;
  /** As the job names the module. */
  readonly moduleName: string;
  readonly input: Schema<unknown>;
  readonly result: Schema<unknown>;
  readonly select: (record: unknown) => unknown;
  readonly combine: (record: unknown, score: unknown) => unknown;
  readonly batchSize: number;
  readonly maxWaitMs: number;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly service: ScoringService;
  readonly output: OperatorOutput;
  readonly setTimer: (delayMs: number, callback: () => void) => () => void;
  /** Has `task` run inside the task's mailbox, so that results never come out amid a batch of records. */
  readonly runInMailbox: (task: () => void) => void;
}

interface Batch {
  readonly kind: 'batch';
  readonly records: readonly unknown[];
  readonly timestamps: readonly number[];
  readonly chunk: Uint8Array;
  /** Undefined until its call has come back. */
  scores: readonly unknown[] | undefined;
}

/** What waits in order: a batch with its results once they are there, or a mark between batches. */
type Entry =
  | Batch
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'status'; readonly idle: boolean };

export class ScoreOperator extends AbstractStreamOperator {
  readonly #options: ScoreOperatorOptions;
  readonly #results: RecordCodec<unknown>;
  readonly #builder: RecordBuilder<unknown>;
  readonly #inputSchema: string;
  readonly #outputSchema: string;
  readonly #queue: Entry[] = [];
  /** Batches that wait for their call: one chunk of input may hold more than are allowed at once. */
  readonly #unsent: Batch[] = [];
  readonly #waiting: (() => void)[] = [];
  #records: unknown[] = [];
  #timestamps: number[] = [];
  /** Calls that have not come back. */
  #inFlight = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(options: ScoreOperatorOptions) {
    super(options.name);
    this.#options = options;
    this.#builder = compileRecordCodec(options.input).builder();
    this.#results = compileRecordCodec(options.result);
    this.#inputSchema = JSON.stringify(schemaToJson(options.input));
    this.#outputSchema = JSON.stringify(schemaToJson(options.result));
  }

  processElement(value: unknown, timestamp: number): void {
    try {
      this.#builder.append(this.#options.select(value), timestamp);
    } catch (error) {
      throw userCodeError(error, this.name, 'select', value);
    }
    this.#records.push(value);
    this.#timestamps.push(timestamp);
    if (this.#records.length >= this.#options.batchSize) this.#submit();
    else if (this.#records.length === 1) {
      this.#cancelTimer = this.#options.setTimer(this.#options.maxWaitMs, () =>
        this.#options.runInMailbox(() => this.#submit()),
      );
    }
  }

  processWatermark(timestamp: number): void {
    this.#mark({ kind: 'watermark', timestamp });
  }

  processWatermarkStatus(idle: boolean): void {
    this.#mark({ kind: 'status', idle });
  }

  override suspended(): Promise<void> | undefined {
    if (this.#inFlight < this.#options.concurrency) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  override drain(): Promise<void> | undefined {
    this.#submit();
    if (this.#queue.length === 0) return undefined;
    return this.#drained();
  }

  override close(): Promise<void> {
    this.#cancelTimer?.();
    return Promise.resolve();
  }

  async #drained(): Promise<void> {
    while (this.#queue.length > 0)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #mark(entry: Entry): void {
    this.#submit();
    this.#queue.push(entry);
    this.#emitReady();
  }

  #submit(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#records.length === 0) return;
    const batch: Batch = {
      kind: 'batch',
      records: this.#records,
      timestamps: this.#timestamps,
      chunk: this.#builder.finish(),
      scores: undefined,
    };
    this.#records = [];
    this.#timestamps = [];
    this.#queue.push(batch);
    this.#unsent.push(batch);
    this.#send();
  }

  #send(): void {
    while (this.#inFlight < this.#options.concurrency) {
      const batch = this.#unsent.shift();
      if (batch === undefined) return;
      this.#inFlight++;
      this.#call(batch);
    }
  }

  #call(batch: Batch): void {
    const { service, modulePath, moduleName, timeoutMs, runInMailbox } = this.#options;
    service
      .score({
        modulePath,
        moduleName,
        inputSchema: this.#inputSchema,
        outputSchema: this.#outputSchema,
        chunk: batch.chunk,
        timeoutMs,
      })
      .then(
        (chunk) => runInMailbox(() => this.#scored(batch, chunk)),
        (error: unknown) =>
          runInMailbox(() => {
            throw userCodeError(error, this.name, 'score', batch.records[0]);
          }),
      );
  }

  #scored(batch: Batch, chunk: Uint8Array): void {
    const { values, count } = this.#results.decode(chunk, {
      values: [],
      timestamps: new Float64Array(0),
      count: 0,
    });
    if (count !== batch.records.length) {
      throw new MillraceError(
        'SCORE_FAILED',
        `"${this.name}" got ${count} results for ${batch.records.length} records; score() must return one per record`,
        { location: { operator: this.name } },
      );
    }
    batch.scores = values;
    this.#inFlight--;
    this.#send();
    this.#emitReady();
  }

  #emitReady(): void {
    const { combine, output } = this.#options;
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (head.kind === 'watermark') output.emitWatermark(head.timestamp);
      else if (head.kind === 'status') output.emitWatermarkStatus(head.idle);
      else {
        if (head.scores === undefined) break;
        for (let i = 0; i < head.records.length; i++) {
          let combined: unknown;
          try {
            combined = combine(head.records[i], head.scores[i]);
          } catch (error) {
            throw userCodeError(error, this.name, 'combine', head.records[i]);
          }
          output.collect(combined, head.timestamps[i] ?? -Infinity);
        }
      }
      this.#queue.shift();
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
