import test from 'ava';
import fc from 'fast-check';
import { text } from '../../../connectors/formats/index.js';
import { decodeOne, encodeOne } from './format-bytes.js';

test('text comes back as it was', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (value) => {
      t.is(await decodeOne(text(), await encodeOne(text(), value)), value);
    }),
  );
  await t.throwsAsync(decodeOne(text(), Buffer.of(0xc3, 0x28)), {
    message: 'text that is no UTF-8',
  });
});
