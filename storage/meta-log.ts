/**
 * The append-only log under `FileMetaStore`: one frame per acknowledged batch, each with its length
 * and two checksums, each on disk before the next begins. It knows nothing of keys and revisions.
 * Must never cut an acknowledged frame: a tail is cut only if it shows that its write was not
 * finished; whatever else doesn't check out is refused.
 *
 * A frame: magic (4 bytes), payload length (u32 LE), CRC-32 of the payload, CRC-32 of these twelve
 * bytes, the payload (UTF-8 JSON, so no zero byte), a newline.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { MillraceError } from '../core/errors.js';

const MAGIC = 0x314c4d4d; // 'MML1'
const HEADER_BYTES = 16;
const TRAILER = 0x0a;
const SECTOR_BYTES = 512;

/** One complete frame found in a log. */
export interface LogFrame {
  readonly payload: Buffer;
  readonly endOffset: number;
}

/** The file under a log; tests put failing ones in its place. */
export interface LogFile {
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Waits until everything written is on disk. */
  sync(): Promise<void>;
  truncate(lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenLogFile = (path: string) => Promise<LogFile>;

/** Opens a log for writing; creates it if it isn't there. */
export const openLogFile: OpenLogFile = async (path) => {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  return {
    write: async (bytes, position) => {
      let written = 0;
      while (written < bytes.length) {
        const rest = bytes.length - written;
        written += (await handle.write(bytes, written, rest, position + written)).bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    truncate: (lengthBytes) => handle.truncate(lengthBytes),
    close: () => handle.close(),
  };
};

export function encodeFrame(payload: string): Buffer {
  const bytes = Buffer.from(payload);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes.length + 1);
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(bytes.length, 4);
  frame.writeUInt32LE(crc32(bytes), 8);
  frame.writeUInt32LE(crc32(frame.subarray(0, 12)), 12);
  bytes.copy(frame, HEADER_BYTES);
  frame[frame.length - 1] = TRAILER;
  return frame;
}

/**
 * Reads a whole log.
 * @param path only for messages
 * @returns its frames, and the length of the part that is sound; what follows was never acknowledged
 * @throws MillraceError STORAGE_CORRUPT naming the file and the offset
 */
export function readFrames(
  log: Buffer,
  path: string,
): { readonly frames: readonly LogFrame[]; readonly soundBytes: number } {
  const frames: LogFrame[] = [];
  let offset = 0;
  while (offset < log.length) {
    const frame = readFrame(log, offset);
    if (frame === undefined) {
      if (!isUnfinished(log, offset)) throw corrupt(path, offset);
      break;
    }
    frames.push(frame);
    offset = frame.endOffset;
  }
  return { frames, soundBytes: offset };
}

function readFrame(log: Buffer, offset: number): LogFrame | undefined {
  const payloadBytes = readHeader(log, offset);
  if (payloadBytes === undefined) return undefined;
  const endOffset = offset + HEADER_BYTES + payloadBytes + 1;
  if (endOffset > log.length || log[endOffset - 1] !== TRAILER) return undefined;
  const payload = log.subarray(offset + HEADER_BYTES, endOffset - 1);
  return crc32(payload) === log.readUInt32LE(offset + 8) ? { payload, endOffset } : undefined;
}

function readHeader(log: Buffer, offset: number): number | undefined {
  if (offset + HEADER_BYTES > log.length || log.readUInt32LE(offset) !== MAGIC) return undefined;
  const sound = crc32(log.subarray(offset, offset + 12)) === log.readUInt32LE(offset + 12);
  return sound ? log.readUInt32LE(offset + 4) : undefined;
}

/**
 * Whether the bytes from `offset` are what an interrupted write leaves: the file ends too early, or
 * a sector was never written and reads as zeros (no sector of a written frame is all zeros: its
 * first and last byte are not, and its payload has none). With a sound frame after it, it was
 * acknowledged once, and this is damage.
 */
function isUnfinished(log: Buffer, offset: number): boolean {
  for (let next = offset + 1; next + HEADER_BYTES <= log.length; next += 1) {
    if (readFrame(log, next) !== undefined) return false;
  }
  const payloadBytes = readHeader(log, offset);
  if (payloadBytes === undefined) {
    const beginsLikeAFrame = startsWithMagic(log, offset);
    if (log.length - offset < HEADER_BYTES) return beginsLikeAFrame || hasZeroSector(log, offset);
    return hasZeroSector(log, offset);
  }
  return offset + HEADER_BYTES + payloadBytes + 1 > log.length || hasZeroSector(log, offset);
}

function startsWithMagic(log: Buffer, offset: number): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  const present = log.subarray(offset, offset + 4);
  return present.equals(magic.subarray(0, present.length));
}

function hasZeroSector(log: Buffer, offset: number): boolean {
  let start = offset;
  while (start < log.length) {
    const end = Math.min(log.length, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (log.subarray(start, end).every((byte) => byte === 0)) return true;
    start = end;
  }
  return false;
}

function corrupt(path: string, offset: number): MillraceError {
  return new MillraceError(
    'STORAGE_CORRUPT',
    `${path} is damaged at byte ${offset}: a record there does not match its checksum; ` +
      `restore the file from a backup, or start with an empty data folder`,
  );
}
