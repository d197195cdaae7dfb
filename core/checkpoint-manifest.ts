/**
 * The manifest of a checkpoint or savepoint: what it holds, with every file's length and checksum.
 * Written last, after all files it names; read back before anything is restored. A manifest on disk
 * is untrusted input until it has been read by `parseCheckpointManifest`.
 */
import { isMillraceError, MillraceError } from './errors.js';
import type { JobGraph } from './job-graph.js';
import { JsonReader, JsonShapeError } from './json-reader.js';
import { evolve } from './schema-evolution.js';
import { schemaFromJson, type SchemaJson } from './schema-json.js';
import type { StateFile } from './state-file.js';
import type { StateKind } from './stream-graph.js';

export const CHECKPOINT_FORMAT_VERSION = 1;
export const CHECKPOINT_MANIFEST = 'manifest.json';

export type CheckpointKind = 'checkpoint' | 'savepoint';

export interface ManifestState {
  readonly name: string;
  readonly kind: StateKind;
  readonly schema: SchemaJson;
}

export interface ManifestOperator {
  readonly name: string;
  readonly states: readonly ManifestState[];
}

export interface ManifestTask {
  readonly subtask: number;
  readonly files: readonly StateFile[];
}

export interface ManifestVertex {
  readonly id: string;
  readonly parallelism: number;
  readonly operators: readonly ManifestOperator[];
  readonly tasks: readonly ManifestTask[];
}

export interface CheckpointManifest {
  readonly formatVersion: number;
  readonly engineVersion: string;
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  readonly jobId: string;
  readonly jobName: string;
  readonly attempt: number;
  readonly epoch: number;
  /** Wall clock, ms since the epoch. */
  readonly createdAtMs: number;
  readonly maxParallelism: number;
  readonly vertices: readonly ManifestVertex[];
}

/** The name of the savepoint that a job's checkpoint id stands for. */
export function savepointIdOf(jobId: string, checkpointId: number): string {
  return `sp-${jobId}-${checkpointId}`;
}

/** The blob folder of a checkpoint's files and manifest, without a slash at the end. */
export function checkpointFolder(
  jobId: string,
  checkpointId: number,
  kind: CheckpointKind,
): string {
  return kind === 'savepoint'
    ? `savepoints/${savepointIdOf(jobId, checkpointId)}`
    : `jobs/${jobId}/chk-${checkpointId}`;
}

/** Bytes of all files that the manifest names. */
export function manifestBytes(manifest: CheckpointManifest): number {
  let bytes = 0;
  for (const file of filesOf(manifest)) bytes += file.lengthBytes;
  return bytes;
}

export function filesOf(manifest: CheckpointManifest): readonly StateFile[] {
  return manifest.vertices.flatMap((vertex) => vertex.tasks.flatMap((task) => task.files));
}

/** What the graph says about the state of each vertex; the tasks' files come with their reports. */
export function manifestVertices(
  graph: JobGraph,
  filesOfTask: (vertex: string, subtask: number) => readonly StateFile[],
): readonly ManifestVertex[] {
  return graph.vertices.map((vertex) => ({
    id: vertex.id,
    parallelism: vertex.parallelism,
    operators: vertex.operators.map((operator) => ({
      name: operator.name,
      states: operator.states.map(({ name, kind, schema }) => ({ name, kind, schema })),
    })),
    tasks: Array.from({ length: vertex.parallelism }, (_, subtask) => ({
      subtask,
      files: filesOfTask(vertex.id, subtask),
    })),
  }));
}

/**
 * Whether a job can take the checkpoint's state over: at the same parallelism, every state in both
 * or `allowNonRestored`, every schema able to evolve.
 * @throws MillraceError STATE_NOT_RESTORABLE naming the operator and the state
 */
export function checkRestorable(
  manifest: CheckpointManifest,
  graph: JobGraph,
  allowNonRestored: boolean,
): void {
  const refuse = (what: string, remedy: string): never => {
    throw new MillraceError(
      'STATE_NOT_RESTORABLE',
      `${manifest.kind} ${manifest.checkpointId} of job "${manifest.jobName}" doesn't fit job ` +
        `"${graph.jobName}": ${what}; ${remedy}`,
    );
  };
  if (manifest.maxParallelism !== graph.maxParallelism) {
    refuse(
      `it has maxParallelism ${manifest.maxParallelism}, the job ${graph.maxParallelism}`,
      'give the job the maxParallelism of the checkpoint, it is fixed for the life of its state',
    );
  }
  const allow = 'name it as it was, or drop or begin it empty with --allow-non-restored-state';
  const written = operatorsOf(manifest.vertices);
  const wanted = operatorsOf(manifestVertices(graph, () => []));
  for (const [name, { states, parallelism, hasFiles }] of written) {
    const operator = wanted.get(name);
    if (operator === undefined) {
      if (hasFiles && !allowNonRestored) {
        refuse(`it holds state of operator "${name}", which the job doesn't have`, allow);
      }
      continue;
    }
    if (operator.parallelism !== parallelism) {
      refuse(
        `operator "${name}" ran at parallelism ${parallelism}, not ${operator.parallelism}`,
        `submit with --parallelism ${parallelism}`,
      );
    }
    for (const state of states.values()) {
      const reader = operator.states.get(state.name);
      if (reader === undefined) {
        if (!allowNonRestored) {
          refuse(
            `it holds state "${state.name}" of operator "${name}", which the job doesn't declare`,
            allow,
          );
        }
        continue;
      }
      if (reader.kind !== state.kind) {
        refuse(
          `state "${state.name}" of operator "${name}" was a ${state.kind} state, not ${reader.kind}`,
          'give the new state another name',
        );
      }
      const evolution = evolve(schemaFromJson(state.schema), schemaFromJson(reader.schema));
      if (!evolution.compatible) {
        refuse(
          `state "${state.name}" of operator "${name}": ${evolution.reason}`,
          'keep the field as it was, or give the new state another name',
        );
      }
    }
    for (const state of operator.states.keys()) {
      if (!states.has(state) && !allowNonRestored) {
        refuse(`it holds no state "${state}" of operator "${name}"`, allow);
      }
    }
  }
  for (const [name, { states }] of wanted) {
    if (!written.has(name) && states.size > 0 && !allowNonRestored) {
      refuse(`it holds no state of operator "${name}"`, allow);
    }
  }
}

interface OperatorState {
  readonly parallelism: number;
  readonly states: ReadonlyMap<string, ManifestState>;
  readonly hasFiles: boolean;
}

function operatorsOf(vertices: readonly ManifestVertex[]): ReadonlyMap<string, OperatorState> {
  const operators = new Map<string, OperatorState>();
  for (const vertex of vertices) {
    const owners = new Set(vertex.tasks.flatMap((task) => task.files.map((file) => file.operator)));
    for (const { name, states } of vertex.operators) {
      operators.set(name, {
        parallelism: vertex.parallelism,
        states: new Map(states.map((state) => [state.name, state])),
        hasFiles: owners.has(name),
      });
    }
  }
  return operators;
}

/** @throws MillraceError CHECKPOINT_CORRUPT, VERSION_MISMATCH */
export function parseCheckpointManifest(text: string): CheckpointManifest {
  try {
    return readManifest(new JsonReader(JSON.parse(text), 'manifest'));
  } catch (error) {
    if (isMillraceError(error) && error.code === 'VERSION_MISMATCH') throw error;
    if (isMillraceError(error) || error instanceof JsonShapeError || error instanceof SyntaxError) {
      throw new MillraceError(
        'CHECKPOINT_CORRUPT',
        `the checkpoint's manifest can't be read: ${error.message}; restore from another checkpoint`,
        { cause: error },
      );
    }
    throw error;
  }
}

const ITEMS_MAX = 100_000;
const STATE_KINDS = [
  'value',
  'list',
  'map',
  'reducing',
  'aggregating',
  'window',
  'operator',
] as const;

function readManifest(reader: JsonReader): CheckpointManifest {
  const formatVersion = reader.field('formatVersion').count();
  const engineVersion = reader.field('engineVersion').string();
  if (formatVersion !== CHECKPOINT_FORMAT_VERSION) {
    throw new MillraceError(
      'VERSION_MISMATCH',
      `the checkpoint was written by millrace ${engineVersion} in format ${formatVersion}, this ` +
        `version reads ${CHECKPOINT_FORMAT_VERSION}; restore it with that version`,
    );
  }
  return {
    formatVersion,
    engineVersion,
    checkpointId: reader.field('checkpointId').count(),
    kind: reader.field('kind').oneOf(['checkpoint', 'savepoint'] as const),
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    attempt: reader.field('attempt').count(),
    epoch: reader.field('epoch').count(),
    createdAtMs: reader.field('createdAtMs').number(),
    maxParallelism: reader.field('maxParallelism').count(),
    vertices: reader.field('vertices').items(ITEMS_MAX).map(readVertex),
  };
}

function readVertex(reader: JsonReader): ManifestVertex {
  return {
    id: reader.field('id').string(),
    parallelism: reader.field('parallelism').count(),
    operators: reader
      .field('operators')
      .items(ITEMS_MAX)
      .map((operator) => ({
        name: operator.field('name').string(),
        states: operator
          .field('states')
          .items(ITEMS_MAX)
          .map((state) => ({
            name: state.field('name').string(),
            kind: state.field('kind').oneOf(STATE_KINDS),
            schema: state.field('schema').value as SchemaJson,
          })),
      })),
    tasks: reader
      .field('tasks')
      .items(ITEMS_MAX)
      .map((task) => ({
        subtask: task.field('subtask').count(),
        files: task.field('files').items(ITEMS_MAX).map(readFile),
      })),
  };
}

function readFile(reader: JsonReader): StateFile {
  return {
    operator: reader.field('operator').string(),
    kind: reader.field('kind').oneOf(['keyed', 'operator'] as const),
    key: reader.field('key').string(),
    lengthBytes: reader.field('lengthBytes').count(),
    sha256: reader.field('sha256').string(),
    keyGroupStart: reader.field('keyGroupStart').count(),
    keyGroupEnd: reader.field('keyGroupEnd').count(),
  };
}
