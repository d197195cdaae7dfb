/** Opens chunks of a run whose bytes nobody vouches for. */
import type { RecordCodec } from '../../core/record-codec.js';
import { corruptRun, type ChunkEntry, type RunFile } from './run-file.js';

/** @throws MillraceError CHECKPOINT_CORRUPT */
export function decodeRows<Row>(
  file: RunFile,
  chunks: readonly ChunkEntry[],
  codec: RecordCodec<Row>,
): readonly Row[] {
  return chunks.flatMap((chunk) => {
    const into = { values: [] as Row[], timestamps: new Float64Array(0), count: 0 };
    return decoding(() => codec.decode(file.chunk(chunk), into)).values;
  });
}

/** Whatever goes wrong in here is the fault of the bytes. */
export function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw corruptRun('a chunk that does not decode', cause);
  }
}
