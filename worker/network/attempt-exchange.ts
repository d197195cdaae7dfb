/**
 * The data plane of one attempt on one worker: routes buffers and credits between the worker's slots
 * and its peers (journey of a record: result subpartition -> exchange server => wire => exchange
 * client -> input channel). It never looks into chunks. What waits here is bounded by the channels'
 * credits.
 */
import { invariant, MillraceError, toMillraceError } from '../../core/errors.js';
import { ChannelTable } from '../../core/channel-table.js';
import type { JobGraph } from '../../core/job-graph.js';
import type { Buffer as ChannelBuffer } from './buffer.js';
import { decodeFrame, encodeFrame, framedBytes, ownsMemory } from './frame.js';
import { FRAME_BYTES_MAX } from './limits.js';

/** Where a slice of the attempt runs. */
export interface SliceLocation {
  readonly workerId: string;
  /** host:port of that worker's exchange server. */
  readonly dataAddress: string;
}

/** The way into a slot of this worker. */
export interface SlotPort {
  buffers(channels: number[], buffers: ChannelBuffer[]): void;
  credits(channels: number[], counts: number[]): void;
}

/** A stream towards a consuming worker. */
export interface FrameSink {
  /** Returns false when the stream wants a pause; `drained` is called once when it is over. */
  write(frame: Buffer, drained: () => void): boolean;
  end(): void;
}

/** A stream from a producing worker. */
export interface FrameSource {
  sendCredits(channels: number[], counts: number[]): void;
  close(): void;
}

export interface AttemptExchangeOptions {
  readonly graph: JobGraph;
  readonly slices: readonly SliceLocation[];
  readonly workerId: string;
  /** Subscribes to a peer's channels towards this worker. */
  readonly connect: (
    peer: SliceLocation,
    onFrame: (frame: Buffer) => void,
    onBroken: (error: MillraceError) => void,
  ) => FrameSource;
  /** A peer is gone or sent nonsense: the attempt can't go on. */
  readonly onBroken: (error: MillraceError) => void;
}

/** Buffers on their way to one worker. */
class PeerOutbox {
  readonly #channels: number[] = [];
  readonly #buffers: ChannelBuffer[] = [];
  #sink: FrameSink | undefined;
  #paused = false;

  attach(sink: FrameSink): void {
    this.#sink?.end();
    this.#sink = sink;
    this.#paused = false;
    this.flush();
  }

  push(channel: number, buffer: ChannelBuffer): void {
    this.#channels.push(channel);
    this.#buffers.push(buffer);
  }

  readonly flush = (): void => {
    while (this.#sink !== undefined && !this.#paused && this.#buffers.length > 0) {
      let count = 0;
      for (let bytes = 0; count < this.#buffers.length && bytes < FRAME_BYTES_MAX; count++) {
        const buffer = this.#buffers[count];
        if (buffer !== undefined) bytes += framedBytes(buffer);
      }
      const frame = encodeFrame(this.#channels.splice(0, count), this.#buffers.splice(0, count));
      this.#paused = !this.#sink.write(frame, () => {
        this.#paused = false;
        this.flush();
      });
    }
  };

  close(): void {
    this.#sink?.end();
    this.#sink = undefined;
    this.#buffers.length = 0;
    this.#channels.length = 0;
  }
}

/** Keeps what arrives for a slot that is still being deployed; bounded by the channels' credits. */
class HeldPort implements SlotPort {
  readonly #held: ((port: SlotPort) => void)[] = [];

  buffers(channels: number[], buffers: ChannelBuffer[]): void {
    this.#held.push((port) => port.buffers(channels, buffers));
  }

  credits(channels: number[], counts: number[]): void {
    this.#held.push((port) => port.credits(channels, counts));
  }

  handOver(port: SlotPort): void {
    for (const deliver of this.#held.splice(0)) deliver(port);
  }
}

export class AttemptExchange {
  readonly #options: AttemptExchangeOptions;
  readonly #channels: ChannelTable;
  readonly #slots = new Map<number, SlotPort>();
  readonly #held = new Map<number, HeldPort>();
  readonly #outboxes = new Map<string, PeerOutbox>();
  readonly #sources = new Map<string, FrameSource>();
  #closed = false;

  constructor(options: AttemptExchangeOptions) {
    this.#options = options;
    this.#channels = new ChannelTable(options.graph);
    const { workerId, slices } = options;
    for (let channel = 0; channel < this.#channels.channelCount; channel++) {
      const ends = this.#channels.endsOf(channel);
      if (ends === undefined) continue;
      const from = slices[ends.fromSubtask];
      const to = slices[ends.toSubtask];
      invariant(from !== undefined && to !== undefined, 'every slice has a location');
      if (from.workerId === workerId && to.workerId !== workerId) this.#outbox(to.workerId);
      if (to.workerId === workerId && from.workerId !== workerId) this.#subscribe(from);
    }
  }

  /** A slot of this worker takes part; its records may flow from now on. */
  addSlot(slice: number, port: SlotPort): void {
    this.#slots.set(slice, port);
    this.#held.get(slice)?.handOver(port);
    this.#held.delete(slice);
  }

  /** A peer has subscribed to the channels towards it. */
  addConsumer(workerId: string, sink: FrameSink): void {
    if (this.#closed) sink.end();
    else this.#outbox(workerId).attach(sink);
  }

  /** Buffers that a slot of this worker sends. */
  fromSlot(channels: readonly number[], buffers: readonly ChannelBuffer[]): void {
    if (this.#closed) return;
    const local = new SlotDelivery(this.#port);
    for (let i = 0; i < buffers.length; i++) {
      const channel = channels[i] ?? 0;
      const buffer = buffers[i];
      const to = this.#channels.endsOf(channel)?.toSubtask;
      const location = to === undefined ? undefined : this.#options.slices[to];
      invariant(
        buffer !== undefined && to !== undefined && location !== undefined,
        `channel ${channel} is of this job`,
      );
      if (location.workerId === this.#options.workerId) local.add(to, channel, buffer);
      else this.#outbox(location.workerId).push(channel, buffer);
    }
    local.deliver();
    for (const outbox of this.#outboxes.values()) outbox.flush();
  }

  /** Credits that a slot of this worker gives back to producers. */
  creditsFromSlot(channels: readonly number[], counts: readonly number[]): void {
    if (this.#closed) return;
    for (const [slice, group] of this.#byProducer(channels, counts)) {
      const location = this.#options.slices[slice];
      if (location?.workerId === this.#options.workerId) {
        this.#port(slice).credits(group.channels, group.counts);
      } else if (location !== undefined) {
        this.#sources.get(location.workerId)?.sendCredits(group.channels, group.counts);
      }
    }
  }

  /** Credits that arrived from a consuming worker. */
  creditsFromPeer(channels: readonly number[], counts: readonly number[]): void {
    if (this.#closed) return;
    for (const [slice, group] of this.#byProducer(channels, counts)) {
      this.#port(slice).credits(group.channels, group.counts);
    }
  }

  /** Credits by the slice that they are for, which gets them in one message; unknown channels are left out. */
  #byProducer(
    channels: readonly number[],
    counts: readonly number[],
  ): ReadonlyMap<number, { readonly channels: number[]; readonly counts: number[] }> {
    const bySlice = new Map<number, { channels: number[]; counts: number[] }>();
    for (let i = 0; i < channels.length; i++) {
      const channel = channels[i] ?? -1;
      const from = this.#channels.endsOf(channel)?.fromSubtask;
      if (from === undefined) continue;
      let group = bySlice.get(from);
      if (group === undefined) {
        group = { channels: [], counts: [] };
        bySlice.set(from, group);
      }
      group.channels.push(channel);
      group.counts.push(counts[i] ?? 0);
    }
    return bySlice;
  }

  close(): void {
    this.#closed = true;
    for (const outbox of this.#outboxes.values()) outbox.close();
    for (const source of this.#sources.values()) source.close();
    this.#slots.clear();
    this.#held.clear();
  }

  readonly #port = (slice: number): SlotPort => {
    const port = this.#slots.get(slice) ?? this.#held.get(slice);
    if (port !== undefined) return port;
    const held = new HeldPort();
    this.#held.set(slice, held);
    return held;
  };

  #outbox(workerId: string): PeerOutbox {
    let outbox = this.#outboxes.get(workerId);
    if (outbox === undefined) {
      outbox = new PeerOutbox();
      this.#outboxes.set(workerId, outbox);
    }
    return outbox;
  }

  #subscribe(peer: SliceLocation): void {
    if (this.#sources.has(peer.workerId)) return;
    const source = this.#options.connect(
      peer,
      (frame) => this.#onFrame(frame),
      (error) => {
        if (!this.#closed) this.#options.onBroken(error);
      },
    );
    this.#sources.set(peer.workerId, source);
  }

  #onFrame(frame: Buffer): void {
    if (this.#closed) return;
    const delivery = new SlotDelivery(this.#port);
    try {
      decodeFrame(frame, (channel, buffer) => {
        const to = this.#channels.endsOf(channel)?.toSubtask;
        if (to === undefined) {
          throw new MillraceError(
            'WIRE_CORRUPT',
            `a peer sent on channel ${channel}, which the job does not have`,
          );
        }
        delivery.add(to, channel, buffer);
      });
    } catch (error) {
      this.#options.onBroken(toMillraceError(error, 'WIRE_CORRUPT'));
      return;
    }
    if (ownsMemory(frame) && delivery.slots === 1) delivery.deliver();
    else delivery.deliverCopies();
  }
}

/** Gathers what goes to each slot, so that a slot's thread gets one message. */
class SlotDelivery {
  readonly #portOf: (slice: number) => SlotPort;
  readonly #bySlice = new Map<number, { channels: number[]; buffers: ChannelBuffer[] }>();

  constructor(portOf: (slice: number) => SlotPort) {
    this.#portOf = portOf;
  }

  add(slice: number, channel: number, buffer: ChannelBuffer): void {
    let group = this.#bySlice.get(slice);
    if (group === undefined) {
      group = { channels: [], buffers: [] };
      this.#bySlice.set(slice, group);
    }
    group.channels.push(channel);
    group.buffers.push(buffer);
  }

  /** How many slots there is something for. */
  get slots(): number {
    return this.#bySlice.size;
  }

  /** Gives the chunks' memory away. */
  deliver(): void {
    for (const [slice, { channels, buffers }] of this.#bySlice) {
      this.#portOf(slice).buffers(channels, buffers);
    }
  }

  /** Leaves the memory in which the chunks lie to others. */
  deliverCopies(): void {
    for (const { buffers } of this.#bySlice.values()) {
      buffers.forEach((buffer, i) => {
        if (buffer.kind === 'chunk') buffers[i] = { kind: 'chunk', bytes: buffer.bytes.slice() };
      });
    }
    this.deliver();
  }
}
