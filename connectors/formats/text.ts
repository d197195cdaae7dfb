/** UTF-8 text as it is, for keys above all. */
import { isUtf8 } from 'node:buffer';
import { t } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import { describeValue } from '../../core/schema-text.js';
import { FormatError, type Format } from './format.js';

/** UTF-16 units become at most as many bytes each. */
const BYTES_PER_UNIT = 3;

/** Bytes that are no UTF-8 hold no record. */
export function text(): Format<string> {
  return {
    name: 'text',
    schema: t.string,
    createDecoder: () => {
      let batch: Buffer = Buffer.alloc(0);
      return {
        begin: (bytes) => {
          batch = bytes;
        },
        decode: (start, end) => {
          if (!isUtf8(batch.subarray(start, end))) throw new FormatError('text that is no UTF-8');
          return batch.toString('utf8', start, end);
        },
      };
    },
    createEncoder: () =>
      Promise.resolve({
        encode: (record, target, start) => {
          if (typeof record !== 'string') {
            throw new MillraceError(
              'SCHEMA_MISMATCH',
              `can't write a record as text: expected string, got ${describeValue(record)}; correct the job`,
            );
          }
          const room = target.length - start;
          const isEnough =
            record.length * BYTES_PER_UNIT <= room || Buffer.byteLength(record) <= room;
          return isEnough ? start + target.write(record, start) : -1;
        },
      }),
  };
}
