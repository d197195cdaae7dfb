/**
 * What a job's builder collects: the description of each operator (plain data, for the graph) beside
 * its functions (which stay in this process). The worker finds an operator's functions by its name.
 * Job authors never see this; they use streams.
 */
import type { Schema } from '../core/schema.js';
import type { StreamNode } from '../core/stream-graph.js';
import type { KeyedBroadcastProcessFunction } from './broadcast-functions.js';
import type { BroadcastStates, StateDescriptor } from './state.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';
import type { Key } from '../core/key-codec.js';
import type { AggregateFunction, ProcessFunction, SideOutputs } from './functions.js';
import type { WatermarkStrategy } from './watermarks.js';

/** The functions of an operator with their types erased; each kind is called only with what its own stream carries. */
export type OperatorFunctions =
  | {
      readonly kind: 'source';
      readonly source: Source<unknown>;
      readonly watermarks: WatermarkStrategy<unknown> | undefined;
    }
  | { readonly kind: 'map'; readonly map: (record: unknown) => unknown }
  | { readonly kind: 'filter'; readonly filter: (record: unknown) => boolean }
  | { readonly kind: 'flatMap'; readonly flatMap: (record: unknown) => Iterable<unknown> }
  | {
      readonly kind: 'process';
      readonly process: ProcessFunction<
        Key,
        unknown,
        Readonly<Record<string, StateDescriptor>>,
        unknown,
        SideOutputs
      >;
    }
  | {
      /** Beside a stream without key it has neither state nor timers. */
      readonly kind: 'broadcastProcess';
      readonly process: KeyedBroadcastProcessFunction<
        Key,
        unknown,
        unknown,
        Readonly<Record<string, StateDescriptor>>,
        BroadcastStates,
        unknown,
        SideOutputs
      >;
      readonly broadcastStates: BroadcastStates;
    }
  | {
      readonly kind: 'window';
      readonly sizeMs: number;
      readonly offsetMs: number;
      readonly allowedLatenessMs: number;
      readonly aggregate: AggregateFunction<Key, unknown, unknown, unknown>;
    }
  | {
      readonly kind: 'score';
      readonly module: string;
      readonly input: Schema<unknown>;
      readonly output: Schema<unknown>;
      readonly select: (record: unknown) => unknown;
      readonly combine: (record: unknown, score: unknown) => unknown;
      readonly batchSize: number;
      readonly maxWaitMs: number;
      readonly timeoutMs: number;
      /** Batches handed to the pool and not yet answered, per subtask. */
      readonly concurrency: number;
    }
  | { readonly kind: 'sink'; readonly sink: Sink<unknown> };

export type KeySelector = (record: unknown) => Key;

export interface Transformation {
  readonly node: StreamNode;
  readonly functions: OperatorFunctions;
  /** Per input, parallel to node.inputs: how to find the key of its records; undefined when unkeyed. */
  readonly keySelectors: readonly (KeySelector | undefined)[];
  /** Output name -> schema; undefined where records travel without one. */
  readonly outputSchemas: ReadonlyMap<string, Schema<unknown> | undefined>;
}
