/**
 * The input of a task: the queues of its channels, with barriers aligned and watermarks combined
 * (journeys of a record and of a barrier: exchange client -> input channel -> input gate -> stream
 * task). The task polls it; nothing here runs user code. What a queue may hold is bounded by the
 * channel's credits.
 */
import { invariant } from '../../core/errors.js';
import {
  alignBarrier,
  initialAligner,
  type AlignerEvent,
  type AlignerState,
  type AlignerStep,
} from './barrier-aligner.js';
import {
  isRecords,
  type Buffer,
  type CheckpointBarrier,
  type RecordBatch,
  type RecordChunk,
} from './buffer.js';
import { CREDIT_RETURN_BATCH } from './limits.js';
import { WatermarkValve } from './watermark-valve.js';

/** A channel as its consumer knows it. */
export interface InputChannelDescription {
  /** Number of the channel within the job. */
  readonly channel: number;
  /** Position of the edge among the vertex's inputs: which codec its chunks need. */
  readonly input: number;
}

export type GateItem =
  | {
      readonly kind: 'records';
      readonly input: number;
      readonly records: RecordBatch | RecordChunk;
    }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'watermarkStatus'; readonly idle: boolean }
  | { readonly kind: 'barrier'; readonly barrier: CheckpointBarrier; readonly alignmentMs: number }
  | { readonly kind: 'abandoned'; readonly checkpointId: number }
  | { readonly kind: 'endOfData' };

export interface InputGateOptions {
  readonly channels: readonly InputChannelDescription[];
  /** Gives the producer of a channel `count` credits back. */
  readonly returnCredits: (channel: number, count: number) => void;
  readonly monotonic: () => number;
  /** The alignment rule; injected so that a simulation can prove it notices a wrong one. */
  readonly align?: (state: AlignerState, event: AlignerEvent) => AlignerStep;
}

class InputChannel {
  readonly queue: Buffer[] = [];
  head = 0;
  blocked = false;
  ended = false;
  /** Chunks taken off the queue whose credits have not been given back. */
  consumed = 0;
  /** Chunks on the queue; events cost no credit and do not count. */
  chunks = 0;

  constructor(readonly description: InputChannelDescription) {}

  get size(): number {
    return this.queue.length - this.head;
  }

  shift(): Buffer | undefined {
    const buffer = this.queue[this.head];
    if (buffer === undefined) return undefined;
    this.head++;
    if (this.head === this.queue.length) {
      this.queue.length = 0;
      this.head = 0;
    } else if (this.head >= 64) {
      this.queue.splice(0, this.head);
      this.head = 0;
    }
    return buffer;
  }
}

export class InputGate {
  readonly #channels: readonly InputChannel[];
  readonly #byNumber = new Map<number, InputChannel>();
  readonly #valve: WatermarkValve;
  readonly #returnCredits: (channel: number, count: number) => void;
  readonly #monotonic: () => number;
  readonly #align: (state: AlignerState, event: AlignerEvent) => AlignerStep;
  readonly #ready: GateItem[] = [];
  #aligner: AlignerState;
  #alignmentStartedMs = 0;
  #next = 0;
  #ended = 0;

  constructor(options: InputGateOptions) {
    this.#channels = options.channels.map((description) => new InputChannel(description));
    for (const channel of this.#channels) this.#byNumber.set(channel.description.channel, channel);
    this.#valve = new WatermarkValve(this.#channels.length);
    this.#returnCredits = options.returnCredits;
    this.#monotonic = options.monotonic;
    this.#align = options.align ?? alignBarrier;
    this.#aligner = initialAligner(this.#channels.length);
  }

  get watermark(): number {
    return this.#valve.current;
  }

  /** Called by the exchange when something arrives. */
  onBuffer(channelNumber: number, buffer: Buffer): void {
    const channel = this.#byNumber.get(channelNumber);
    invariant(channel !== undefined, `channel ${channelNumber} leads to this gate`);
    const last = channel.queue[channel.queue.length - 1];
    // Events cost no credit, so a stalled consumer must not gather watermarks without end.
    if (buffer.kind === 'watermark' && last?.kind === 'watermark' && channel.size > 0) {
      channel.queue[channel.queue.length - 1] = buffer;
      return;
    }
    channel.queue.push(buffer);
    if (isRecords(buffer)) channel.chunks++;
  }

  /** The checkpoint will not complete: stop waiting for its barriers. */
  abortAlignment(checkpointId: number): void {
    this.#apply(this.#align(this.#aligner, { kind: 'aborted', checkpointId }), undefined);
  }

  /** The next thing to handle; undefined when nothing can be handled now. */
  poll(): GateItem | undefined {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      const position = this.#pick();
      if (position === undefined) return undefined;
      const channel = this.#channels[position];
      const buffer = channel?.shift();
      invariant(channel !== undefined && buffer !== undefined, 'a picked channel holds a buffer');
      if (isRecords(buffer)) this.#consumed(channel);
      switch (buffer.kind) {
        case 'batch':
        case 'chunk':
          return { kind: 'records', input: channel.description.input, records: buffer };
        case 'watermark':
        case 'watermarkStatus': {
          // A watermark makes its channel active, too.
          const wasIdle = this.#valve.isIdle;
          this.#emitWatermark(
            buffer.kind === 'watermark'
              ? this.#valve.onWatermark(position, buffer.timestamp)
              : this.#valve.onStatus(position, buffer.idle),
          );
          if (this.#valve.isIdle !== wasIdle) {
            this.#ready.push({ kind: 'watermarkStatus', idle: this.#valve.isIdle });
          }
          break;
        }
        case 'barrier':
          if (this.#aligner.pending?.checkpointId !== buffer.checkpointId) {
            this.#alignmentStartedMs = this.#monotonic();
          }
          this.#apply(
            this.#align(this.#aligner, {
              kind: 'barrier',
              channel: position,
              checkpointId: buffer.checkpointId,
            }),
            buffer,
          );
          break;
        case 'endOfData':
          invariant(!channel.ended, `channel ${channel.description.channel} ends once`);
          channel.ended = true;
          this.#ended++;
          if (this.#ended === this.#channels.length) this.#ready.push({ kind: 'endOfData' });
          break;
      }
    }
  }

  #emitWatermark(timestamp: number | undefined): void {
    if (timestamp !== undefined) this.#ready.push({ kind: 'watermark', timestamp });
  }

  #apply(step: AlignerStep, barrier: CheckpointBarrier | undefined): void {
    this.#aligner = step.state;
    for (const effect of step.effects) {
      switch (effect.kind) {
        case 'block': {
          const channel = this.#channels[effect.channel];
          if (channel !== undefined) channel.blocked = true;
          break;
        }
        case 'unblockAll':
          for (const channel of this.#channels) channel.blocked = false;
          break;
        case 'abandoned':
          this.#ready.push(effect);
          break;
        case 'aligned':
          invariant(barrier !== undefined, 'alignment completes on a barrier');
          this.#ready.push({
            kind: 'barrier',
            barrier,
            alignmentMs: this.#monotonic() - this.#alignmentStartedMs,
          });
          break;
      }
    }
  }

  /** Round robin over channels that hold something and are not blocked. */
  #pick(): number | undefined {
    const count = this.#channels.length;
    for (let i = 0; i < count; i++) {
      const position = (this.#next + i) % count;
      const channel = this.#channels[position];
      if (channel !== undefined && !channel.blocked && channel.size > 0) {
        this.#next = (position + 1) % count;
        return position;
      }
    }
    return undefined;
  }

  /**
   * Credits go back in batches, and at once when no chunk is left: a producer may have no more in flight than
   * what was just consumed, whatever events stand behind it.
   */
  #consumed(channel: InputChannel): void {
    channel.chunks--;
    channel.consumed++;
    if (channel.consumed >= CREDIT_RETURN_BATCH || channel.chunks === 0) {
      this.#returnCredits(channel.description.channel, channel.consumed);
      channel.consumed = 0;
    }
  }
}
