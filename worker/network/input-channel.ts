/**
 * The queue of one channel at its consumer. Recovered buffers of a checkpoint stand before anything
 * live and cost no credit, since no producer of this attempt has sent them.
 */
import {
  isRecords,
  type Buffer,
  type CheckpointBarrier,
  type RecordBatch,
  type Watermark,
} from './buffer.js';

/** A channel as its consumer knows it. */
export interface InputChannelDescription {
  /** Number of the channel within the job. */
  readonly channel: number;
  /** Position of the edge among the vertex's inputs: which codec its chunks need. */
  readonly input: number;
  /** Whether its records go to all subtasks: then no barrier overtakes on it. */
  readonly broadcast: boolean;
}

/** Consumed places at the head of the queue before they are cut off. */
const HEAD_MAX = 64;

export class InputChannel {
  blocked = false;
  ended = false;
  /** Chunks taken off the queue whose credits have not been given back. */
  consumed = 0;
  /** Chunks on the queue that cost a credit. */
  chunks = 0;
  readonly #queue: Buffer[] = [];
  #head = 0;
  /** Records at the head of the queue that cost no credit. */
  #recovered = 0;

  /** @param position among the gate's channels */
  constructor(
    readonly description: InputChannelDescription,
    readonly position: number,
  ) {}

  get size(): number {
    return this.#queue.length - this.#head;
  }

  recover(buffers: readonly (RecordBatch | Watermark)[]): void {
    for (const buffer of buffers) {
      this.#queue.push(buffer);
      if (isRecords(buffer)) this.#recovered++;
    }
  }

  push(buffer: Buffer): void {
    const last = this.#queue[this.#queue.length - 1];
    // Events cost no credit, so a stalled consumer must not gather watermarks without end.
    if (buffer.kind === 'watermark' && last?.kind === 'watermark' && this.size > 0) {
      this.#queue[this.#queue.length - 1] = buffer;
      return;
    }
    this.#queue.push(buffer);
    if (isRecords(buffer)) this.chunks++;
  }

  shift(): Buffer | undefined {
    const buffer = this.#queue[this.#head];
    if (buffer === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= HEAD_MAX) this.#cutHead();
    return buffer;
  }

  /** Records have been taken off the queue; returns whether that frees a credit. */
  countConsumed(): boolean {
    if (this.#recovered > 0) {
      this.#recovered--;
      return false;
    }
    this.chunks--;
    this.consumed++;
    return true;
  }

  /**
   * Takes the barrier of a checkpoint out of the queue, ahead of what stands before it.
   * @returns what stands before it and stays, in order, or all that is queued while it has not come
   */
  overtake(checkpointId: number): {
    readonly before: readonly Buffer[];
    readonly barrier: CheckpointBarrier | undefined;
  } {
    this.#cutHead();
    const isOurs = (buffer: Buffer): buffer is CheckpointBarrier =>
      buffer.kind === 'barrier' && buffer.checkpointId === checkpointId;
    const at = this.#queue.findIndex(isOurs);
    if (at < 0) return { before: [...this.#queue], barrier: undefined };
    const barrier = this.#queue.splice(at, 1).find(isOurs);
    return { before: this.#queue.slice(0, at), barrier };
  }

  #cutHead(): void {
    this.#queue.splice(0, this.#head);
    this.#head = 0;
  }
}
