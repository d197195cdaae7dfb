/**
 * The process operator of a stream without key beside a broadcast one (journey of a record: operator
 * chain -> broadcast state). It has no state but the broadcast one, which only that side may change.
 */
import type { BroadcastProcessFunction, ReadOnlyContext } from '../../api/broadcast-functions.js';
import type { SideOutputs } from '../../api/functions.js';
import type { BroadcastStates } from '../../api/state.js';
import type { BroadcastSide } from './broadcast-side.js';
import type { OperatorOutput, OperatorSnapshot, StreamOperator } from './operator.js';
import { userCodeError } from './user-code.js';

type Context = ReadOnlyContext<BroadcastStates, unknown, SideOutputs>;

export interface BroadcastProcessOperatorOptions {
  readonly name: string;
  readonly process: Pick<
    BroadcastProcessFunction<unknown, unknown, BroadcastStates, unknown, SideOutputs>,
    'onElement'
  >;
  readonly broadcast: BroadcastSide;
  readonly output: OperatorOutput;
  /** Processing time, ms since the epoch. */
  readonly now: () => number;
}

export class BroadcastProcessOperator implements StreamOperator {
  readonly name: string;
  readonly #options: BroadcastProcessOperatorOptions;
  readonly #context: MutableContext;

  constructor(options: BroadcastProcessOperatorOptions) {
    this.name = options.name;
    this.#options = options;
    this.#context = new MutableContext(options);
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  processElement(value: unknown, timestamp: number): void {
    this.#context.timestamp = timestamp;
    try {
      this.#options.process.onElement(value, this.#context);
    } catch (error) {
      throw userCodeError(error, this.name, 'onElement', value);
    }
  }

  processBroadcastElement(value: unknown, timestamp: number): void {
    this.#options.broadcast.processElement(value, timestamp);
  }

  processWatermark(timestamp: number): void {
    const { broadcast, output } = this.#options;
    broadcast.watermark = timestamp;
    this.#context.watermark = timestamp;
    output.emitWatermark(timestamp);
  }

  proceed(): boolean {
    return false;
  }

  processWatermarkStatus(idle: boolean): void {
    this.#options.output.emitWatermarkStatus(idle);
  }

  suspended(): undefined {
    return undefined;
  }

  drain(): undefined {
    return undefined;
  }

  canSnapshot(): boolean {
    return true;
  }

  snapshot(): OperatorSnapshot {
    return this.#options.broadcast.snapshot();
  }

  notifyCheckpointComplete(): Promise<void> {
    return Promise.resolve();
  }

  advanceProcessingTime(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The one context of all calls; its fields change between them. */
class MutableContext implements Context {
  timestamp = -Infinity;
  watermark = -Infinity;
  readonly broadcastState: Context['broadcastState'];
  readonly #output: OperatorOutput;
  readonly #now: () => number;

  constructor({ broadcast, output, now }: BroadcastProcessOperatorOptions) {
    this.broadcastState = broadcast.states.readOnly;
    this.#output = output;
    this.#now = now;
  }

  get processingTime(): number {
    return this.#now();
  }

  collect(record: unknown): void {
    this.#output.collect(record, this.timestamp);
  }

  sideOutput(name: string, record: unknown): void {
    this.#output.sideOutput(name, record, this.timestamp);
  }
}
