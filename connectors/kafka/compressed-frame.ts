/**
 * How large compressed bytes can become, told from their frames without decompressing them. The native
 * codecs take no limit, so that a few forged bytes could fill the memory of a worker; the reader
 * asks here first. A bound may be up to one block of the codec above the size.
 */
import { MalformedBytes } from './record-batch-error.js';

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
/** Magic, version of the library, oldest version that reads it. */
const XERIAL_HEADER_BYTES = 16;
const XERIAL_VERSION = 1;

const LZ4_MAGIC = 0x184d2204;
/** Sequences of LZ4 say a match's length in bytes of at most 255. */
const LZ4_RATIO_MAX = 255;

const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_SKIPPABLE_MAGIC = 0x184d2a50;
const ZSTD_BLOCK_BYTES_MAX = 128 * 1024;

/** The size that a block of snappy says it has, as a varint before it; the codec holds it to that. */
export function snappySize(block: Buffer): number {
  let size = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) break;
    size += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return size;
  }
  throw new MalformedBytes('corrupt', 'its snappy does not say a size');
}

/** The blocks inside a frame of xerial; undefined: not such a frame. */
export function xerialBlocks(bytes: Buffer): Buffer[] | undefined {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return undefined;
  const blocks: Buffer[] = [];
  let position = XERIAL_HEADER_BYTES;
  while (position < bytes.length) {
    const start = position + 4;
    const length = start > bytes.length ? -1 : bytes.readInt32BE(position);
    if (length < 0 || start + length > bytes.length) {
      throw new MalformedBytes('corrupt', 'a block of its snappy is cut');
    }
    blocks.push(bytes.subarray(start, start + length));
    position = start + length;
  }
  return blocks;
}

/** What begins a frame of xerial. */
export function xerialHeader(): Buffer {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES);
  XERIAL_MAGIC.copy(header);
  header.writeInt32BE(XERIAL_VERSION, XERIAL_MAGIC.length);
  header.writeInt32BE(XERIAL_VERSION, XERIAL_MAGIC.length + 4);
  return header;
}

/**
 * Bound of an LZ4 frame: its blocks' own bounds.
 * @throws MalformedBytes when the frame is cut or more than a frame
 */
export function lz4SizeMax(bytes: Buffer): number {
  if (bytes.length < 7 || bytes.readUInt32LE(0) !== LZ4_MAGIC) {
    throw new MalformedBytes('corrupt', 'it is no LZ4 frame');
  }
  const flags = bytes.readUInt8(4);
  const blockBytesMax = 2 ** (8 + 2 * ((bytes.readUInt8(5) >> 4) & 0x07));
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4;
  let position = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4);
  let size = 0;
  while (position + 4 <= bytes.length) {
    const word = bytes.readUInt32LE(position);
    position += 4;
    if (word === 0) {
      position += (flags & 0x04) === 0 ? 0 : 4;
      if (position === bytes.length) return size;
      break;
    }
    const compressed = word & 0x7fffffff;
    const bound = word >= 0x80000000 ? compressed : compressed * LZ4_RATIO_MAX;
    size += Math.min(blockBytesMax, bound);
    position += compressed + blockChecksumBytes;
  }
  throw new MalformedBytes('corrupt', 'its LZ4 frame does not end with the batch');
}

/**
 * Bound of one or more zstd frames: their blocks' own bounds.
 * @throws MalformedBytes when a frame is cut or unknown
 */
export function zstdSizeMax(bytes: Buffer): number {
  let size = 0;
  let position = 0;
  do {
    if (position + 8 > bytes.length) throw cutZstd();
    const magic = bytes.readUInt32LE(position);
    if ((magic & 0xfffffff0) >>> 0 === ZSTD_SKIPPABLE_MAGIC) {
      position += 8 + bytes.readUInt32LE(position + 4);
      continue;
    }
    if (magic !== ZSTD_MAGIC) throw new MalformedBytes('corrupt', 'it is no zstd frame');
    const descriptor = bytes.readUInt8(position + 4);
    position += 5 + zstdHeaderBytes(descriptor);
    let last = false;
    while (!last) {
      if (position + 3 > bytes.length) throw cutZstd();
      const header = bytes.readUIntLE(position, 3);
      last = (header & 1) !== 0;
      const type = (header >> 1) & 0x03;
      const blockBytes = header >> 3;
      // Raw and repeated bytes say their size; compressed ones may become a whole block.
      size += type === 2 ? ZSTD_BLOCK_BYTES_MAX : blockBytes;
      position += 3 + (type === 1 ? 1 : blockBytes);
    }
    position += (descriptor & 0x04) === 0 ? 0 : 4;
  } while (position < bytes.length);
  if (position > bytes.length) throw cutZstd();
  return size;
}

/** Bytes after the frame's descriptor and before its blocks: window, dictionary, content size. */
function zstdHeaderBytes(descriptor: number): number {
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const contentSizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0;
  return (singleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
}

function cutZstd(): MalformedBytes {
  return new MalformedBytes('corrupt', 'its zstd frame is cut');
}
