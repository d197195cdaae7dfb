/**
 * Whether a job can start from a checkpoint or savepoint: every piece of state in it must have a
 * place in the job's graph, of the same kind and of a schema that it can be migrated to. Decided
 * from the manifest alone, before anything is deployed.
 */
import type { CheckpointManifest } from './checkpoint-manifest.js';
import { MillraceError } from './errors.js';
import { createJobGraph } from './job-graph.js';
import { evolve } from './schema-evolution.js';
import { schemaFromJson } from './schema-json.js';
import type { OperatorKind, StateDeclaration, StreamGraph, StreamNode } from './stream-graph.js';

/**
 * @param allowNonRestoredState drops state that has no place in `graph`, and lets state that is not
 *   in the manifest start empty
 * @throws MillraceError STATE_NOT_RESTORABLE naming the operator and the state
 */
export function checkRestorable(
  manifest: CheckpointManifest,
  graph: StreamGraph,
  allowNonRestoredState: boolean,
): void {
  if (manifest.jobName !== graph.jobName) {
    refuse(
      `it was taken of job "${manifest.jobName}", not of "${graph.jobName}"`,
      'give a savepoint of this job',
    );
  }
  if (manifest.maxParallelism !== graph.maxParallelism) {
    refuse(
      `it has maxParallelism ${manifest.maxParallelism}, the job has ${graph.maxParallelism}`,
      `set the job's maxParallelism to ${manifest.maxParallelism}; it is fixed for a job's life`,
    );
  }
  checkInFlight(manifest, graph);
  const written = new Map(manifest.streamGraph.nodes.map((node) => [node.name, node]));
  const wanted = new Map(graph.nodes.map((node) => [node.name, node]));
  for (const node of manifest.streamGraph.nodes) {
    const target = wanted.get(node.name);
    if (target !== undefined) checkOperator(node, target, allowNonRestoredState);
    else if (isStateful(node) && !allowNonRestoredState) {
      refuse(
        `it holds state of ${node.kind} "${node.name}", which the job doesn't have`,
        'give the operator its old name again, or drop its state with --allow-non-restored-state',
      );
    }
  }
  for (const node of graph.nodes) {
    if (!isStateful(node) || written.has(node.name) || allowNonRestoredState) continue;
    refuse(
      `it holds no state of ${node.kind} "${node.name}" (${node.declaredAt})`,
      'if the operator is new, let it start empty with --allow-non-restored-state',
    );
  }
}

/** Sources keep positions and sinks keep what is still to be committed, declared or not. */
function isStateful(node: StreamNode): boolean {
  return node.states.length > 0 || node.kind === 'source' || node.kind === 'sink';
}

/** The kind of operator, as far as what it keeps is concerned: a broadcast stream may come or go beside a keyed one. */
function stateOwner({ kind }: StreamNode): OperatorKind {
  return kind === 'broadcastProcess' ? 'process' : kind;
}

function checkOperator(node: StreamNode, target: StreamNode, allowNonRestoredState: boolean): void {
  if (stateOwner(node) !== stateOwner(target) && (isStateful(node) || isStateful(target))) {
    refuse(
      `operator "${node.name}" is a ${node.kind} in it and a ${target.kind} in the job`,
      'give the changed operator another name',
    );
  }
  const wanted = new Map(target.states.map((state) => [state.name, state]));
  const written = new Set(node.states.map((state) => state.name));
  for (const state of node.states) {
    const reader = wanted.get(state.name);
    if (reader !== undefined) checkState(node.name, state, reader);
    else if (!allowNonRestoredState) {
      refuse(
        `it holds state "${state.name}" of operator "${node.name}", which the job doesn't declare`,
        'declare it again, or drop it with --allow-non-restored-state',
      );
    }
  }
  for (const state of target.states) {
    if (written.has(state.name) || allowNonRestoredState) continue;
    refuse(
      `it holds no state "${state.name}" of operator "${node.name}"`,
      'if the state is new, let it start empty with --allow-non-restored-state',
    );
  }
}

function checkState(operator: string, written: StateDeclaration, wanted: StateDeclaration): void {
  const name = `state "${written.name}" of operator "${operator}"`;
  if (written.kind !== wanted.kind) {
    refuse(
      `${name} is a ${written.kind} state in it and a ${wanted.kind} state in the job`,
      'give the changed state another name',
    );
  }
  const evolution = evolve(schemaFromJson(written.schema), schemaFromJson(wanted.schema));
  if (evolution.compatible) return;
  refuse(
    `${name} has another schema: ${evolution.reason}`,
    'only optional fields may be added, fields removed and numbers widened; undo the change or rename the state',
  );
}

/** In-flight data goes to the input that it was on its way to, so that has to be there unchanged. */
function checkInFlight(manifest: CheckpointManifest, graph: StreamGraph): void {
  const consumers = new Set(
    manifest.vertices.flatMap(({ tasks }) =>
      tasks.flatMap(({ files }) =>
        files.filter(({ kind }) => kind === 'channel').map(({ operator }) => operator),
      ),
    ),
  );
  if (consumers.size === 0) return;
  const heads = new Set(createJobGraph(graph, 1).vertices.map(({ id }) => id));
  for (const consumer of consumers) {
    const before = JSON.stringify(inputsOf(manifest.streamGraph, consumer));
    if (heads.has(consumer) && before === JSON.stringify(inputsOf(graph, consumer))) continue;
    refuse(
      `it holds in-flight data of the input of "${consumer}", which has changed`,
      'take a savepoint of the job as it was, which holds no in-flight data, and start from that',
    );
  }
}

/** The edges into an operator and what travels on them. */
function inputsOf(graph: StreamGraph, name: string): readonly unknown[] {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  return (nodes.get(name)?.inputs ?? []).map(({ from, output, partitioning }) => [
    from,
    output,
    partitioning,
    nodes.get(from)?.outputs[output],
  ]);
}

function refuse(what: string, remedy: string): never {
  throw new MillraceError(
    'STATE_NOT_RESTORABLE',
    `the job can't start from this checkpoint: ${what}; ${remedy}`,
  );
}
