/**
 * The bundle: what a job travels in, from the bundler over the coordinator to every worker. Files
 * by path, one of them the manifest, which names all others with length and SHA-256. Pure rules
 * over paths and digests; reading and hashing the archive is storage/bundle-archive.ts. A bundle is
 * untrusted input until `checkBundle` has passed.
 */
import { isMillraceError, MillraceError } from './errors.js';
import { JsonReader, JsonShapeError } from './json-reader.js';
import type { StreamGraph } from './stream-graph.js';
import { readStreamGraph } from './stream-graph-json.js';
import { ENGINE_VERSION, isSameEngine } from './version.js';

export const BUNDLE_FORMAT_VERSION = 1;
export const BUNDLE_MANIFEST = 'manifest.json';
export const BUNDLE_ENTRY = 'job.mjs';

export interface BundleLimits {
  /** Of the archive as it is uploaded. */
  readonly archiveBytesMax: number;
  /** Of all files together, unpacked. */
  readonly contentBytesMax: number;
  readonly entriesMax: number;
  /** Unpacked bytes per archive byte; more is taken for a decompression bomb. */
  readonly ratioMax: number;
  /** Of one path; longer ones would need an extended tar header. */
  readonly pathBytesMax: number;
  readonly manifestBytesMax: number;
}

export const BUNDLE_LIMITS: BundleLimits = {
  archiveBytesMax: 64 * 1024 * 1024,
  contentBytesMax: 256 * 1024 * 1024,
  entriesMax: 2000,
  ratioMax: 100,
  pathBytesMax: 200,
  manifestBytesMax: 8 * 1024 * 1024,
};

/** A file of a bundle as its content shows it. */
export interface BundleFile {
  readonly path: string;
  readonly lengthBytes: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

export interface BundleManifest {
  readonly formatVersion: number;
  readonly engineVersion: string;
  readonly jobName: string;
  /** The values as they were given, before parsing. */
  readonly params: Readonly<Record<string, string>>;
  readonly streamGraph: StreamGraph;
  readonly entry: string;
  readonly entrySha256: string;
  /** Every file but the manifest, by path in ascending order. */
  readonly files: readonly BundleFile[];
}

const PATH_PATTERN = /^[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*(\/[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]*)*$/;
const ID_PATTERN = /^[0-9a-f]{64}$/;

/** Whether a text has the form of a bundle's name: the SHA-256 of its archive. */
export function isBundleId(text: string): boolean {
  return ID_PATTERN.test(text);
}

/** @throws MillraceError BUNDLE_INVALID for a path that could leave the folder it is unpacked to */
export function checkBundlePath(path: string, limits: BundleLimits = BUNDLE_LIMITS): void {
  if (!PATH_PATTERN.test(path) || path.length > limits.pathBytesMax) {
    throw new MillraceError(
      'BUNDLE_INVALID',
      `the bundle holds the path ${JSON.stringify(path.slice(0, 300))}; use relative paths of at most ` +
        `${limits.pathBytesMax} letters, digits and ". _ @ + = -" with no part that begins with a dot`,
    );
  }
}

/** @throws MillraceError BUNDLE_INVALID, VERSION_MISMATCH, and what the stream graph's checks throw */
export function parseBundleManifest(text: string): BundleManifest {
  try {
    return readManifest(new JsonReader(JSON.parse(text), 'manifest'));
  } catch (error) {
    if (isMillraceError(error)) throw error;
    if (error instanceof JsonShapeError || error instanceof SyntaxError) {
      throw new MillraceError(
        'BUNDLE_INVALID',
        `${BUNDLE_MANIFEST} can't be read: ${error.message}; make the bundle again with this version of millrace`,
        { cause: error },
      );
    }
    throw error;
  }
}

function readManifest(reader: JsonReader): BundleManifest {
  const formatVersion = reader.field('formatVersion').count();
  const engineVersion = reader.field('engineVersion').string();
  if (formatVersion !== BUNDLE_FORMAT_VERSION || !isSameEngine(engineVersion, ENGINE_VERSION)) {
    throw new MillraceError(
      'VERSION_MISMATCH',
      `the bundle was made by millrace ${engineVersion} (format ${formatVersion}), this is ` +
        `${ENGINE_VERSION} (format ${BUNDLE_FORMAT_VERSION}); make it again with this version`,
    );
  }
  const params = Object.create(null) as Record<string, string>;
  for (const [name, value] of reader.field('params').fields()) params[name] = value.string(65_536);
  return {
    formatVersion,
    engineVersion,
    jobName: reader.field('jobName').string(),
    params,
    streamGraph: readStreamGraph(reader.field('streamGraph')),
    entry: reader.field('entry').string(),
    entrySha256: reader.field('entrySha256').string(),
    files: reader
      .field('files')
      .items(BUNDLE_LIMITS.entriesMax)
      .map((file) => ({
        path: file.field('path').string(),
        lengthBytes: file.field('lengthBytes').count(),
        sha256: file.field('sha256').string(),
      })),
  };
}

/**
 * Checks that the manifest tells the truth about the files that came with it.
 * @param files every file of the archive but the manifest
 * @throws MillraceError BUNDLE_INVALID naming what is missing, unexpected or different
 */
export function checkBundle(manifest: BundleManifest, files: readonly BundleFile[]): void {
  const invalid = (what: string): never => {
    throw new MillraceError('BUNDLE_INVALID', `${what}; make the bundle again`);
  };
  if (manifest.jobName !== manifest.streamGraph.jobName) {
    invalid(
      `the manifest names job "${manifest.jobName}", its graph "${manifest.streamGraph.jobName}"`,
    );
  }
  const actual = new Map(files.map((file) => [file.path, file]));
  const declared = new Set<string>();
  for (const file of manifest.files) {
    checkBundlePath(file.path);
    if (declared.has(file.path)) invalid(`the manifest names "${file.path}" twice`);
    declared.add(file.path);
    const found = actual.get(file.path);
    if (found === undefined) invalid(`"${file.path}" is in the manifest but not in the bundle`);
    else if (found.lengthBytes !== file.lengthBytes || found.sha256 !== file.sha256) {
      invalid(`"${file.path}" differs from what the manifest says about it`);
    }
  }
  for (const path of actual.keys()) {
    if (!declared.has(path)) invalid(`"${path}" is in the bundle but not in the manifest`);
  }
  if (
    manifest.entry !== BUNDLE_ENTRY ||
    actual.get(BUNDLE_ENTRY)?.sha256 !== manifest.entrySha256
  ) {
    invalid(`the entry must be "${BUNDLE_ENTRY}" with the SHA-256 that the manifest gives`);
  }
}
