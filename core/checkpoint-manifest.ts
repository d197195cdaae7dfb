/**
 * The manifest of a checkpoint or savepoint as data: what it holds, of which job, in which files.
 * It is written after every file that it names and read back as untrusted input. This file says
 * what a manifest is; whether a job can start from one is checkpoint-restore.ts.
 */
import { isMillraceError, MillraceError } from './errors.js';
import { JsonReader, JsonShapeError } from './json-reader.js';
import { findManifestFault } from './manifest-check.js';
import {
  STATE_FILE_KINDS,
  type StateFile,
  type TaskFiles,
  type VertexFiles,
} from './state-file.js';
import { readStreamGraph } from './stream-graph-json.js';
import type { StreamGraph } from './stream-graph.js';
import { ENGINE_VERSION } from './version.js';

export const MANIFEST_FORMAT_VERSION = 1;

/** Name of the manifest under a checkpoint's prefix. */
export const MANIFEST_NAME = 'manifest.json';

const VERTICES_MAX = 1_000;
const TASKS_MAX = 32_768;
const FILES_MAX = 10_000;

export interface CheckpointManifest {
  readonly formatVersion: number;
  readonly engineVersion: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly checkpointId: number;
  /** Id of the savepoint; absent for a checkpoint. */
  readonly savepoint?: string;
  readonly attempt: number;
  readonly epoch: number;
  /** Wall clock, ms since the epoch. */
  readonly createdAt: number;
  readonly maxParallelism: number;
  readonly streamGraph: StreamGraph;
  readonly vertices: readonly VertexFiles[];
}

export type ManifestFields = Omit<
  CheckpointManifest,
  'formatVersion' | 'engineVersion' | 'jobName' | 'maxParallelism'
>;

export function createManifest(fields: ManifestFields): CheckpointManifest {
  return {
    formatVersion: MANIFEST_FORMAT_VERSION,
    engineVersion: ENGINE_VERSION,
    jobName: fields.streamGraph.jobName,
    maxParallelism: fields.streamGraph.maxParallelism,
    ...fields,
  };
}

export function stringifyManifest(manifest: CheckpointManifest): string {
  return `${JSON.stringify(manifest)}\n`;
}

/**
 * @param origin names the manifest in messages: its blob key
 * @throws MillraceError CHECKPOINT_CORRUPT, or VERSION_MISMATCH for a format that is not ours
 */
export function parseManifest(text: string, origin = 'of the checkpoint'): CheckpointManifest {
  try {
    const reader = new JsonReader(JSON.parse(text) as unknown, 'manifest');
    const formatVersion = reader.field('formatVersion').count();
    if (formatVersion !== MANIFEST_FORMAT_VERSION) {
      throw new MillraceError(
        'VERSION_MISMATCH',
        `${origin} has manifest format ${formatVersion}, this engine reads ` +
          `${MANIFEST_FORMAT_VERSION}; use the engine version that wrote it`,
      );
    }
    return readManifest(reader, formatVersion);
  } catch (error) {
    if (isMillraceError(error) && error.code === 'VERSION_MISMATCH') throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'CHECKPOINT_CORRUPT',
      `manifest ${origin} can't be read (${reason}); restore from another savepoint or checkpoint`,
      { cause: error },
    );
  }
}

function readManifest(reader: JsonReader, formatVersion: number): CheckpointManifest {
  const manifest: CheckpointManifest = {
    formatVersion,
    engineVersion: reader.field('engineVersion').string(),
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    checkpointId: reader.field('checkpointId').count(),
    ...reader.optional('savepoint', (savepoint) => savepoint.string()),
    attempt: reader.field('attempt').count(),
    epoch: reader.field('epoch').count(),
    createdAt: reader.field('createdAt').number(),
    maxParallelism: reader.field('maxParallelism').count(),
    streamGraph: readStreamGraph(reader.field('streamGraph')),
    vertices: reader.field('vertices').items(VERTICES_MAX).map(readVertex),
  };
  const { streamGraph } = manifest;
  if (streamGraph.jobName !== manifest.jobName) {
    throw new JsonShapeError('manifest.jobName', `the stream graph's, "${streamGraph.jobName}"`);
  }
  if (streamGraph.maxParallelism !== manifest.maxParallelism) {
    throw new JsonShapeError(
      'manifest.maxParallelism',
      `the stream graph's, ${streamGraph.maxParallelism}`,
    );
  }
  const fault = findManifestFault(manifest);
  if (fault !== undefined) throw new JsonShapeError('manifest', `consistent, but ${fault}`);
  return manifest;
}

function readVertex(reader: JsonReader): VertexFiles {
  const parallelism = reader.field('parallelism').count();
  const tasks = reader.field('tasks').items(TASKS_MAX).map(readTask);
  if (tasks.length !== parallelism || tasks.some((task, index) => task.subtask !== index)) {
    throw new JsonShapeError(`${reader.path}.tasks`, `subtasks 0..${parallelism - 1} in order`);
  }
  return { vertex: reader.field('vertex').string(), parallelism, tasks };
}

function readTask(reader: JsonReader): TaskFiles {
  return {
    subtask: reader.field('subtask').count(),
    files: reader.field('files').items(FILES_MAX).map(readFile),
  };
}

function readFile(reader: JsonReader): StateFile {
  const sha256 = reader.field('sha256').string();
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new JsonShapeError(`${reader.path}.sha256`, '64 hexadecimal digits');
  }
  return {
    operator: reader.field('operator').string(),
    kind: reader.field('kind').oneOf(STATE_FILE_KINDS),
    key: reader.field('key').string(),
    lengthBytes: reader.field('lengthBytes').count(),
    sha256,
    keyGroupStart: reader.field('keyGroupStart').count(),
    keyGroupEnd: reader.field('keyGroupEnd').count(),
  };
}
