/** A format's bytes in a test's hands: one record at a time, in the middle of a batch. */
import {
  FormatError,
  SchemaMissing,
  type Decoder,
  type Format,
  type FormatContext,
} from '../../../connectors/formats/format.js';
import { faithfulText, pick, type Random } from './json-texts.js';

export const CONTEXT: FormatContext = {
  subject: 'topic "orders" value',
  topic: 'orders',
  part: 'value',
};

const AROUND = 3;

/** The record's bytes, written where just enough room is after too little. */
export async function encodeOne<T>(
  format: Format<T>,
  record: T,
  context = CONTEXT,
): Promise<Buffer> {
  const encoder = await format.createEncoder(context);
  for (let size = 0; ; size = size * 2 + 1) {
    const target = Buffer.alloc(AROUND + size);
    const end = encoder.encode(record, target, AROUND);
    if (end >= 0) return target.subarray(AROUND, end);
  }
}

/** Decodes with bytes of others around, which must make no difference. */
export function decodeWith<T>(decoder: Decoder<T>, bytes: Uint8Array): T {
  const around = Buffer.alloc(AROUND, 0x80);
  decoder.begin(Buffer.concat([around, bytes, around]));
  return decoder.decode(AROUND, AROUND + bytes.length);
}

/** As a source does it: what is missing is fetched, once. */
export async function decodeOne<T>(
  format: Format<T>,
  bytes: Uint8Array,
  context = CONTEXT,
): Promise<T> {
  const decoder = format.createDecoder(context);
  try {
    return decodeWith(decoder, bytes);
  } catch (error) {
    if (!(error instanceof SchemaMissing)) throw error;
    await error.load();
    return decodeWith(decoder, bytes);
  }
}

/** Bytes with one to three changes: flipped, cut off, put in, left out. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let changed = Buffer.from(bytes);
  const changes = 1 + Math.floor(random() * 3);
  for (let count = 0; count < changes; count++) {
    const at = Math.floor(random() * (changed.length + 1));
    const odd = pick(random, [0, 1, 2, 3, 0x7f, 0x80, 0xff, Math.floor(random() * 256)]);
    const way = Math.floor(random() * 4);
    if (way === 0 && at < changed.length) changed[at] = odd;
    else if (way === 1) changed = changed.subarray(0, at);
    else if (way === 2) {
      changed = Buffer.concat([changed.subarray(0, at), Buffer.of(odd), changed.subarray(at)]);
    } else changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1)]);
  }
  return changed;
}

/**
 * What is wrong with how `decoder` takes the bytes; undefined when it refuses them in words, or makes of
 * them a record that `encode` takes and that is the same when it is read again.
 */
export function wrongAnswer<T>(
  decoder: Decoder<T>,
  bytes: Uint8Array,
  encode: (record: T) => Buffer,
): string | undefined {
  let record: T;
  try {
    record = decodeWith(decoder, bytes);
  } catch (error) {
    return error instanceof FormatError ? undefined : `threw ${String(error)}`;
  }
  const [once, again] = [record, decodeWith(decoder, encode(record))].map(faithfulText);
  return once === again ? undefined : `${once} became ${again}`;
}
