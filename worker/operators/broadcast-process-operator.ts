/**
 * The process operator of a stream without key beside a broadcast one (journey of a record: operator
 * chain -> broadcast state). It has no state but the broadcast one, which only that side may change.
 */
import type { BroadcastProcessFunction, ReadOnlyContext } from '../../api/broadcast-functions.js';
import type { SideOutputs } from '../../api/functions.js';
import type { BroadcastStates } from '../../api/state.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import type { BroadcastSide } from './broadcast-side.js';
import { ElementContext } from './element-context.js';
import type { OperatorOutput, OperatorSnapshot } from './operator.js';
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

export class BroadcastProcessOperator extends AbstractStreamOperator {
  readonly #options: BroadcastProcessOperatorOptions;
  readonly #context: ElementContext<Context['broadcastState']>;

  constructor(options: BroadcastProcessOperatorOptions) {
    super(options.name);
    this.#options = options;
    const broadcastState = options.broadcast.states.readOnly;
    this.#context = new ElementContext({ ...options, broadcastState });
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

  processWatermarkStatus(idle: boolean): void {
    this.#options.output.emitWatermarkStatus(idle);
  }

  override snapshot(): OperatorSnapshot {
    return this.#options.broadcast.snapshot();
  }
}
