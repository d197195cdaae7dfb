/**
 * Streams: what job authors chain operators onto. A stream only records declarations; nothing runs
 * until the graph is deployed. Types flow from the source's schema to the sink.
 */
import { MillraceError } from '../core/errors.js';
import type { Key } from '../core/key-codec.js';
import type { Infer, Schema } from '../core/schema.js';
import { schemaToJson } from '../core/schema-json.js';
import { MAIN_OUTPUT, type Partitioning } from '../core/stream-graph.js';
import {
  originOf,
  type Declarations,
  type OperatorOptions,
  type StreamOrigin,
} from './declarations.js';
import type {
  BroadcastProcessFunction,
  KeyedBroadcastProcessFunction,
} from './broadcast-functions.js';
import { BroadcastStream } from './broadcast-stream.js';
import type { AggregateFunction, ProcessFunction, SideOutputs } from './functions.js';
import { declareProcess, type ProcessDeclaration } from './process-declaration.js';
import type { Sink } from './sink.js';
import type { BroadcastStates, StateDescriptor } from './state.js';
import type { KeySelector, OperatorFunctions } from './transformation.js';
import type { TumblingWindows } from './windows.js';

export interface OutputOptions<Out> extends OperatorOptions {
  /** Schema of the result: gives the fast codec and checks what the function returns. */
  readonly output?: Schema<Out>;
}

export interface ScoreOptions<In, Features, Score, Out> extends OperatorOptions {
  /** Path of the scoring module, relative to the job file. It exports `score: ScoreFunction<Features, Score>`. */
  readonly module: string;
  readonly input: Schema<Features>;
  readonly result: Schema<Score>;
  readonly output?: Schema<Out>;
  /** What the model is given of a record. */
  readonly select: (record: In) => Features;
  /** The record that goes on, made of the input record and its score. */
  readonly combine: (record: In, score: Score) => Out;
  /** Records handed over together; 256 unless told. */
  readonly batchSize?: number;
  /** How long a record waits for its batch to fill (ms); 5 unless told. */
  readonly maxWaitMs?: number;
  /** A call that takes longer fails the task (ms); 10,000 unless told. */
  readonly timeoutMs?: number;
  /** Batches in flight per subtask; 4 unless told. */
  readonly concurrency?: number;
}

/** A stream whose operator has further outputs beside the main one. */
export type StreamWithSideOutputs<Out, Sides extends SideOutputs> = Stream<Out> & {
  sideOutput<N extends keyof Sides & string>(name: N): Stream<Infer<Sides[N]>>;
};

type Functions<Kind> = Extract<OperatorFunctions, { readonly kind: Kind }>;

export class Stream<T> {
  readonly #declarations: Declarations;
  readonly #origins: readonly StreamOrigin[];

  /** Made by the environment and by other streams. */
  constructor(declarations: Declarations, origins: readonly StreamOrigin[]) {
    this.#declarations = declarations;
    this.#origins = origins;
  }

  map<Out>(name: string, map: (record: T) => Out, options: OutputOptions<Out> = {}): Stream<Out> {
    return this.#declare(
      name,
      { kind: 'map', map: map as (record: unknown) => unknown },
      options,
      options.output,
    );
  }

  filter<Out extends T>(
    name: string,
    filter: (record: T) => record is Out,
    options?: OutputOptions<Out>,
  ): Stream<Out>;
  filter(name: string, filter: (record: T) => boolean, options?: OutputOptions<T>): Stream<T>;
  filter(name: string, filter: (record: T) => boolean, options: OutputOptions<T> = {}): Stream<T> {
    return this.#declare(
      name,
      { kind: 'filter', filter: filter as (record: unknown) => boolean },
      options,
      options.output ?? this.#schema(),
    );
  }

  flatMap<Out>(
    name: string,
    flatMap: (record: T) => Iterable<Out>,
    options: OutputOptions<Out> = {},
  ): Stream<Out> {
    return this.#declare(
      name,
      { kind: 'flatMap', flatMap: flatMap as (record: unknown) => Iterable<unknown> },
      options,
      options.output,
    );
  }

  /** Records of both streams, in no particular order. */
  union(...others: readonly Stream<T>[]): Stream<T> {
    for (const other of others) {
      if (other.#declarations !== this.#declarations) {
        throw new MillraceError('JOB_INVALID', 'union of streams of two jobs; build both in one');
      }
    }
    return new Stream<T>(this.#declarations, [
      ...this.#origins,
      ...others.flatMap((other) => other.#origins),
    ]);
  }

  /** Spreads records evenly over the next operator's subtasks. */
  rebalance(): Stream<T> {
    return new Stream<T>(this.#declarations, this.#repartitioned('rebalance'));
  }

  /**
   * Sends every record to all subtasks of the operator that the result is connected to, where its
   * records, and no others, may change the given states.
   * @param states each a `mapState` without a time to live, found in a savepoint by its name
   */
  broadcast<B extends BroadcastStates>(states: B): BroadcastStream<T, B> {
    return new BroadcastStream<T, B>(this.#declarations, this.#repartitioned('broadcast'), states);
  }

  /** Joins a broadcast stream, of which every subtask gets every record. */
  connect<Broadcast, B extends BroadcastStates>(
    broadcast: BroadcastStream<Broadcast, B>,
  ): BroadcastConnectedStream<T, Broadcast, B> {
    return new BroadcastConnectedStream(
      this.#declarations,
      broadcast.connected(this.#declarations, this.#origins),
      broadcast.states,
    );
  }

  /**
   * Records with the same key go to the same subtask and share keyed state. A key is a string, number,
   * bigint or boolean, or a flat tuple or record of those.
   */
  keyBy<K extends Key>(key: (record: T) => K): KeyedStream<T, K> {
    const origins = this.#origins.map((origin): StreamOrigin => ({
      edge: {
        from: origin.edge.from,
        output: origin.edge.output,
        partitioning: 'hash',
      },
      key: key as KeySelector,
    }));
    return new KeyedStream<T, K>(this.#declarations, origins, this.#repartitioned('forward'));
  }

  /** Runs a CPU-heavy scoring module in the worker's thread pool; results keep the order of the records. */
  score<Features, Score, Out>(
    name: string,
    options: ScoreOptions<T, Features, Score, Out>,
  ): Stream<Out> {
    const functions: OperatorFunctions = {
      kind: 'score',
      module: options.module,
      input: options.input,
      output: options.result,
      select: options.select as (record: unknown) => unknown,
      combine: options.combine as (record: unknown, score: unknown) => unknown,
      batchSize: options.batchSize ?? 256,
      maxWaitMs: options.maxWaitMs ?? 5,
      timeoutMs: options.timeoutMs ?? 10_000,
      concurrency: options.concurrency ?? 4,
    };
    this.#declarations.declare({
      name,
      inputs: this.#origins,
      functions,
      outputs: new Map([[MAIN_OUTPUT, options.output]]),
      module: options.module,
      options,
    });
    return new Stream<Out>(this.#declarations, [originOf(name, MAIN_OUTPUT)]);
  }

  /** Ends the stream in a sink, which must accept what the stream carries. */
  sinkTo<C>(name: string, sink: Sink<T, C>, options: OperatorOptions = {}): void {
    this.#declarations.declare({
      name,
      inputs: this.#origins,
      functions: { kind: 'sink', sink: sink as unknown as Sink<unknown> },
      outputs: new Map(),
      states: [
        { name: 'committables', kind: 'operator', schema: schemaToJson(sink.committableSchema) },
      ],
      connector: sink.description,
      exclusiveOutputs: sink.exclusiveOutputs,
      options,
    });
  }

  #declare<Out>(
    name: string,
    functions: OperatorFunctions,
    options: OperatorOptions,
    output: Schema<Out> | undefined,
  ): Stream<Out> {
    this.#declarations.declare({
      name,
      inputs: this.#origins,
      functions,
      outputs: new Map([[MAIN_OUTPUT, output]]),
      options,
    });
    return new Stream<Out>(this.#declarations, [originOf(name, MAIN_OUTPUT)]);
  }

  /** The schema that all origins share, if they do: a filter passes records on as they are. */
  #schema(): Schema<T> | undefined {
    const schemas = new Set(
      this.#origins.map((origin) =>
        this.#declarations.schemaOf(origin.edge.from, origin.edge.output),
      ),
    );
    const [schema] = schemas;
    return schemas.size === 1 ? (schema as Schema<T> | undefined) : undefined;
  }

  #repartitioned(partitioning: Partitioning): readonly StreamOrigin[] {
    return this.#origins.map((origin) => ({
      edge: { from: origin.edge.from, output: origin.edge.output, partitioning },
      key: undefined,
    }));
  }
}

function resultOf<Out, Sides extends SideOutputs>(
  declarations: Declarations,
  name: string,
): StreamWithSideOutputs<Out, Sides> {
  return Object.assign(new Stream<Out>(declarations, [originOf(name, MAIN_OUTPUT)]), {
    sideOutput: <N extends keyof Sides & string>(side: N) =>
      new Stream<Infer<Sides[N]>>(declarations, [originOf(name, side)]),
  });
}

/** A stream partitioned by key: its operators have keyed state and timers. */
export class KeyedStream<T, K extends Key> {
  readonly #declarations: Declarations;
  readonly #origins: readonly StreamOrigin[];
  readonly #unkeyed: readonly StreamOrigin[];

  constructor(
    declarations: Declarations,
    origins: readonly StreamOrigin[],
    unkeyed: readonly StreamOrigin[],
  ) {
    this.#declarations = declarations;
    this.#origins = origins;
    this.#unkeyed = unkeyed;
  }

  /** The same records without their key. */
  unkeyed(): Stream<T> {
    return new Stream<T>(this.#declarations, this.#unkeyed);
  }

  process<
    Out,
    D extends Readonly<Record<string, StateDescriptor>> = Record<never, never>,
    Sides extends SideOutputs = Record<never, never>,
  >(
    name: string,
    process: ProcessFunction<K, T, D, Out, Sides>,
    options: OperatorOptions = {},
  ): StreamWithSideOutputs<Out, Sides> {
    declareProcess(this.#declarations, {
      name,
      inputs: this.#origins,
      functions: {
        kind: 'process',
        process: process as unknown as Functions<'process'>['process'],
      },
      process,
      options,
    });
    return resultOf<Out, Sides>(this.#declarations, name);
  }

  /** Joins a broadcast stream, of which every subtask gets every record. */
  connect<Broadcast, B extends BroadcastStates>(
    broadcast: BroadcastStream<Broadcast, B>,
  ): KeyedBroadcastConnectedStream<T, K, Broadcast, B> {
    return new KeyedBroadcastConnectedStream(
      this.#declarations,
      broadcast.connected(this.#declarations, this.#origins),
      broadcast.states,
    );
  }

  window(windows: TumblingWindows): WindowedStream<T, K> {
    return new WindowedStream<T, K>(this.#declarations, this.#origins, windows);
  }
}

/** A stream and the broadcast one beside it, of which every subtask gets every record. */
class BroadcastConnection<B extends BroadcastStates> {
  readonly #declarations: Declarations;
  readonly #origins: readonly StreamOrigin[];
  readonly #states: B;

  constructor(declarations: Declarations, origins: readonly StreamOrigin[], states: B) {
    this.#declarations = declarations;
    this.#origins = origins;
    this.#states = states;
  }

  /** @param process of the type that belongs to whether the first stream has keys */
  protected declare<Out, Sides extends SideOutputs>(
    name: string,
    process: ProcessDeclaration['process'],
    options: OperatorOptions,
  ): StreamWithSideOutputs<Out, Sides> {
    declareProcess(this.#declarations, {
      name,
      inputs: this.#origins,
      functions: {
        kind: 'broadcastProcess',
        process: process as unknown as Functions<'broadcastProcess'>['process'],
        broadcastStates: this.#states,
      },
      process,
      broadcastStates: this.#states,
      options,
    });
    return resultOf<Out, Sides>(this.#declarations, name);
  }
}

/** A stream beside a broadcast one. */
export class BroadcastConnectedStream<
  T,
  Broadcast,
  B extends BroadcastStates,
> extends BroadcastConnection<B> {
  process<Out, Sides extends SideOutputs = Record<never, never>>(
    name: string,
    process: BroadcastProcessFunction<T, Broadcast, B, Out, Sides>,
    options: OperatorOptions = {},
  ): StreamWithSideOutputs<Out, Sides> {
    return this.declare(name, process, options);
  }
}

/** A keyed stream beside a broadcast one. */
export class KeyedBroadcastConnectedStream<
  T,
  K extends Key,
  Broadcast,
  B extends BroadcastStates,
> extends BroadcastConnection<B> {
  process<
    Out,
    D extends Readonly<Record<string, StateDescriptor>> = Record<never, never>,
    Sides extends SideOutputs = Record<never, never>,
  >(
    name: string,
    process: KeyedBroadcastProcessFunction<K, T, Broadcast, D, B, Out, Sides>,
    options: OperatorOptions = {},
  ): StreamWithSideOutputs<Out, Sides> {
    return this.declare(name, process, options);
  }
}

/** A keyed stream cut into event-time windows. */
export class WindowedStream<T, K extends Key> {
  readonly #declarations: Declarations;
  readonly #origins: readonly StreamOrigin[];
  readonly #windows: TumblingWindows;

  constructor(
    declarations: Declarations,
    origins: readonly StreamOrigin[],
    windows: TumblingWindows,
  ) {
    this.#declarations = declarations;
    this.#origins = origins;
    this.#windows = windows;
  }

  /** One result per key and window, with the window's last millisecond as its timestamp; `late` has what came too late. */
  aggregate<A, Out>(
    name: string,
    aggregate: AggregateFunction<K, T, A, Out>,
    options: OperatorOptions = {},
  ): Stream<Out> & { readonly late: Stream<T> } {
    const { sizeMs, offsetMs, allowedLatenessMs } = this.#windows;
    const input = this.#origins[0];
    this.#declarations.declare({
      name,
      inputs: this.#origins,
      functions: {
        kind: 'window',
        sizeMs,
        offsetMs,
        allowedLatenessMs,
        aggregate: aggregate as unknown as AggregateFunction<Key, unknown, unknown, unknown>,
      },
      outputs: new Map<string, Schema<unknown> | undefined>([
        [MAIN_OUTPUT, aggregate.output],
        [
          'late',
          input === undefined
            ? undefined
            : this.#declarations.schemaOf(input.edge.from, input.edge.output),
        ],
      ]),
      states: [
        { name: 'windowContents', kind: 'window', schema: schemaToJson(aggregate.accumulator) },
      ],
      options,
    });
    const declarations = this.#declarations;
    return Object.assign(new Stream<Out>(declarations, [originOf(name, MAIN_OUTPUT)]), {
      late: new Stream<T>(declarations, [originOf(name, 'late')]),
    });
  }
}
