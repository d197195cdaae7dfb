/**
 * The broadcast side of an operator: the user's callback for records that every subtask is given, and
 * the state that it keeps (journey of a record: operator chain -> broadcast state). The state is the
 * same in all subtasks, so one of them writes it for all; it must never hold anything of one alone.
 */
import type { BroadcastContext } from '../../api/broadcast-functions.js';
import type { SideOutputs } from '../../api/functions.js';
import type { BroadcastStates } from '../../api/state.js';
import { BroadcastStateStore } from './broadcast-state-store.js';
import { ElementContext } from './element-context.js';
import type { BroadcastEntry } from './operator-state.js';
import type { OperatorOutput, OperatorStateSnapshot } from './operator.js';
import { userCodeError } from './user-code.js';

type Context = BroadcastContext<BroadcastStates, unknown, SideOutputs>;

export interface BroadcastSideOptions {
  readonly name: string;
  readonly process: { onBroadcastElement(record: unknown, ctx: Context): void };
  readonly states: BroadcastStates;
  /** The states as of the restored checkpoint. */
  readonly restored: readonly BroadcastEntry[];
  /** Whether this subtask's snapshots hold the states. */
  readonly writesState: boolean;
  readonly output: OperatorOutput;
  /** Processing time, ms since the epoch. */
  readonly now: () => number;
}

export class BroadcastSide {
  readonly states: BroadcastStateStore;
  readonly #options: BroadcastSideOptions;
  readonly #context: ElementContext<Context['broadcastState']>;

  constructor(options: BroadcastSideOptions) {
    this.#options = options;
    this.states = new BroadcastStateStore(options.states, options.restored);
    this.#context = new ElementContext({ ...options, broadcastState: this.states.writable });
  }

  set watermark(timestamp: number) {
    this.#context.watermark = timestamp;
  }

  processElement(value: unknown, timestamp: number): void {
    const { name, process } = this.#options;
    const context = this.#context;
    context.timestamp = timestamp;
    try {
      this.states.write(() => process.onBroadcastElement(value, context));
    } catch (error) {
      throw userCodeError(error, name, 'onBroadcastElement', value);
    }
  }

  snapshot(): { readonly operator?: OperatorStateSnapshot } {
    return this.#options.writesState ? { operator: { entries: this.states.entries() } } : {};
  }
}
