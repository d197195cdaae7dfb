import test from 'ava';
import fc from 'fast-check';
import { raw } from '../../../connectors/formats/index.js';
import { CONTEXT, encodeOne } from './format-bytes.js';

test('bytes come back as they were, whatever is written over the batch that they came in', async (t) => {
  const values = fc.array(fc.uint8Array({ maxLength: 3_000, size: 'max' }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(values, async (each) => {
      const decoder = raw().createDecoder(CONTEXT);
      const encoded = await Promise.all(each.map((value) => encodeOne(raw(), value)));
      const batch = Buffer.concat(encoded);
      decoder.begin(batch);
      let at = 0;
      const records = encoded.map(({ length }) => decoder.decode(at, (at += length)));
      batch.fill(0xaa);
      decoder.begin(batch);
      if (batch.length > 0) decoder.decode(0, batch.length);
      t.deepEqual(
        records.map((record) => Buffer.from(record)),
        each.map((value) => Buffer.from(value)),
      );
    }),
    { numRuns: 50 },
  );
});
