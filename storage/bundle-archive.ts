/**
 * A bundle as bytes: a gzipped tar of regular files. Written by the bundler, read by the coordinator
 * before it accepts one and by a worker before it runs one. Equal files give equal bytes, so that a
 * bundle is named by its SHA-256. Reading refuses whatever the writer never makes (links, folders,
 * extended headers), and never touches the file system.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { Header } from 'tar';
import {
  BUNDLE_LIMITS,
  BUNDLE_MANIFEST,
  checkBundle,
  checkBundlePath,
  parseBundleManifest,
  type BundleFile,
  type BundleLimits,
  type BundleManifest,
} from '../core/bundle.js';
import { MillraceError } from '../core/errors.js';

const BLOCK_BYTES = 512;
const EPOCH = new Date(0);
/** A small archive may unpack to this much whatever its ratio: manifests compress well. */
const RATIO_FREE_BYTES = 1024 * 1024;

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);

export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** A bundle that has passed every check. */
export interface OpenedBundle {
  readonly manifest: BundleManifest;
  readonly files: BundleFiles;
}

/** The name of a bundle: SHA-256 of its archive, 64 lower-case hex digits. */
export function bundleIdOf(archive: Uint8Array): string {
  return createHash('sha256').update(archive).digest('hex');
}

/** What a manifest says about a file. */
export function describeBundleFile(path: string, content: Uint8Array): BundleFile {
  return {
    path,
    lengthBytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
  };
}

/**
 * @param files by path; the order doesn't matter
 * @throws MillraceError BUNDLE_INVALID for a path, BUNDLE_TOO_LARGE over a limit
 */
export async function writeBundleArchive(
  files: BundleFiles,
  limits: BundleLimits = BUNDLE_LIMITS,
): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const paths = [...files.keys()].sort();
  if (paths.length > limits.entriesMax) throw tooLarge('files', paths.length, limits.entriesMax);
  let contentBytes = 0;
  for (const path of paths) {
    checkBundlePath(path, limits);
    const content = files.get(path) ?? new Uint8Array();
    contentBytes += content.byteLength;
    if (contentBytes > limits.contentBytesMax) {
      throw tooLarge('bytes unpacked', contentBytes, limits.contentBytesMax);
    }
    const block = Buffer.alloc(BLOCK_BYTES);
    const header = new Header({
      path,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: content.byteLength,
      mtime: EPOCH,
      type: 'File',
    });
    if (header.encode(block, 0)) throw invalid(`the path "${path}" doesn't fit a tar header`);
    blocks.push(block, content, Buffer.alloc(paddingOf(content.byteLength)));
  }
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES));
  const archive = await gzipAsync(Buffer.concat(blocks), { level: 9 });
  if (archive.byteLength > limits.archiveBytesMax) {
    throw tooLarge('bytes', archive.byteLength, limits.archiveBytesMax);
  }
  return archive;
}

/**
 * The files of an archive by path, in the archive's order; the content is not looked at.
 * @throws MillraceError BUNDLE_INVALID, BUNDLE_TOO_LARGE
 */
export async function readBundleArchive(
  archive: Uint8Array,
  limits: BundleLimits = BUNDLE_LIMITS,
): Promise<BundleFiles> {
  if (archive.byteLength > limits.archiveBytesMax) {
    throw tooLarge('bytes', archive.byteLength, limits.archiveBytesMax);
  }
  const tar = await unzip(archive, limits);
  const files = new Map<string, Uint8Array>();
  let offset = 0;
  for (;;) {
    if (offset + BLOCK_BYTES > tar.byteLength) throw invalid('the archive ends in the middle');
    const header = new Header(tar, offset);
    if (header.nullBlock) break;
    const path = pathOf(header, limits);
    offset += BLOCK_BYTES;
    const lengthBytes = header.size ?? 0;
    const end = offset + lengthBytes;
    if (end > tar.byteLength) throw invalid(`"${path}" ends in the middle`);
    if (files.has(path)) throw invalid(`"${path}" is in the archive twice`);
    if (files.size === limits.entriesMax) {
      throw tooLarge('files', files.size + 1, limits.entriesMax);
    }
    files.set(path, tar.subarray(offset, end));
    offset = end + paddingOf(lengthBytes);
  }
  if (tar.subarray(offset).some((byte) => byte !== 0)) throw invalid('bytes follow the archive');
  return files;
}

/**
 * Reads an archive and checks all of it: entries, limits, manifest, hashes, graph, engine version.
 * @throws MillraceError BUNDLE_INVALID, BUNDLE_TOO_LARGE, VERSION_MISMATCH, and those of the graph
 */
export async function openBundleArchive(
  archive: Uint8Array,
  limits: BundleLimits = BUNDLE_LIMITS,
): Promise<OpenedBundle> {
  const files = await readBundleArchive(archive, limits);
  const text = files.get(BUNDLE_MANIFEST);
  if (text === undefined) throw invalid(`there is no ${BUNDLE_MANIFEST}`);
  if (text.byteLength > limits.manifestBytesMax) {
    throw tooLarge(`bytes of ${BUNDLE_MANIFEST}`, text.byteLength, limits.manifestBytesMax);
  }
  const manifest = parseBundleManifest(Buffer.from(text).toString('utf8'));
  checkBundle(
    manifest,
    [...files]
      .filter(([path]) => path !== BUNDLE_MANIFEST)
      .map(([path, content]) => describeBundleFile(path, content)),
  );
  return { manifest, files };
}

async function unzip(archive: Uint8Array, limits: BundleLimits): Promise<Buffer> {
  const headerBytes = (limits.entriesMax + 2) * 2 * BLOCK_BYTES;
  const byRatio = Math.max(RATIO_FREE_BYTES, archive.byteLength * limits.ratioMax);
  const maxOutputLength = Math.min(limits.contentBytesMax, byRatio) + headerBytes;
  try {
    return await gunzipAsync(archive, { maxOutputLength });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new MillraceError(
        'BUNDLE_TOO_LARGE',
        `the bundle unpacks to more than ${maxOutputLength} bytes; leave large files out of it`,
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(`it isn't a gzipped archive (${reason})`);
  }
}

function pathOf(header: Header, limits: BundleLimits): string {
  if (!header.cksumValid) throw invalid('the checksum of a tar header is wrong');
  const path = header.path ?? '';
  if (header.typeKey !== '0') {
    throw invalid(`${JSON.stringify(path)} is a ${header.type}, not a regular file`);
  }
  checkBundlePath(path, limits);
  return path;
}

function paddingOf(lengthBytes: number): number {
  return (BLOCK_BYTES - (lengthBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function invalid(what: string): MillraceError {
  return new MillraceError('BUNDLE_INVALID', `the bundle can't be used: ${what}; make it again`);
}

function tooLarge(what: string, actual: number, limit: number): MillraceError {
  return new MillraceError(
    'BUNDLE_TOO_LARGE',
    `the bundle has ${actual} ${what}, more than ${limit}; leave large files out of it`,
  );
}
