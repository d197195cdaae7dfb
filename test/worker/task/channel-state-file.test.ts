import test from 'ava';
import fc from 'fast-check';
import { isMillraceError } from '../../../core/errors.js';
import {
  decodeChannelState,
  encodeChannelState,
  type ChannelSection,
  type KeptBuffer,
} from '../../../worker/task/channel-state-file.js';

const buffer: fc.Arbitrary<KeptBuffer> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes): KeptBuffer => ({ kind: 'chunk', bytes })),
  fc.double({ noNaN: true }).map((timestamp): KeptBuffer => ({ kind: 'watermark', timestamp })),
);

const section: fc.Arbitrary<ChannelSection> = fc.record({
  input: fc.nat(3),
  fromSubtask: fc.option(fc.nat(200), { nil: undefined }),
  toSubtask: fc.nat(200),
  fromParallelism: fc.nat(200),
  toParallelism: fc.nat(200),
  side: fc.constantFrom('input', 'output'),
  buffers: fc.array(buffer, { maxLength: 5 }),
});

test('property: what is written is read back', (t) => {
  fc.assert(
    fc.property(fc.array(section, { maxLength: 6 }), (sections) => {
      t.deepEqual(decodeChannelState(encodeChannelState(sections), 'a file'), sections);
    }),
  );
});

test('property: damaged bytes are refused by the name of their file, or still are in-flight data', (t) => {
  fc.assert(
    fc.property(
      fc.array(section, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (sections, at, flip, truncate) => {
        const bytes = encodeChannelState(sections);
        const position = at % bytes.length;
        bytes[position] = (bytes[position] ?? 0) ^ flip;
        try {
          decodeChannelState(truncate ? bytes.subarray(0, position) : bytes, 'chk-1/x');
        } catch (error) {
          t.true(isMillraceError(error) && error.code === 'CHECKPOINT_CORRUPT');
          t.regex(String(error), /chk-1\/x/);
        }
      },
    ),
  );
  t.pass();
});
