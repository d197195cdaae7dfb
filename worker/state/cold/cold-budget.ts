/**
 * How one slot's `state.memoryBytesMax` is split between what it pays for: objects on the heap of the
 * slot's thread, RocksDB's write buffers, and the filters that spare reads of keys that are not
 * there. It must never promise more than the whole.
 */
import { invariant } from '../../../core/errors.js';
import { STATE_MEMORY_BYTES_MIN } from '../../../core/stream-graph.js';

const MIB = 1024 * 1024;

/** RocksDB fills one write buffer while it writes out the one before. */
const WRITE_BUFFERS = 2;
/** Larger ones only delay the writing out. */
const WRITE_BUFFER_BYTES_MAX = 64 * MIB;
/** What V8 keeps of old objects for what lives of them, until it collects: as measured. */
const HEAP_FACTOR = 1.5;
/** Of a checkpoint, the run that is written and the one that is stored. */
const RUN_BYTES = 4 * MIB;
/** Requests and answers on their way between the threads. */
const IN_TRANSIT_BYTES = 2 * MIB;

export interface ColdBudget {
  /**
   * For live objects, as estimated by their owner, and the indexes of RocksDB's files, which grow with
   * what is stored (`DatabaseStatistics.tableBytes`).
   */
  readonly liveBytes: number;
  /** Of one write buffer; there are two. */
  readonly writeBufferBytes: number;
  readonly filterBytes: number;
}

/**
 * RocksDB gets no cache of blocks: what is read is what live objects missed, so few blocks are read
 * twice, and the operating system caches files anyway. Measured, a cache made reads dearer.
 * @param memoryBytesMax at least STATE_MEMORY_BYTES_MIN, which the job's validation has seen to
 */
export function splitBudget(memoryBytesMax: number): ColdBudget {
  invariant(memoryBytesMax >= STATE_MEMORY_BYTES_MIN, 'the state budget is large enough to split');
  const writeBufferBytes = Math.min(Math.floor(memoryBytesMax / 16), WRITE_BUFFER_BYTES_MAX);
  const filterBytes = Math.floor(memoryBytesMax / 16);
  const heapBytes =
    memoryBytesMax - WRITE_BUFFERS * writeBufferBytes - filterBytes - RUN_BYTES - IN_TRANSIT_BYTES;
  return { liveBytes: Math.floor(heapBytes / HEAP_FACTOR), writeBufferBytes, filterBytes };
}
