/**
 * JobGraph: the stream graph after chaining. A vertex is a chain (a tree of operators joined by
 * forward edges that run in one task); a job edge is an exchange between two vertices. Pure and
 * deterministic: the coordinator and every worker derive the same graph, vertex ids and channel
 * numbers from the same stream graph. It must never depend on anything but its input.
 */
import { invariant, MillraceError } from './errors.js';
import {
  validateStreamGraph,
  type Partitioning,
  type StreamEdge,
  type StreamGraph,
  type StreamNode,
} from './stream-graph.js';

export interface JobEdge {
  /** Position in JobGraph.edges. */
  readonly index: number;
  readonly fromVertex: string;
  readonly fromOperator: string;
  readonly fromOutput: string;
  readonly toVertex: string;
  readonly partitioning: Partitioning;
  /** Number of the edge's first channel; see channelOf. */
  readonly firstChannel: number;
}

export interface JobVertex {
  /** Name of the chain's head operator: stable across submissions. */
  readonly id: string;
  readonly parallelism: number;
  /** The chain in topological order; the first is the head. */
  readonly operators: readonly StreamNode[];
  readonly inputs: readonly JobEdge[];
  readonly outputs: readonly JobEdge[];
}

export interface JobGraph {
  readonly jobName: string;
  readonly maxParallelism: number;
  /** Of every operator that does not fix its own. */
  readonly defaultParallelism: number;
  /** Slots that the job needs: the greatest parallelism of its vertices. */
  readonly parallelism: number;
  readonly streamGraph: StreamGraph;
  /** In topological order. */
  readonly vertices: readonly JobVertex[];
  readonly edges: readonly JobEdge[];
  readonly channelCount: number;
}

function canChain(node: StreamNode, edge: StreamEdge, producer: StreamNode): boolean {
  return (
    edge.partitioning === 'forward' &&
    node.inputs.length === 1 &&
    node.chainable &&
    (node.parallelism ?? 0) === (producer.parallelism ?? 0)
  );
}

/**
 * @param parallelism used by every operator that does not fix its own
 * @throws MillraceError JOB_INVALID (and what validateStreamGraph throws)
 */
export function createJobGraph(graph: StreamGraph, parallelism: number): JobGraph {
  validateStreamGraph(graph);
  if (!Number.isInteger(parallelism) || parallelism < 1 || parallelism > graph.maxParallelism) {
    throw new MillraceError(
      'JOB_INVALID',
      `parallelism ${parallelism} is outside 1..${graph.maxParallelism} (the job's maxParallelism)`,
    );
  }
  const headOf = new Map<string, string>();
  const chains = new Map<string, StreamNode[]>();
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  for (const node of graph.nodes) {
    const edge = node.inputs[0];
    const producer = edge === undefined ? undefined : nodes.get(edge.from);
    const head =
      edge !== undefined && producer !== undefined && canChain(node, edge, producer)
        ? headOf.get(producer.name)
        : node.name;
    invariant(head !== undefined, 'stream nodes are in topological order');
    headOf.set(node.name, head);
    const chain = chains.get(head);
    if (chain === undefined) chains.set(head, [node]);
    else chain.push(node);
  }

  const parallelismOf = (vertex: string): number =>
    chains.get(vertex)?.[0]?.parallelism ?? parallelism;
  const edges: JobEdge[] = [];
  let channelCount = 0;
  for (const [vertex, chain] of chains) {
    const head = chain[0];
    invariant(head !== undefined, 'a chain has a head');
    for (const edge of head.inputs) {
      const fromVertex = headOf.get(edge.from);
      invariant(fromVertex !== undefined, 'an edge starts at a known operator');
      edges.push({
        index: edges.length,
        fromVertex,
        fromOperator: edge.from,
        fromOutput: edge.output,
        toVertex: vertex,
        partitioning: edge.partitioning,
        firstChannel: channelCount,
      });
      channelCount += parallelismOf(fromVertex) * parallelismOf(vertex);
    }
  }
  const vertices = [...chains].map(([id, operators]): JobVertex => ({
    id,
    parallelism: parallelismOf(id),
    operators,
    inputs: edges.filter((edge) => edge.toVertex === id),
    outputs: edges.filter((edge) => edge.fromVertex === id),
  }));
  return {
    jobName: graph.jobName,
    maxParallelism: graph.maxParallelism,
    defaultParallelism: parallelism,
    parallelism: Math.max(...vertices.map((vertex) => vertex.parallelism)),
    streamGraph: graph,
    vertices,
    edges,
    channelCount,
  };
}

/** Slots that a job needs when operators that fix no parallelism run at this one. */
export function slotsNeeded(graph: StreamGraph, parallelism: number): number {
  return Math.max(...graph.nodes.map((node) => node.parallelism ?? parallelism));
}

/**
 * The greatest parallelism, `desired` at most, that needs no more than so many slots.
 * @returns undefined when the job can't run on so few
 */
export function parallelismWithin(
  graph: StreamGraph,
  slots: number,
  desired: number,
): number | undefined {
  if (slots < slotsNeeded(graph, 1)) return undefined;
  return slots >= slotsNeeded(graph, desired) ? desired : slots;
}

export function vertexOf(graph: JobGraph, id: string): JobVertex {
  const vertex = graph.vertices.find((candidate) => candidate.id === id);
  invariant(vertex !== undefined, `job graph has a vertex "${id}"`);
  return vertex;
}

/** Whether the two subtasks exchange records over this edge. */
export function isConnected(edge: JobEdge, fromSubtask: number, toSubtask: number): boolean {
  return edge.partitioning !== 'forward' || fromSubtask === toSubtask;
}

/** Number of the channel between two subtasks of an edge; unique within the job. */
export function channelOf(
  edge: JobEdge,
  toParallelism: number,
  fromSubtask: number,
  toSubtask: number,
): number {
  return edge.firstChannel + fromSubtask * toParallelism + toSubtask;
}
