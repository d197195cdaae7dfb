/** Bytes as they are, for jobs that decode or pass them on by themselves. */
import { t } from '../../api/schema.js';
import type { Format } from './format.js';

/** Every record has bytes of its own. */
export function raw(): Format<Uint8Array> {
  return {
    name: 'raw',
    schema: t.bytes,
    createDecoder: () => {
      let batch: Buffer = Buffer.alloc(0);
      return {
        begin: (bytes) => {
          batch = bytes;
        },
        // A copy: a view would keep the whole batch in memory for as long as one record lives.
        decode: (start, end) => {
          const record = Buffer.allocUnsafe(end - start);
          batch.copy(record, 0, start, end);
          return record;
        },
      };
    },
    createEncoder: () =>
      Promise.resolve({
        encode: (record, target, start) => {
          if (start + record.length > target.length) return -1;
          target.set(record, start);
          return start + record.length;
        },
      }),
  };
}
