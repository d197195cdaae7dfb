/**
 * The plan of a job: what `millrace plan` and the dashboard show of a job graph, as data and as a
 * text tree. Output only: it must never be read back, and the runtime must never depend on it.
 */
import type { JobEdge, JobGraph, JobVertex } from './job-graph.js';
import { schemaFromJson, type SchemaJson } from './schema-json.js';
import { describeSchema } from './schema-text.js';
import type {
  CheckpointConfig,
  OperatorKind,
  Partitioning,
  RestartStrategyConfig,
  StateConfig,
  StateKind,
  StreamNode,
} from './stream-graph.js';

const TYPE_LENGTH_MAX = 88;

export interface PlannedOutput {
  readonly name: string;
  /** The type of its records in words; null where they travel without a schema. */
  readonly type: string | null;
}

export interface PlannedState {
  readonly name: string;
  readonly kind: StateKind;
  readonly type: string;
  readonly ttlMs: number | null;
}

export interface PlannedOperator {
  readonly name: string;
  readonly kind: OperatorKind;
  /** Operators of the same chain that feed it; empty for the head of the chain. */
  readonly chainedTo: readonly { readonly operator: string; readonly output: string }[];
  readonly connector: string | null;
  readonly module: string | null;
  readonly outputs: readonly PlannedOutput[];
  readonly states: readonly PlannedState[];
  readonly declaredAt: string;
}

export interface PlannedExchange {
  readonly fromVertex: string;
  readonly fromOperator: string;
  readonly fromOutput: string;
  readonly toVertex: string;
  readonly partitioning: Partitioning;
  readonly type: string | null;
}

export interface PlannedVertex {
  /** Name of the chain's head. */
  readonly id: string;
  readonly parallelism: number;
  readonly operators: readonly PlannedOperator[];
}

export interface JobPlan {
  readonly jobName: string;
  readonly parallelism: number;
  /** Whether nobody asked for that: such a job takes all free slots, up to `maxParallelism`. */
  readonly parallelismAssumed: boolean;
  readonly maxParallelism: number;
  readonly checkpoint: CheckpointConfig;
  readonly restart: RestartStrategyConfig;
  readonly state: StateConfig;
  readonly vertices: readonly PlannedVertex[];
  readonly exchanges: readonly PlannedExchange[];
  /** Outputs that are read and have no schema: slower, and not checked against what flows. */
  readonly withoutSchema: readonly { readonly operator: string; readonly output: string }[];
}

function typeOf(schema: SchemaJson | null | undefined): string | null {
  return schema === null || schema === undefined ? null : describeSchema(schemaFromJson(schema));
}

function planOperator(node: StreamNode, vertex: JobVertex): PlannedOperator {
  return {
    name: node.name,
    kind: node.kind,
    chainedTo:
      node.name === vertex.id
        ? []
        : node.inputs.map((input) => ({ operator: input.from, output: input.output })),
    connector: node.connector ?? null,
    module: node.module ?? null,
    outputs: Object.entries(node.outputs).map(([name, schema]) => ({ name, type: typeOf(schema) })),
    states: node.states.map((state) => ({
      name: state.name,
      kind: state.kind,
      type: describeSchema(schemaFromJson(state.schema)),
      ttlMs: state.ttlMs ?? null,
    })),
    declaredAt: node.declaredAt,
  };
}

/** @param parallelismAssumed whether the graph's parallelism is an example */
export function createJobPlan(graph: JobGraph, parallelismAssumed = false): JobPlan {
  const { nodes, checkpoint, restart, state } = graph.streamGraph;
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const read = new Set(
    nodes.flatMap((node) => node.inputs.map((input) => `${input.from} ${input.output}`)),
  );
  return {
    jobName: graph.jobName,
    parallelism: graph.parallelism,
    parallelismAssumed,
    maxParallelism: graph.maxParallelism,
    checkpoint,
    restart,
    state,
    vertices: graph.vertices.map((vertex) => ({
      id: vertex.id,
      parallelism: vertex.parallelism,
      operators: vertex.operators.map((node) => planOperator(node, vertex)),
    })),
    exchanges: graph.edges.map((edge: JobEdge) => ({
      fromVertex: edge.fromVertex,
      fromOperator: edge.fromOperator,
      fromOutput: edge.fromOutput,
      toVertex: edge.toVertex,
      partitioning: edge.partitioning,
      type: typeOf(byName.get(edge.fromOperator)?.outputs[edge.fromOutput]),
    })),
    withoutSchema: nodes.flatMap((node) =>
      Object.entries(node.outputs)
        .filter(([output, schema]) => schema === null && read.has(`${node.name} ${output}`))
        .map(([output]) => ({ operator: node.name, output })),
    ),
  };
}

function outputName(operator: string, output: string): string {
  return output === 'main' ? operator : `${operator}.${output}`;
}

/** A type on one line of a terminal; the data has it in full. */
function clip(type: string): string {
  return type.length <= TYPE_LENGTH_MAX ? type : `${type.slice(0, TYPE_LENGTH_MAX - 4)} ...`;
}

function operatorLines(operator: PlannedOperator, indent: string): string[] {
  const details = [operator.connector, operator.module].filter((detail) => detail !== null);
  return [
    `${indent}${operator.name}  ${[operator.kind, ...details].join('  ')}  (${operator.declaredAt})`,
    ...operator.states.map(
      (state) =>
        `${indent}    state ${state.name}: ${state.kind} of ${clip(state.type)}` +
        (state.ttlMs === null ? '' : `, kept ${state.ttlMs} ms`),
    ),
    ...operator.outputs.map(
      (output) => `${indent}    -> ${output.name}: ${clip(output.type ?? 'no schema')}`,
    ),
  ];
}

/** A chain as the tree that it is: each operator under the one that feeds it. */
function chainLines(operators: readonly PlannedOperator[], head: string, depth: number): string[] {
  const operator = operators.find((candidate) => candidate.name === head);
  if (operator === undefined) return [];
  const next = operators.filter((candidate) =>
    candidate.chainedTo.some((one) => one.operator === head),
  );
  return [
    ...operatorLines(operator, '  '.repeat(depth)),
    ...next.flatMap((candidate) => chainLines(operators, candidate.name, depth + 1)),
  ];
}

function stateLine({ backend, memoryBytesMax }: StateConfig): string {
  if (backend === 'memory') return 'keyed state in memory';
  return `keyed state in rocksdb, ${Math.round(memoryBytesMax / (1024 * 1024))} MiB of memory a slot`;
}

function parallelismText({ parallelism, parallelismAssumed, maxParallelism }: JobPlan): string {
  return parallelismAssumed
    ? `on all free slots, at most ${maxParallelism} (shown for parallelism ${parallelism})`
    : `parallelism ${parallelism} (at most ${maxParallelism})`;
}

/** The plan for a reader: one block per chain, what it receives first. Lines end in "\n". */
export function renderJobPlan(plan: JobPlan): string {
  const lines = [
    `job ${plan.jobName}  ${parallelismText(plan)}`,
    `checkpoint every ${plan.checkpoint.intervalMs} ms, restart strategy ${plan.restart.kind}`,
    stateLine(plan.state),
  ];
  for (const [index, vertex] of plan.vertices.entries()) {
    lines.push('', `chain ${index + 1}: ${vertex.id}  x${vertex.parallelism}`);
    for (const exchange of plan.exchanges.filter((one) => one.toVertex === vertex.id)) {
      const from = outputName(exchange.fromOperator, exchange.fromOutput);
      lines.push(`  <= ${exchange.partitioning} from ${from}`);
    }
    lines.push(...chainLines(vertex.operators, vertex.id, 1));
  }
  if (plan.withoutSchema.length > 0) {
    const names = plan.withoutSchema.map((one) => outputName(one.operator, one.output));
    lines.push('', `without a schema (slower, unchecked): ${names.join(', ')}`);
    lines.push('give these operators { output: SCHEMA }');
  }
  return `${lines.join('\n')}\n`;
}
