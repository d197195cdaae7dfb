/**
 * The user functions of operators that read a broadcast stream beside their own, and what they are
 * given. Every subtask is given every broadcast record, so what `onBroadcastElement` does to the
 * broadcast state must depend on nothing else: that keeps the state the same in all of them.
 */
import type { Infer, Schema } from '../core/schema.js';
import type { ProcessContext, SideOutputs, TimerContext } from './functions.js';
import type {
  BroadcastStateHandles,
  BroadcastStates,
  ReadOnlyBroadcastStateHandles,
  StateDescriptor,
} from './state.js';

/** What all of these callbacks are given. */
interface BroadcastProcessContext<Out, Sides> {
  /** Event time of the record; -Infinity for a record without one. */
  readonly timestamp: number;
  /** The operator's watermark (ms), the least of both streams; -Infinity before the first. */
  readonly watermark: number;
  /** Processing time, ms since the epoch. */
  readonly processingTime: number;
  collect(record: Out): void;
  sideOutput<N extends keyof Sides>(name: N, record: Infer<Sides[N]>): void;
}

/** For a record of the broadcast stream, in every subtask: there is no key, hence no keyed state. */
export interface BroadcastContext<B, Out, Sides> extends BroadcastProcessContext<Out, Sides> {
  readonly broadcastState: BroadcastStateHandles<B>;
}

/** For a record of a stream without key. */
export interface ReadOnlyContext<B, Out, Sides> extends BroadcastProcessContext<Out, Sides> {
  readonly broadcastState: ReadOnlyBroadcastStateHandles<B>;
}

/** For a record of a keyed stream. */
export interface KeyedReadOnlyContext<K, D, B, Out, Sides> extends ProcessContext<
  K,
  D,
  Out,
  Sides
> {
  readonly broadcastState: ReadOnlyBroadcastStateHandles<B>;
}

export interface KeyedReadOnlyTimerContext<K, D, B, Out, Sides> extends TimerContext<
  K,
  D,
  Out,
  Sides
> {
  readonly broadcastState: ReadOnlyBroadcastStateHandles<B>;
}

/** Beside a stream without key. */
export interface BroadcastProcessFunction<
  In,
  Broadcast,
  B extends BroadcastStates,
  Out,
  Sides extends SideOutputs,
> {
  /** Schema of what `collect` takes. */
  readonly output: Schema<Out>;
  readonly sideOutputs?: Sides;
  onElement(record: In, ctx: ReadOnlyContext<B, Out, Sides>): void;
  onBroadcastElement(record: Broadcast, ctx: BroadcastContext<B, Out, Sides>): void;
}

/** Beside a keyed stream, whose side has keyed state and timers. */
export interface KeyedBroadcastProcessFunction<
  K,
  In,
  Broadcast,
  D extends Readonly<Record<string, StateDescriptor>>,
  B extends BroadcastStates,
  Out,
  Sides extends SideOutputs,
> {
  readonly state?: D;
  /** Schema of what `collect` takes. */
  readonly output: Schema<Out>;
  readonly sideOutputs?: Sides;
  onElement(record: In, ctx: KeyedReadOnlyContext<K, D, B, Out, Sides>): void;
  onBroadcastElement(record: Broadcast, ctx: BroadcastContext<B, Out, Sides>): void;
  onTimer?(timestamp: number, ctx: KeyedReadOnlyTimerContext<K, D, B, Out, Sides>): void;
}
