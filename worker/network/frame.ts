/**
 * Frames of the exchange: many buffers in one message, so that the cost of a message is shared. The
 * bytes are exactly those of the protobuf message ExchangeFrame, written and read here by hand: its
 * generated code would copy every payload twice. What is read comes from the wire and is checked.
 *
 * Every payload begins at a multiple of 8 bytes of the memory that gRPC makes for a message, so a
 * receiver can hand that memory on whole, and its columns can be read where they lie.
 */
import { MillraceError } from '../../core/errors.js';
import type { Buffer as ChannelBuffer } from './buffer.js';

const HEADER_BYTES = 12;
/** What gRPC keeps before a message, in the same memory: a flag and the length. */
const GRPC_PREFIX_BYTES = 5;
/** Of the message before its first buffer: the field's tag, and its length as a varint of six bytes. */
const PROLOGUE_BYTES = 7;
const ALIGNMENT = 8;
/** Of a barrier before its prefix: id, time of the trigger, alignment timeout, flag. */
const BARRIER_BYTES = 25;
/** Stands for a barrier that never overtakes. */
const NEVER_OVERTAKES = -1;
const KIND = { chunk: 0, watermark: 1, watermarkStatus: 2, barrier: 3, endOfData: 4 } as const;
/** Field 1, length-delimited. */
const BUFFERS_TAG = 0x0a;

function payloadBytes(buffer: ChannelBuffer): number {
  switch (buffer.kind) {
    case 'chunk':
      return buffer.bytes.byteLength;
    case 'watermark':
      return 8;
    case 'watermarkStatus':
      return 1;
    case 'barrier':
      return BARRIER_BYTES + Buffer.byteLength(buffer.prefix);
    case 'endOfData':
      return 0;
    case 'batch':
      throw new MillraceError('INTERNAL', 'a batch of records never leaves its slot');
  }
}

/** Zeros behind a payload, so that the next one is aligned. */
function paddingBytes(payload: number): number {
  return (2 * ALIGNMENT - ((payload + HEADER_BYTES) % ALIGNMENT)) % ALIGNMENT;
}

/** Size of a buffer in a frame. */
export function framedBytes(buffer: ChannelBuffer): number {
  const payload = payloadBytes(buffer);
  return HEADER_BYTES + payload + paddingBytes(payload);
}

/** One ExchangeFrame message with the buffers, in order. */
export function encodeFrame(
  channels: readonly number[],
  buffers: readonly ChannelBuffer[],
): globalThis.Buffer {
  let length = 0;
  for (const buffer of buffers) length += framedBytes(buffer);
  const frame = Buffer.allocUnsafe(PROLOGUE_BYTES + length);
  frame[0] = BUFFERS_TAG;
  let rest = length;
  for (let at = 1; at < PROLOGUE_BYTES; at++) {
    frame[at] = at + 1 < PROLOGUE_BYTES ? (rest % 0x80) | 0x80 : rest;
    rest = Math.floor(rest / 0x80);
  }
  let at = PROLOGUE_BYTES;
  for (let i = 0; i < buffers.length; i++) {
    const buffer = buffers[i];
    if (buffer !== undefined) at = writeBuffer(frame, at, channels[i] ?? 0, buffer);
  }
  return frame;
}

function writeBuffer(
  frame: globalThis.Buffer,
  start: number,
  channel: number,
  buffer: ChannelBuffer,
): number {
  const length = payloadBytes(buffer);
  frame.writeUInt32LE(channel, start);
  frame.writeUInt32LE(buffer.kind === 'batch' ? 0 : KIND[buffer.kind], start + 4);
  frame.writeUInt32LE(length, start + 8);
  const at = start + HEADER_BYTES;
  switch (buffer.kind) {
    case 'chunk':
      frame.set(buffer.bytes, at);
      break;
    case 'watermark':
      frame.writeDoubleLE(buffer.timestamp, at);
      break;
    case 'watermarkStatus':
      frame[at] = buffer.idle ? 1 : 0;
      break;
    case 'barrier':
      frame.writeDoubleLE(buffer.checkpointId, at);
      frame.writeDoubleLE(buffer.triggeredAtMs, at + 8);
      frame.writeDoubleLE(buffer.alignmentTimeoutMs ?? NEVER_OVERTAKES, at + 16);
      frame[at + 24] = buffer.stopAfter ? 1 : 0;
      frame.write(buffer.prefix, at + BARRIER_BYTES);
      break;
    case 'endOfData':
    case 'batch':
      break;
  }
  const end = at + length + paddingBytes(length);
  frame.fill(0, at + length, end);
  return end;
}

function corrupt(what: string): never {
  throw new MillraceError(
    'WIRE_CORRUPT',
    `a frame of the exchange is damaged (${what}); the job restarts from its last checkpoint`,
  );
}

/**
 * Whether the frame is all that its memory holds, so that the memory may be given away: gRPC puts
 * messages of more than a few kilobytes into memory of their own.
 */
export function ownsMemory(frame: globalThis.Buffer): boolean {
  return frame.buffer.byteLength === frame.length + GRPC_PREFIX_BYTES;
}

/**
 * Calls `visit` for every buffer of a frame. Chunks are views of the frame's memory.
 * @throws MillraceError WIRE_CORRUPT
 */
export function decodeFrame(
  frame: globalThis.Buffer,
  visit: (channel: number, buffer: ChannelBuffer) => void,
): void {
  if (frame.length === 0) return;
  if (frame[0] !== BUFFERS_TAG) corrupt('unknown field');
  let length = 0;
  let at = 1;
  for (let factor = 1; ; factor *= 0x80) {
    const byte = frame[at++];
    if (byte === undefined || at > PROLOGUE_BYTES) corrupt('length');
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  if (at + length !== frame.length) corrupt('length');
  while (at < frame.length) {
    if (at + HEADER_BYTES > frame.length) corrupt('header');
    const channel = frame.readUInt32LE(at);
    const kind = frame.readUInt32LE(at + 4);
    const size = frame.readUInt32LE(at + 8);
    at += HEADER_BYTES;
    if (at + size + paddingBytes(size) > frame.length) corrupt('payload');
    visit(channel, readBuffer(frame, kind, at, size));
    at += size + paddingBytes(size);
  }
}

function readBuffer(
  frame: globalThis.Buffer,
  kind: number,
  at: number,
  size: number,
): ChannelBuffer {
  switch (kind) {
    case KIND.chunk:
      return {
        kind: 'chunk',
        bytes: new Uint8Array(frame.buffer, frame.byteOffset + at, size),
      };
    case KIND.watermark:
      if (size !== 8) corrupt('watermark');
      return { kind: 'watermark', timestamp: frame.readDoubleLE(at) };
    case KIND.watermarkStatus:
      if (size !== 1) corrupt('watermark status');
      return { kind: 'watermarkStatus', idle: frame[at] === 1 };
    case KIND.barrier: {
      if (size < BARRIER_BYTES) corrupt('barrier');
      const alignmentTimeoutMs = frame.readDoubleLE(at + 16);
      return {
        kind: 'barrier',
        checkpointId: frame.readDoubleLE(at),
        triggeredAtMs: frame.readDoubleLE(at + 8),
        alignmentTimeoutMs: alignmentTimeoutMs >= 0 ? alignmentTimeoutMs : null,
        stopAfter: frame[at + 24] === 1,
        prefix: frame.toString('utf8', at + BARRIER_BYTES, at + size),
      };
    }
    case KIND.endOfData:
      return { kind: 'endOfData' };
    default:
      return corrupt(`buffer kind ${kind}`);
  }
}
