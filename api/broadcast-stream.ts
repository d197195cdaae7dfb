/**
 * A stream that goes to every subtask of the operator it is connected to, with the state that its
 * records keep there. It can only be connected: see `Stream.connect` and `KeyedStream.connect`.
 */
import { MillraceError } from '../core/errors.js';
import type { Declarations, StreamOrigin } from './declarations.js';
import type { BroadcastStates } from './state.js';

declare const RECORD: unique symbol;

export class BroadcastStream<T, B extends BroadcastStates> {
  /** The type of its records; it exists at compile time only. */
  declare readonly [RECORD]: T;
  readonly states: B;
  readonly #declarations: Declarations;
  readonly #origins: readonly StreamOrigin[];

  /** Made by streams. */
  constructor(declarations: Declarations, origins: readonly StreamOrigin[], states: B) {
    this.#declarations = declarations;
    this.#origins = origins;
    this.states = states;
  }

  /**
   * What the operator reads that a stream shares with this one.
   * @throws MillraceError JOB_INVALID when they are of two jobs
   */
  connected(declarations: Declarations, origins: readonly StreamOrigin[]): StreamOrigin[] {
    if (declarations !== this.#declarations) {
      throw new MillraceError('JOB_INVALID', 'connect of streams of two jobs; build both in one');
    }
    return [...origins, ...this.#origins];
  }
}
