/**
 * The keyed process operator: user callbacks with keyed state, timers and side outputs (journey of a
 * record: operator chain -> keyed state). One context object serves all calls; it must never be kept.
 */
import type { ProcessFunction, SideOutputs, TimerContext } from '../../api/functions.js';
import type { ReadOnlyBroadcastState, StateDescriptor } from '../../api/state.js';
import type { Key } from '../../core/key-codec.js';
import type { KeyedStateBackend, TimeDomain } from '../state/keyed-state-backend.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import { ElementContext } from './element-context.js';
import { keysOf } from './batch-keys.js';
import type { OperatorOutput, OperatorSnapshot } from './operator.js';
import { userCodeError } from './user-code.js';

type Descriptors = Readonly<Record<string, StateDescriptor>>;
type Process = ProcessFunction<Key, unknown, Descriptors, unknown, SideOutputs>;
type ReadOnlyBroadcastStates = Readonly<Record<string, ReadOnlyBroadcastState<unknown>>>;
type Context = TimerContext<Key, Descriptors, unknown, SideOutputs>;

/** Timers fired in one piece of work: a watermark that sets off many fires them over several turns, so that outputs stay bounded. */
const FIRED_MAX = 1024;
/** Entries looked at for expiry in one turn. */
const EXPIRED_MAX = 64;
/** How often an idle operator looks for expired entries; ms. */
const EXPIRY_INTERVAL_MS = 1000;

export interface ProcessOperatorOptions {
  readonly name: string;
  readonly process: Process;
  readonly selectKey: (record: unknown) => Key;
  readonly backend: KeyedStateBackend;
  readonly output: OperatorOutput;
  /** What the callbacks see of the state that a broadcast stream keeps beside theirs. */
  readonly broadcastState?: ReadOnlyBroadcastStates;
  /** Processing time, ms since the epoch. */
  readonly now: () => number;
}

export class ProcessOperator extends AbstractStreamOperator {
  readonly #process: Process;
  readonly #selectKey: (record: unknown) => Key;
  readonly #backend: KeyedStateBackend;
  readonly #output: OperatorOutput;
  readonly #context: KeyedContext;
  /** Whether any state has a time to live. */
  readonly #expires: boolean;
  /** The watermark whose timers are firing. */
  #advancingTo: number | undefined;

  constructor(options: ProcessOperatorOptions) {
    super(options.name);
    this.#process = options.process;
    this.#selectKey = options.selectKey;
    this.#backend = options.backend;
    this.#output = options.output;
    this.#context = new KeyedContext(options);
    this.#expires = Object.values(options.process.state ?? {}).some(
      ({ ttlMs }) => ttlMs !== undefined,
    );
  }

  processElement(value: unknown, timestamp: number): void {
    const context = this.#context;
    try {
      const key = this.#selectKey(value);
      this.#backend.setCurrentKey(key);
      context.key = key;
      context.timestamp = timestamp;
      this.#process.onElement(value, context);
    } catch (error) {
      throw userCodeError(error, this.name, 'onElement', value);
    }
  }

  processWatermark(timestamp: number): void {
    while (this.#advancingTo !== undefined) this.proceed();
    this.#context.watermark = timestamp;
    this.#advancingTo = timestamp;
    this.proceed();
  }

  override proceed(): boolean {
    const timestamp = this.#advancingTo;
    if (timestamp === undefined) return false;
    if (this.#backend.timers.advance('eventTime', timestamp, this.#fire, FIRED_MAX)) return true;
    this.#advancingTo = undefined;
    this.#output.emitWatermark(timestamp);
    return false;
  }

  processWatermarkStatus(idle: boolean): void {
    this.#output.emitWatermarkStatus(idle);
  }

  /** Also amid timers: those that have fired are gone from the state, and the watermark comes again. */
  override snapshot(checkpointId: number): OperatorSnapshot {
    return { keyed: this.#backend.snapshot(checkpointId) };
  }

  override advanceProcessingTime(now: number): number | undefined {
    const { timers } = this.#backend;
    // What is left is due at once, and the task asks again in its next turn.
    timers.advance('processingTime', now, this.#fire, FIRED_MAX);
    const next = timers.next('processingTime');
    if (!this.#expires) return next;
    this.#backend.cleanExpired(EXPIRED_MAX);
    return Math.min(next ?? Infinity, now + EXPIRY_INTERVAL_MS);
  }

  override close(): Promise<void> {
    return this.#backend.close();
  }

  prefetch(values: readonly unknown[], _timestamps: ArrayLike<number>, count: number): void {
    this.#backend.prefetch(keysOf(values, count, this.#selectKey));
  }

  readonly #fire = (timestamp: number, key: Key, domain: TimeDomain): void => {
    if (this.#process.onTimer === undefined) return;
    const context = this.#context;
    context.key = key;
    // Processing time says nothing about event time.
    context.timestamp = domain === 'eventTime' ? timestamp : -Infinity;
    context.timeDomain = domain;
    try {
      this.#process.onTimer(timestamp, context);
    } catch (error) {
      throw userCodeError(error, this.name, 'onTimer', { key, timestamp });
    }
  };
}

/** The one context of an operator; its fields change between calls. */
class KeyedContext extends ElementContext<ReadOnlyBroadcastStates> implements Context {
  key: Key = '';
  timeDomain: TimeDomain = 'eventTime';
  readonly state: Context['state'];
  readonly timers: Context['timers'];

  constructor({ backend, process, output, broadcastState = {}, now }: ProcessOperatorOptions) {
    super({ output, now, broadcastState });
    this.state = Object.fromEntries(
      Object.entries(process.state ?? {}).map(([name, descriptor]) => [
        name,
        backend.state(name, descriptor),
      ]),
    ) as Context['state'];
    const { timers } = backend;
    this.timers = {
      registerEventTimeTimer: (timestamp) => timers.register('eventTime', timestamp),
      deleteEventTimeTimer: (timestamp) => timers.delete('eventTime', timestamp),
      registerProcessingTimeTimer: (timestamp) => timers.register('processingTime', timestamp),
      deleteProcessingTimeTimer: (timestamp) => timers.delete('processingTime', timestamp),
    };
  }
}
