/**
 * Makes a bundle out of a job file: compile, build the graph in a disposable process, add scoring
 * modules and assets, write the manifest. The first stop of a submit. The same sources with the same
 * parameters give the same bytes, wherever their folder is.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  BUNDLE_ENTRY,
  BUNDLE_FORMAT_VERSION,
  BUNDLE_LIMITS,
  BUNDLE_MANIFEST,
  type BundleLimits,
  type BundleManifest,
} from '../core/bundle.js';
import { MillraceError } from '../core/errors.js';
import type { StreamGraph } from '../core/stream-graph.js';
import { ENGINE_VERSION } from '../core/version.js';
import { bundleIdOf, describeBundleFile, writeBundleArchive } from '../storage/bundle-archive.js';
import { compileModules, type CompilerOptions } from './bundle-compiler.js';
import type { Environment } from './cli-context.js';
import { GraphGenerator } from './graph-generator.js';
import { findScoreModules } from './score-modules.js';

/** Files in this folder beside the job file travel with the job. */
const ASSETS_FOLDER = 'assets';

export interface BundleOptions {
  /** Path of the job file. */
  readonly file: string;
  readonly params: Readonly<Record<string, string>>;
  /** Folder that `file` and paths in messages are relative to. */
  readonly workingFolder: string;
  readonly limits?: BundleLimits;
  /** The environment in which sources and sinks look for what they read and write; without it they don't. */
  readonly checkIn?: Environment;
  /** For the builder and each scoring module; 30 s unless told. */
  readonly graphTimeoutMs?: number;
  readonly heapMbMax?: number;
  /** Stops the making of the graph. */
  readonly signal?: AbortSignal;
  /** Receives what user code prints while the graph is made. */
  readonly onOutput?: (text: string) => void;
}

export interface Bundle {
  /** SHA-256 of the archive. */
  readonly id: string;
  readonly manifest: BundleManifest;
  readonly archive: Uint8Array;
}

interface JobPlaces {
  readonly jobFile: string;
  readonly jobFolder: string;
  readonly displayRoot: string;
  readonly displayName: string;
}

async function findJob(options: BundleOptions): Promise<JobPlaces> {
  const given = path.resolve(options.workingFolder, options.file);
  const found = await stat(given).catch(() => undefined);
  if (found?.isFile() !== true) {
    throw new MillraceError(
      'USAGE',
      `there is no job file ${options.file}; give the path of the TypeScript file that exports the job`,
    );
  }
  const jobFile = await realpath(given);
  const displayRoot = await realpath(options.workingFolder);
  return {
    jobFile,
    jobFolder: path.dirname(jobFile),
    displayRoot,
    displayName: path.relative(displayRoot, jobFile),
  };
}

function generatorOptions(
  options: BundleOptions,
  places: JobPlaces,
): Parameters<typeof GraphGenerator.start>[0] {
  return {
    jobFolder: places.jobFolder,
    displayRoot: places.displayRoot,
    ...(options.graphTimeoutMs === undefined ? {} : { timeoutMs: options.graphTimeoutMs }),
    ...(options.checkIn === undefined ? {} : { checkIn: options.checkIn }),
    ...(options.heapMbMax === undefined ? {} : { heapMbMax: options.heapMbMax }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
  };
}

async function readAssets(
  jobFolder: string,
  limits: BundleLimits,
): Promise<Map<string, Uint8Array>> {
  const assets = new Map<string, Uint8Array>();
  const folder = path.join(jobFolder, ASSETS_FOLDER);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let totalBytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    totalBytes += (await stat(file)).size;
    if (assets.size >= limits.entriesMax || totalBytes > limits.contentBytesMax) {
      throw new MillraceError(
        'BUNDLE_TOO_LARGE',
        `the folder ${ASSETS_FOLDER} has more than ${limits.entriesMax} files or ` +
          `${limits.contentBytesMax} bytes; keep large data outside and read it from there`,
      );
    }
    assets.set(path.relative(jobFolder, file).split(path.sep).join('/'), await readFile(file));
  }
  return assets;
}

/** Compiles the job file and runs its builder; nothing but the graph is kept. */
export async function buildJobGraph(options: BundleOptions): Promise<StreamGraph> {
  return (await buildModules(options)).graph;
}

async function buildModules(options: BundleOptions): Promise<{
  readonly graph: StreamGraph;
  readonly params: Readonly<Record<string, string>>;
  readonly places: JobPlaces;
  readonly files: ReadonlyMap<string, Uint8Array>;
}> {
  const places = await findJob(options);
  const compile = (
    toCompile: CompilerOptions['entries'],
  ): Promise<ReadonlyMap<string, Uint8Array>> =>
    compileModules({
      entries: toCompile,
      ...places,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  const compiled = await compile([{ file: places.jobFile, output: 'job' }]);
  const generator = await GraphGenerator.start(generatorOptions(options, places));
  try {
    await generator.add(compiled);
    const { graph, params } = await generator.build(
      BUNDLE_ENTRY,
      places.displayName,
      options.params,
      path.resolve(options.workingFolder),
    );
    const modules = await findScoreModules(graph, places);
    if (modules.length === 0) return { graph, params, places, files: compiled };
    const compiledModules = await compile(modules);
    await generator.add(compiledModules);
    for (const { file, output } of modules) {
      await generator.checkScore(`${output}.mjs`, path.relative(places.displayRoot, file));
    }
    return { graph, params, places, files: new Map([...compiled, ...compiledModules]) };
  } finally {
    await generator.close();
  }
}

/**
 * @throws MillraceError USAGE (no such file), BUNDLE_INVALID, BUNDLE_TOO_LARGE, JOB_INVALID,
 *   PARAM_INVALID, USER_CODE_FAILED and what a graph is refused for; positions are the user's own
 */
export async function createBundle(options: BundleOptions): Promise<Bundle> {
  const limits = options.limits ?? BUNDLE_LIMITS;
  const { graph, params, places, files: modules } = await buildModules(options);
  const files = new Map([...modules, ...(await readAssets(places.jobFolder, limits))]);
  const described = [...files]
    .map(([file, content]) => describeBundleFile(file, content))
    .sort((left, right) => (left.path < right.path ? -1 : 1));
  const entry = described.find((file) => file.path === BUNDLE_ENTRY);
  const manifest: BundleManifest = {
    formatVersion: BUNDLE_FORMAT_VERSION,
    engineVersion: ENGINE_VERSION,
    jobName: graph.jobName,
    params,
    streamGraph: graph,
    entry: BUNDLE_ENTRY,
    entrySha256: entry?.sha256 ?? '',
    files: described,
  };
  files.set(BUNDLE_MANIFEST, Buffer.from(JSON.stringify(manifest)));
  const archive = await writeBundleArchive(files, limits);
  return { id: bundleIdOf(archive), manifest, archive };
}
