/**
 * The codecs of record batches. Decompression is bounded before any of it is done: a codec's own frame
 * tells how large it can become (compressed-frame.ts), and the native codecs take no limit. Only
 * zstd is asynchronous, because its package is.
 */
import { promisify } from 'node:util';
import { gunzipSync, gzip } from 'node:zlib';
import zstd from '@mongodb-js/zstd';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import {
  lz4SizeMax,
  snappySize,
  xerialBlocks,
  xerialHeader,
  zstdSizeMax,
} from './compressed-frame.js';
import { MalformedBytes } from './record-batch-error.js';

/** By number in a batch's attributes. */
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** Those that answer at once. */
export type SynchronousCompression = Exclude<Compression, 'none' | 'zstd'>;

/** Least effort: measured, the further levels cost several times more for a few percent of size. */
const GZIP_LEVEL = 1;
const ZSTD_LEVEL = 3;

/** What Java's producers write: their readers allocate a block at a time. */
const XERIAL_BLOCK_BYTES = 32 * 1024;

const gzipAsync = promisify(gzip);

/** The bytes of a batch's records, compressed off this thread. */
export async function compress(
  compression: Exclude<Compression, 'none'>,
  bytes: Buffer,
): Promise<Buffer> {
  switch (compression) {
    case 'gzip':
      return gzipAsync(bytes, { level: GZIP_LEVEL });
    case 'snappy':
      return compressXerial(bytes);
    case 'lz4':
      return lz4.compressFrame(bytes);
    case 'zstd':
      return zstd.compress(bytes, ZSTD_LEVEL);
  }
}

/**
 * Decompresses at once.
 * @throws MalformedBytes when the bytes are not of the codec, or would become more than `sizeMax` bytes
 */
export function decompress(
  compression: SynchronousCompression,
  bytes: Buffer,
  sizeMax: number,
): Buffer {
  try {
    switch (compression) {
      case 'gzip':
        return gunzipSync(bytes, { maxOutputLength: sizeMax });
      case 'snappy':
        return decompressSnappy(bytes, sizeMax);
      case 'lz4':
        checkSize(lz4SizeMax(bytes), sizeMax);
        return lz4.decompressFrameSync(bytes);
    }
  } catch (error) {
    throw asMalformed(compression, error, sizeMax);
  }
}

/**
 * Decompresses zstd off this thread.
 * @throws MalformedBytes as `decompress`, by the promise
 */
export async function decompressZstd(bytes: Buffer, sizeMax: number): Promise<Buffer> {
  try {
    checkSize(zstdSizeMax(bytes), sizeMax);
    return await zstd.decompress(bytes);
  } catch (error) {
    throw asMalformed('zstd', error, sizeMax);
  }
}

/** Snappy comes bare, or in the frame of Java's snappy library (xerial), which Java clients write. */
function decompressSnappy(bytes: Buffer, sizeMax: number): Buffer {
  const blocks = xerialBlocks(bytes) ?? [bytes];
  let size = 0;
  for (const block of blocks) size += snappySize(block);
  checkSize(size, sizeMax);
  const parts = blocks.map(uncompressBlock);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

function uncompressBlock(block: Buffer): Buffer {
  const bytes = snappy.uncompressSync(block);
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}

async function compressXerial(bytes: Buffer): Promise<Buffer> {
  const blocks: Promise<Buffer>[] = [];
  for (let start = 0; start < bytes.length; start += XERIAL_BLOCK_BYTES) {
    blocks.push(snappy.compress(bytes.subarray(start, start + XERIAL_BLOCK_BYTES)));
  }
  const parts = [xerialHeader()];
  for (const block of await Promise.all(blocks)) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function checkSize(size: number, sizeMax: number): void {
  if (size > sizeMax) throw tooLarge(sizeMax);
}

function tooLarge(sizeMax: number): MalformedBytes {
  return new MalformedBytes('too-large', `it would decompress to more than ${sizeMax} bytes`);
}

function asMalformed(compression: Compression, error: unknown, sizeMax: number): MalformedBytes {
  if (error instanceof MalformedBytes) return error;
  if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
    return tooLarge(sizeMax);
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new MalformedBytes('corrupt', `its ${compression} does not decompress: ${reason}`, {
    cause: error,
  });
}
