/**
 * Keyed state as job authors declare and use it. A declaration is a value (kind, schema, TTL); the
 * handle behind `ctx.state.NAME` always speaks of the current key. Handles are valid only inside a
 * callback of the operator that declared them.
 */
import type { Schema } from '../core/schema.js';

export interface StateOptions {
  /** The entry is gone this long (processing time, ms) after it was last written. */
  readonly ttlMs?: number;
}

export interface ValueState<V> {
  /** undefined when nothing is stored. */
  value(): V | undefined;
  update(value: V): void;
  clear(): void;
}

/**
 * Elements in the order in which they were added. Each key has a list of its own, which is empty until
 * something is added.
 */
export interface ListState<E> {
  /**
   * The elements, which may be gone through any number of times within the callback; a large list is
   * read as that goes on, so whoever wants an array makes one: `[...list.get()]`. Elements that are
   * added while somebody goes through the list are met or not met.
   */
  get(): Iterable<E>;
  add(element: E): void;
  /** @param elements may come from this list; should taking them fail half way, some of them may stay */
  addAll(elements: Iterable<E>): void;
  /** These are all the elements from now on. @param elements as of `addAll` */
  update(elements: Iterable<E>): void;
  clear(): void;
}

export interface MapState<V> {
  get(key: string): V | undefined;
  put(key: string, value: V): void;
  has(key: string): boolean;
  remove(key: string): void;
  entries(): IterableIterator<[string, V]>;
  isEmpty(): boolean;
  clear(): void;
}

/**
 * A map that is the same in all subtasks of an operator, as the stream beside the broadcast one sees
 * it. Values are frozen copies of what was put.
 */
export interface ReadOnlyBroadcastState<V> {
  get(key: string): V | undefined;
  has(key: string): boolean;
  /** In the order in which the keys were first put. */
  entries(): IterableIterator<[string, V]>;
  isEmpty(): boolean;
}

/** The same map as the broadcast stream sees it, whose records alone may change it. */
export interface BroadcastState<V> extends ReadOnlyBroadcastState<V> {
  /** @throws MillraceError SCHEMA_MISMATCH for a value that the declared schema doesn't describe */
  put(key: string, value: V): void;
  remove(key: string): void;
  clear(): void;
}

export interface ReducingState<V> {
  get(): V | undefined;
  add(value: V): void;
  clear(): void;
}

export interface AggregatingState<I, O> {
  get(): O | undefined;
  add(input: I): void;
  clear(): void;
}

export interface ValueStateDescriptor<V> extends StateOptions {
  readonly kind: 'value';
  readonly schema: Schema<V>;
}
export interface ListStateDescriptor<E> extends StateOptions {
  readonly kind: 'list';
  readonly schema: Schema<E>;
}
export interface MapStateDescriptor<V> extends StateOptions {
  readonly kind: 'map';
  readonly schema: Schema<V>;
}
export interface ReducingStateDescriptor<V> extends StateOptions {
  readonly kind: 'reducing';
  readonly schema: Schema<V>;
  readonly reduce: (a: V, b: V) => V;
}
export interface AggregatingStateDescriptor<I, A, O> extends StateOptions {
  readonly kind: 'aggregating';
  readonly schema: Schema<A>;
  readonly createAccumulator: () => A;
  readonly add: (accumulator: A, input: I) => A;
  readonly getResult: (accumulator: A) => O;
}

/** What every descriptor has in common; the functions of reducing and aggregating state stay with their own types. */
export interface StateDescriptor extends StateOptions {
  readonly kind: 'value' | 'list' | 'map' | 'reducing' | 'aggregating';
  readonly schema: Schema<unknown>;
}

/** The handle type of each declared state. */
export type StateHandles<D> = {
  readonly [K in keyof D]: D[K] extends ValueStateDescriptor<infer V>
    ? ValueState<V>
    : D[K] extends ListStateDescriptor<infer E>
      ? ListState<E>
      : D[K] extends MapStateDescriptor<infer V>
        ? MapState<V>
        : D[K] extends ReducingStateDescriptor<infer V>
          ? ReducingState<V>
          : D[K] extends AggregatingStateDescriptor<infer I, infer _A, infer O>
            ? AggregatingState<I, O>
            : never;
};

/** What `.broadcast()` declares: maps from string, which can't expire. */
export type BroadcastStates = Readonly<Record<string, MapStateDescriptor<unknown>>>;

/** The handle type of each declared broadcast state. */
export type BroadcastStateHandles<B> = {
  readonly [N in keyof B]: B[N] extends MapStateDescriptor<infer V> ? BroadcastState<V> : never;
};
export type ReadOnlyBroadcastStateHandles<B> = {
  readonly [N in keyof B]: B[N] extends MapStateDescriptor<infer V>
    ? ReadOnlyBroadcastState<V>
    : never;
};

export function valueState<V>(
  schema: Schema<V>,
  options: StateOptions = {},
): ValueStateDescriptor<V> {
  return { ...options, kind: 'value', schema };
}

export function listState<E>(
  schema: Schema<E>,
  options: StateOptions = {},
): ListStateDescriptor<E> {
  return { ...options, kind: 'list', schema };
}

/** A map from string to the schema's type. */
export function mapState<V>(schema: Schema<V>, options: StateOptions = {}): MapStateDescriptor<V> {
  return { ...options, kind: 'map', schema };
}

export function reducingState<V>(
  schema: Schema<V>,
  reduce: (a: V, b: V) => V,
  options: StateOptions = {},
): ReducingStateDescriptor<V> {
  return { ...options, kind: 'reducing', schema, reduce };
}

export function aggregatingState<I, A, O>(
  schema: Schema<A>,
  aggregate: {
    readonly createAccumulator: () => A;
    readonly add: (accumulator: A, input: I) => A;
    readonly getResult: (accumulator: A) => O;
  },
  options: StateOptions = {},
): AggregatingStateDescriptor<I, A, O> {
  return { ...options, kind: 'aggregating', schema, ...aggregate };
}
