/** Bytes as they are, for jobs that decode or pass them on by themselves. */
import { t } from '../../api/schema.js';
import type { Format } from './format.js';

/** Every record is a Uint8Array of its own. */
export function raw(): Format<Uint8Array> {
  return {
    name: 'raw',
    schema: t.bytes,
    createDecoder: () => {
      let bytes: Uint8Array = new Uint8Array(0);
      return {
        begin: (batch) => {
          bytes = batch;
        },
        // A copy: a view would keep the whole batch in memory for as long as one record lives.
        decode: (start, end) => new Uint8Array(bytes.subarray(start, end)),
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
