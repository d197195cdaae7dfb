/** A small valid bundle for tests of everything that takes one. */
import {
  BUNDLE_ENTRY,
  BUNDLE_FORMAT_VERSION,
  BUNDLE_MANIFEST,
  type BundleManifest,
} from '../core/bundle.js';
import type { StreamGraph } from '../core/stream-graph.js';
import { ENGINE_VERSION } from '../core/version.js';
import { describeBundleFile, writeBundleArchive } from '../storage/bundle-archive.js';

/** source -> (hash) -> sink: two vertices. */
export function exampleGraph(overrides: Partial<StreamGraph> = {}): StreamGraph {
  return {
    jobName: 'example',
    maxParallelism: 128,
    checkpoint: {
      intervalMs: 60_000,
      timeoutMs: 60_000,
      retained: 2,
      minPauseMs: 0,
      tolerableFailures: 0,
      alignmentTimeoutMs: null,
    },
    restart: { kind: 'fixedDelay', attempts: 3, delayMs: 0 },
    state: { backend: 'memory', memoryBytesMax: 268_435_456 },
    bufferTimeoutMs: 10,
    watermarkIntervalMs: 100,
    nodes: [
      {
        name: 'numbers',
        kind: 'source',
        chainable: true,
        inputs: [],
        outputs: { main: 'float64' },
        states: [],
        connector: 'generator',
        declaredAt: 'job.ts:1:1',
      },
      {
        name: 'out',
        kind: 'sink',
        chainable: true,
        inputs: [{ from: 'numbers', output: 'main', partitioning: 'hash' }],
        outputs: {},
        states: [],
        connector: 'files',
        declaredAt: 'job.ts:2:1',
      },
    ],
    ...overrides,
  };
}

/** The files of a bundle, manifest included. */
export function exampleFiles(
  graph: StreamGraph = exampleGraph(),
  manifest: Partial<BundleManifest> = {},
): Map<string, Uint8Array> {
  const entry = Buffer.from('export default {};\n');
  const described = describeBundleFile(BUNDLE_ENTRY, entry);
  const whole: BundleManifest = {
    formatVersion: BUNDLE_FORMAT_VERSION,
    engineVersion: ENGINE_VERSION,
    jobName: graph.jobName,
    params: {},
    streamGraph: graph,
    entry: BUNDLE_ENTRY,
    entrySha256: described.sha256,
    files: [described],
    ...manifest,
  };
  return new Map<string, Uint8Array>([
    [BUNDLE_ENTRY, entry],
    [BUNDLE_MANIFEST, Buffer.from(JSON.stringify(whole))],
  ]);
}

export function exampleArchive(
  graph?: StreamGraph,
  manifest?: Partial<BundleManifest>,
): Promise<Uint8Array> {
  return writeBundleArchive(exampleFiles(graph, manifest));
}
