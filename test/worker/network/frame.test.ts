import test from 'ava';
import fc from 'fast-check';
import { isMillraceError } from '../../../core/errors.js';
import { ExchangeFrame } from '../../../proto/gen/millrace/v1/exchange.js';
import type { Buffer as ChannelBuffer } from '../../../worker/network/buffer.js';
import { decodeFrame, encodeFrame } from '../../../worker/network/frame.js';

const channelBuffer: fc.Arbitrary<ChannelBuffer> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes): ChannelBuffer => ({ kind: 'chunk', bytes })),
  fc.double({ noNaN: true }).map((timestamp): ChannelBuffer => ({ kind: 'watermark', timestamp })),
  fc.boolean().map((idle): ChannelBuffer => ({ kind: 'watermarkStatus', idle })),
  fc
    .tuple(fc.nat(), fc.string(), fc.boolean(), fc.nat(), fc.option(fc.nat()))
    .map(([checkpointId, prefix, stopAfter, triggeredAtMs, alignmentTimeoutMs]): ChannelBuffer => ({
      kind: 'barrier',
      checkpointId,
      prefix,
      triggeredAtMs,
      stopAfter,
      alignmentTimeoutMs,
    })),
  fc.constant<ChannelBuffer>({ kind: 'endOfData' }),
);
const frameContent = fc.array(fc.tuple(fc.nat(0xffff), channelBuffer), { maxLength: 20 });

function decoded(frame: Buffer): [number, ChannelBuffer][] {
  const buffers: [number, ChannelBuffer][] = [];
  decodeFrame(frame, (channel, buffer) => buffers.push([channel, buffer]));
  return buffers;
}

test('property: what goes into a frame comes out, in order', (t) => {
  fc.assert(
    fc.property(frameContent, (content) => {
      const frame = encodeFrame(
        content.map(([channel]) => channel),
        content.map(([, buffer]) => buffer),
      );
      t.deepEqual(decoded(frame), content);
    }),
  );
});

test('property: a frame is a protobuf ExchangeFrame', (t) => {
  fc.assert(
    fc.property(frameContent, (content) => {
      const frame = encodeFrame(
        content.map(([channel]) => channel),
        content.map(([, buffer]) => buffer),
      );
      const message = ExchangeFrame.decode(frame);
      t.deepEqual(decoded(Buffer.from(ExchangeFrame.encode(message).finish())), decoded(frame));
    }),
  );
});

test('property: damaged bytes give WIRE_CORRUPT or some buffers, never anything else', (t) => {
  fc.assert(
    fc.property(frameContent, fc.nat(), fc.nat(255), fc.nat(), (content, at, byte, cut) => {
      const frame = encodeFrame(
        content.map(([channel]) => channel),
        content.map(([, buffer]) => buffer),
      );
      if (frame.length > 0) frame[at % frame.length] = byte;
      try {
        decoded(frame.subarray(0, cut % (frame.length + 1)));
      } catch (error) {
        t.true(isMillraceError(error) && error.code === 'WIRE_CORRUPT', String(error));
      }
      t.pass();
    }),
  );
});
