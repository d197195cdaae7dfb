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
  isInFlight,
  isRecords,
  type Buffer,
  type CheckpointBarrier,
  type RecordBatch,
  type RecordChunk,
} from './buffer.js';
import { ChannelSet, type ReadonlyChannelSet } from './channel-set.js';
import type { InFlightRecorder, RecoveredInput } from './in-flight-recorder.js';
import { InputChannel, type InputChannelDescription } from './input-channel.js';
import { CREDIT_RETURN_BATCH } from './limits.js';
import { WatermarkValve } from './watermark-valve.js';

export type GateItem =
  | {
      readonly kind: 'records';
      readonly input: number;
      readonly broadcast: boolean;
      readonly records: RecordBatch | RecordChunk;
    }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'watermarkStatus'; readonly idle: boolean }
  | { readonly kind: 'barrier'; readonly barrier: CheckpointBarrier; readonly alignmentMs: number }
  | { readonly kind: 'abandoned'; readonly checkpointId: number }
  | { readonly kind: 'endOfData' };

/** A barrier that overtook, to be sent on ahead of everything queued. */
export interface OvertakingBarrier {
  readonly barrier: CheckpointBarrier;
  /** Since it came off the first queue, ms. */
  readonly alignmentMs: number;
}

export interface InputGateOptions {
  readonly channels: readonly InputChannelDescription[];
  /** Gives the producer of a channel `count` credits back. */
  readonly returnCredits: (channel: number, count: number) => void;
  readonly monotonic: () => number;
  /** A barrier that may overtake has arrived, behind whatever is queued. */
  readonly announce: (barrier: CheckpointBarrier) => void;
  /** The alignment rule; injected so that a simulation can prove it notices a wrong one. */
  readonly align?: (state: AlignerState, event: AlignerEvent) => AlignerStep;
}

export class InputGate {
  readonly #channels: readonly InputChannel[];
  readonly #byNumber = new Map<number, InputChannel>();
  readonly #broadcast: readonly InputChannel[];
  /** Channels that hold something and are not blocked. */
  readonly #readable: ChannelSet;
  readonly #valve: WatermarkValve;
  readonly #options: InputGateOptions;
  readonly #align: (state: AlignerState, event: AlignerEvent) => AlignerStep;
  readonly #ready: GateItem[] = [];
  /** Recovered records that come before anything of a channel. */
  readonly #rerouted: { readonly input: number; readonly records: RecordBatch }[] = [];
  #aligner: AlignerState;
  /** Takes what comes before the barrier that overtook, on channels where it has not come yet. */
  #recorder: InFlightRecorder | undefined;
  #announced: CheckpointBarrier | undefined;
  #alignmentStartedMs = 0;
  #next = 0;
  #ended = 0;

  constructor(options: InputGateOptions) {
    this.#channels = options.channels.map(
      (description, position) => new InputChannel(description, position),
    );
    for (const channel of this.#channels) this.#byNumber.set(channel.description.channel, channel);
    this.#broadcast = this.#channels.filter(({ description }) => description.broadcast);
    this.#readable = new ChannelSet(this.#channels.length);
    this.#valve = new WatermarkValve(this.#channels.length);
    this.#options = options;
    this.#align = options.align ?? alignBarrier;
    this.#aligner = initialAligner(this.#channels.length);
  }

  /** Numbers of its channels within the job. */
  channelNumbers(): Iterable<number> {
    return this.#byNumber.keys();
  }

  get watermark(): number {
    return this.#valve.current;
  }

  /** Takes a checkpoint's in-flight data in; called once, before anything arrives. */
  recover({ channels, rerouted }: RecoveredInput): void {
    for (const [number, buffers] of channels) {
      const channel = this.#channelOf(number);
      channel.recover(buffers);
      this.#setReadable(channel);
    }
    this.#rerouted.push(...rerouted);
  }

  /** Called by the exchange when something arrives. */
  onBuffer(channelNumber: number, buffer: Buffer): void {
    const channel = this.#channelOf(channelNumber);
    if (buffer.kind === 'barrier') {
      const { checkpointId } = buffer;
      if (this.#aligner.overtaken?.checkpointId === checkpointId) {
        return this.#deliver(channel.position, checkpointId);
      }
      this.#announce(buffer);
    } else if (this.#recorder !== undefined) {
      const isBefore = this.#aligner.overtaken?.arrived.has(channel.position) === false;
      if (isBefore && isInFlight(buffer)) this.#recorder.record(channel.description, buffer);
    }
    channel.push(buffer);
    this.#setReadable(channel);
  }

  /** Whether the announced barrier has come on every broadcast channel, none of which it may overtake on. */
  mayOvertake(checkpointId: number): boolean {
    const { pending } = this.#aligner;
    const blocked = pending?.checkpointId === checkpointId ? pending.blocked : undefined;
    return this.#broadcast.every(({ position }) => blocked?.has(position) === true);
  }

  /**
   * Lets the announced barrier overtake what is queued: it counts as delivered on every channel, and
   * `recorder` is given what stands or still comes before it. Queued buffers stay and are handled
   * after the snapshot, which the caller takes at once.
   * @returns undefined when there is nothing to snapshot: the checkpoint was aligned or given up
   */
  overtake(checkpointId: number, recorder: InFlightRecorder): OvertakingBarrier | undefined {
    const barrier = this.#announced;
    if (barrier?.checkpointId !== checkpointId) return undefined;
    const { pending } = this.#aligner;
    const alignmentMs =
      pending?.checkpointId === checkpointId
        ? this.#options.monotonic() - this.#alignmentStartedMs
        : 0;
    const step = this.#align(this.#aligner, { kind: 'overtake', checkpointId });
    const overtaken = step.effects.find((effect) => effect.kind === 'overtaken');
    this.#apply(step);
    if (overtaken === undefined) return undefined;
    this.#recorder = recorder;
    const delivered = this.#recordQueued(recorder, checkpointId, overtaken.arrived);
    for (const position of delivered) this.#deliver(position, checkpointId);
    return { barrier, alignmentMs };
  }

  /** The checkpoint will not complete: stop waiting for its barriers. */
  abortAlignment(checkpointId: number): void {
    if ((this.#aligner.overtaken?.checkpointId ?? Infinity) <= checkpointId) this.#abandon();
    this.#apply(this.#align(this.#aligner, { kind: 'aborted', checkpointId }));
  }

  /**
   * The next thing to handle; undefined when nothing can be handled now.
   * @param of 'broadcast': nothing from other channels, while a barrier waits only for the broadcast ones
   */
  poll(of: 'all' | 'broadcast' = 'all'): GateItem | undefined {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      if (this.#rerouted.length > 0 && of === 'all') {
        const rerouted = this.#rerouted.shift();
        if (rerouted !== undefined) return { kind: 'records', broadcast: false, ...rerouted };
      }
      const position = this.#pick(of);
      if (position === undefined) return undefined;
      const channel = this.#channels[position];
      const buffer = channel?.shift();
      invariant(channel !== undefined && buffer !== undefined, 'a picked channel holds a buffer');
      this.#setReadable(channel);
      if (isRecords(buffer)) this.#consumed(channel);
      switch (buffer.kind) {
        case 'batch':
        case 'chunk':
          return {
            kind: 'records',
            input: channel.description.input,
            broadcast: channel.description.broadcast,
            records: buffer,
          };
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
            this.#alignmentStartedMs = this.#options.monotonic();
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

  #channelOf(number: number): InputChannel {
    const channel = this.#byNumber.get(number);
    invariant(channel !== undefined, `channel ${number} leads to this gate`);
    return channel;
  }

  /**
   * Records what is queued before the barrier. Each channel begins with its watermark, so that time
   * goes on where it stood.
   * @returns positions of the channels on whose queues the barrier stood
   */
  #recordQueued(
    recorder: InFlightRecorder,
    checkpointId: number,
    arrived: ReadonlyChannelSet,
  ): readonly number[] {
    for (const { input, records } of this.#rerouted) {
      recorder.record({ input, channel: undefined }, records);
    }
    const delivered: number[] = [];
    for (const channel of this.#channels) {
      const { description, position } = channel;
      const timestamp = this.#valve.watermarkOf(position);
      if (timestamp > -Infinity) recorder.record(description, { kind: 'watermark', timestamp });
      if (arrived.has(position)) continue;
      const { before, barrier } = channel.overtake(checkpointId);
      this.#setReadable(channel);
      for (const buffer of before) if (isInFlight(buffer)) recorder.record(description, buffer);
      if (barrier !== undefined) delivered.push(position);
    }
    return delivered;
  }

  #announce(barrier: CheckpointBarrier): void {
    const { checkpointId, alignmentTimeoutMs } = barrier;
    if (alignmentTimeoutMs === null || checkpointId <= this.#aligner.settled) return;
    if (checkpointId < (this.#announced?.checkpointId ?? 0)) return;
    this.#announced = barrier;
    this.#options.announce(barrier);
  }

  /** The barrier that overtook has come on a channel, at whatever place of its queue. */
  #deliver(channel: number, checkpointId: number): void {
    this.#apply(this.#align(this.#aligner, { kind: 'barrier', channel, checkpointId }));
  }

  #abandon(): void {
    this.#recorder?.abandon();
    this.#recorder = undefined;
  }

  #apply(step: AlignerStep, barrier?: CheckpointBarrier): void {
    this.#aligner = step.state;
    for (const effect of step.effects) {
      switch (effect.kind) {
        case 'block': {
          const channel = this.#channels[effect.channel];
          if (channel !== undefined) {
            channel.blocked = true;
            this.#setReadable(channel);
          }
          break;
        }
        case 'unblockAll':
          for (const channel of this.#channels) {
            channel.blocked = false;
            this.#setReadable(channel);
          }
          break;
        case 'abandoned':
          this.#abandon();
          this.#ready.push(effect);
          break;
        case 'overtaken':
        case 'arrived':
          break;
        case 'recorded':
          this.#recorder?.complete();
          this.#recorder = undefined;
          break;
        case 'aligned':
          invariant(barrier !== undefined, 'alignment completes on a barrier');
          this.#ready.push({
            kind: 'barrier',
            barrier,
            alignmentMs: this.#options.monotonic() - this.#alignmentStartedMs,
          });
          break;
      }
    }
  }

  /** To be called after whatever changes a channel's queue or blocks it. */
  #setReadable(channel: InputChannel): void {
    if (!channel.blocked && channel.size > 0) this.#readable.add(channel.position);
    else this.#readable.delete(channel.position);
  }

  /** Round robin over channels that hold something and are not blocked. */
  #pick(of: 'all' | 'broadcast'): number | undefined {
    for (let left = this.#readable.size, from = this.#next; left > 0; left--) {
      const position = this.#readable.nextFrom(from);
      from = position + 1 < this.#channels.length ? position + 1 : 0;
      if (of === 'all' || this.#channels[position]?.description.broadcast === true) {
        this.#next = from;
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
    if (!channel.countConsumed()) return;
    if (channel.consumed >= CREDIT_RETURN_BATCH || channel.chunks === 0) {
      this.#options.returnCredits(channel.description.channel, channel.consumed);
      channel.consumed = 0;
    }
  }
}
