/**
 * The user functions of the keyed operators and what they are given. All of them are synchronous:
 * what has to wait belongs in the scoring operator. Contexts and handles are reused between calls
 * and must not be kept.
 */
import type { Infer, Schema } from '../core/schema.js';

import type { StateDescriptor, StateHandles } from './state.js';

export interface TimerService {
  /** One timer per key and timestamp. Fires when the watermark reaches `timestamp` (ms). */
  registerEventTimeTimer(timestamp: number): void;
  deleteEventTimeTimer(timestamp: number): void;
  /** Fires when the worker's clock reaches `timestamp` (ms since the epoch). */
  registerProcessingTimeTimer(timestamp: number): void;
  deleteProcessingTimeTimer(timestamp: number): void;
}

export type SideOutputs = Readonly<Record<string, Schema<unknown>>>;

export interface ProcessContext<K, D, Out, Sides> {
  readonly key: K;
  readonly state: StateHandles<D>;
  readonly timers: TimerService;
  /** Event time of the record or timer being handled; -Infinity for a record without one. */
  readonly timestamp: number;
  /** The operator's watermark (ms); -Infinity before the first. */
  readonly watermark: number;
  /** Processing time, ms since the epoch. */
  readonly processingTime: number;
  collect(record: Out): void;
  sideOutput<N extends keyof Sides>(name: N, record: Infer<Sides[N]>): void;
}

export interface TimerContext<K, D, Out, Sides> extends ProcessContext<K, D, Out, Sides> {
  readonly timeDomain: 'eventTime' | 'processingTime';
}

export interface ProcessFunction<
  K,
  In,
  D extends Readonly<Record<string, StateDescriptor>>,
  Out,
  Sides extends SideOutputs,
> {
  readonly state?: D;
  /** Schema of what `collect` takes. */
  readonly output: Schema<Out>;
  readonly sideOutputs?: Sides;
  onElement(record: In, ctx: ProcessContext<K, D, Out, Sides>): void;
  onTimer?(timestamp: number, ctx: TimerContext<K, D, Out, Sides>): void;
}

/** A window of event time: start inclusive, end exclusive, ms. */
export interface TimeWindow {
  readonly start: number;
  readonly end: number;
}

export interface AggregateFunction<K, In, A, Out> {
  readonly accumulator: Schema<A>;
  readonly output: Schema<Out>;
  createAccumulator(): A;
  /** Returns the accumulator to keep; may change and return the one it was given. */
  add(accumulator: A, record: In): A;
  getResult(accumulator: A, key: K, window: TimeWindow): Out;
}

/** What a scoring module exports as `score`: as many results as records, in order. */
export type ScoreFunction<In, Out> = (
  records: readonly In[],
) => readonly Out[] | Promise<readonly Out[]>;
