/**
 * How one slot's `state.memoryBytesMax` is split between what it pays for: objects on the heap of the
 * slot's thread, RocksDB's block cache and write buffers, and the filters that spare reads of keys
 * that are not there. It must never promise more than the whole.
 */
import { invariant } from '../../../core/errors.js';
import { STATE_MEMORY_BYTES_MIN } from '../../../core/stream-graph.js';

const MIB = 1024 * 1024;

/** RocksDB fills one write buffer while it writes out the one before. */
const WRITE_BUFFERS = 2;
/** Larger ones only delay the writing out. */
const WRITE_BUFFER_BYTES_MAX = 64 * MIB;
/** Requests and answers on their way between the threads. */
const IN_TRANSIT_BYTES = 2 * MIB;

export interface ColdBudget {
  /** For live objects, as estimated by their owner. */
  readonly liveBytes: number;
  readonly blockCacheBytes: number;
  /** Of one write buffer; there are two. */
  readonly writeBufferBytes: number;
  readonly filterBytes: number;
}

/**
 * A live object spares a call to the other thread, a cached block only the unpacking of a block the
 * operating system has in its cache, so most of the budget goes to objects.
 * @param memoryBytesMax at least STATE_MEMORY_BYTES_MIN, which the job's validation has seen to
 */
export function splitBudget(memoryBytesMax: number): ColdBudget {
  invariant(memoryBytesMax >= STATE_MEMORY_BYTES_MIN, 'the state budget is large enough to split');
  const writeBufferBytes = Math.min(Math.floor(memoryBytesMax / 16), WRITE_BUFFER_BYTES_MAX);
  const blockCacheBytes = Math.floor(memoryBytesMax / 8);
  const filterBytes = Math.floor(memoryBytesMax / 16);
  const liveBytes =
    memoryBytesMax -
    WRITE_BUFFERS * writeBufferBytes -
    blockCacheBytes -
    filterBytes -
    IN_TRANSIT_BYTES;
  return { liveBytes, blockCacheBytes, writeBufferBytes, filterBytes };
}
