/**
 * StreamGraph: what a job's builder declared, as plain data. It is made where the bundle is made,
 * travels in the manifest, and is validated again by the coordinator, which never runs user code.
 * It must hold no functions; the functions stay in the bundle and are found again by operator name.
 */
import { MillraceError } from './errors.js';
import type { SchemaJson } from './schema-json.js';

export type OperatorKind =
  | 'source'
  | 'map'
  | 'filter'
  | 'flatMap'
  | 'process'
  | 'broadcastProcess'
  | 'window'
  | 'score'
  | 'sink';

/** How records of an edge find the consumer's subtask; 'broadcast': each goes to all of them. */
export type Partitioning = 'forward' | 'hash' | 'rebalance' | 'broadcast';

/** 'broadcast': a map from string that is the same in all subtasks of its operator. */
export type StateKind =
  'value' | 'list' | 'map' | 'reducing' | 'aggregating' | 'window' | 'operator' | 'broadcast';

export interface StateDeclaration {
  readonly name: string;
  readonly kind: StateKind;
  /** Schema of the value, the element, the map's value or the accumulator. */
  readonly schema: SchemaJson;
  readonly ttlMs?: number;
}

/** The name of an operator's main output; every other output is a side output. */
export const MAIN_OUTPUT = 'main';
/** The side output of a source for what it can't read. */
export const DEAD_LETTERS_OUTPUT = 'deadLetters';

export interface StreamEdge {
  /** Name of the producing operator. */
  readonly from: string;
  /** MAIN_OUTPUT or the side output's name. */
  readonly output: string;
  readonly partitioning: Partitioning;
}

export interface StreamNode {
  readonly name: string;
  readonly kind: OperatorKind;
  /** undefined: the job's parallelism, which the coordinator fixes when it accepts the job. */
  readonly parallelism?: number;
  /** False when the author asked for this operator to start a chain of its own. */
  readonly chainable: boolean;
  readonly inputs: readonly StreamEdge[];
  /** Output name -> schema; null where records travel without one (slower: `millrace plan` says so). */
  readonly outputs: Readonly<Record<string, SchemaJson | null>>;
  readonly states: readonly StateDeclaration[];
  /** Path of the scoring module relative to the job file, for kind 'score'. */
  readonly module?: string;
  /** The connector and what it reads or writes, for kinds 'source' and 'sink'. */
  readonly connector?: string;
  /** JSON text of the connector's own, for commands that ask its system themselves; never a secret. */
  readonly connectorInfo?: string;
  /** What a sink writes to, in words for people, where no other job of the same name may write at the same time. */
  readonly exclusiveOutputs?: readonly string[];
  /** file:line:column of the call that declared the operator. */
  readonly declaredAt: string;
}

export interface CheckpointConfig {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Completed checkpoints kept. */
  readonly retained: number;
  readonly minPauseMs: number;
  /** Consecutive failed checkpoints after which the job restarts. */
  readonly tolerableFailures: number;
  /**
   * How long after its trigger a checkpoint may be held up by queued records before its barriers overtake them; 0: at
   * once. null: never, all checkpoints are aligned, as savepoints are in any case.
   */
  readonly alignmentTimeoutMs: number | null;
  /** What becomes of the retained checkpoints when the job is canceled; 'retain' unless told. */
  readonly onCancel?: 'retain' | 'delete';
}

export type RestartStrategyConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixedDelay'; readonly attempts: number; readonly delayMs: number }
  | {
      readonly kind: 'failureRate';
      readonly failuresMax: number;
      readonly intervalMs: number;
      readonly delayMs: number;
    }
  | {
      readonly kind: 'exponentialDelay';
      readonly initialMs: number;
      readonly multiplier: number;
      readonly maxMs: number;
      /** Running this long without a failure resets the delay to initialMs. */
      readonly resetAfterMs: number;
      /** undefined: no limit. */
      readonly attempts?: number;
    };

/** Where keyed state lives: all of it on the heap, or what does not fit there in RocksDB. */
export const STATE_BACKENDS = ['memory', 'rocksdb'] as const;
export type StateBackendKind = (typeof STATE_BACKENDS)[number];

export interface StateConfig {
  readonly backend: StateBackendKind;
  /** Memory for keyed state of one slot, for `rocksdb`; `memory` takes what it needs. */
  readonly memoryBytesMax: number;
}

const MIB = 1024 * 1024;
/** Below this RocksDB's buffers and the objects in use leave each other no room. */
export const STATE_MEMORY_BYTES_MIN = 16 * MIB;
/** More than the heap of any slot. */
export const STATE_MEMORY_BYTES_MAX = 16 * 1024 * MIB;

export interface StreamGraph {
  readonly jobName: string;
  readonly parallelism?: number;
  readonly maxParallelism: number;
  readonly checkpoint: CheckpointConfig;
  readonly restart: RestartStrategyConfig;
  readonly state: StateConfig;
  readonly bufferTimeoutMs: number;
  readonly watermarkIntervalMs: number;
  /** In declaration order, which is a topological order. */
  readonly nodes: readonly StreamNode[];
}

const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The rule for names of jobs, operators, states and outputs, in words. */
export const NAME_RULE =
  'a name has 1 to 128 letters, digits, ".", "_" or "-" and starts with a letter or digit';

export function isValidName(name: unknown): name is string {
  return typeof name === 'string' && NAME_PATTERN.test(name);
}

function invalid(message: string): never {
  throw new MillraceError('JOB_INVALID', message);
}

function checkWholeNumber(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    invalid(`${what} is ${value}; give a whole number from ${min} to ${max}`);
  }
}

/** One way for all inputs, besides those broadcast to an operator with broadcast state, which it needs. */
function checkPartitioning(node: StreamNode, at: string): void {
  const own = new Set(node.inputs.map((edge) => edge.partitioning));
  const isBroadcast = own.delete('broadcast');
  if (own.size > 1) {
    invalid(`${at} mixes keyed and unkeyed inputs; give all of its inputs the same keyBy`);
  }
  const states = node.states.filter(({ kind }) => kind === 'broadcast');
  if (node.kind !== 'broadcastProcess') {
    if (!isBroadcast && states.length === 0) return;
    invalid(`${at} is a ${node.kind}, which takes no broadcast stream; .connect() one to it`);
  }
  if (!isBroadcast || own.size === 0) {
    invalid(`${at} needs a stream of its own and a broadcast one; .connect() both`);
  }
  if (states.length === 0) {
    invalid(`${at} has no broadcast state; declare it: .broadcast({ NAME: mapState(SCHEMA) })`);
  }
  if (!own.has('hash') && states.length < node.states.length) {
    invalid(`${at} has keyed state, but its stream has no key; put .keyBy() before .connect()`);
  }
  const expiring = states.find(({ ttlMs }) => ttlMs !== undefined);
  if (expiring !== undefined) {
    invalid(`${at}: broadcast state "${expiring.name}" can't expire; leave its ttlMs out`);
  }
}

function checkState({ backend, memoryBytesMax }: StateConfig): void {
  if (!STATE_BACKENDS.includes(backend)) {
    invalid(`state.backend is ${JSON.stringify(backend)}; choose ${STATE_BACKENDS.join(' or ')}`);
  }
  if (memoryBytesMax < STATE_MEMORY_BYTES_MIN) {
    invalid(
      `state.memoryBytesMax is ${memoryBytesMax}, too little to work with; give at least ${STATE_MEMORY_BYTES_MIN} (${STATE_MEMORY_BYTES_MIN / MIB} MiB)`,
    );
  }
  checkWholeNumber(
    'state.memoryBytesMax',
    memoryBytesMax,
    STATE_MEMORY_BYTES_MIN,
    STATE_MEMORY_BYTES_MAX,
  );
}

function checkNode(node: StreamNode, known: ReadonlyMap<string, StreamNode>): void {
  const at = `operator "${node.name}" (${node.declaredAt})`;
  if (node.kind === 'source' && node.inputs.length > 0) invalid(`${at} is a source but has inputs`);
  if (node.kind !== 'source' && node.inputs.length === 0) invalid(`${at} has no input`);
  checkPartitioning(node, at);
  for (const edge of node.inputs) {
    const producer = known.get(edge.from);
    if (producer === undefined)
      invalid(`${at} reads "${edge.from}", which is not declared before it`);
    if (!(edge.output in producer.outputs)) {
      invalid(
        `${at} reads output "${edge.output}" of "${edge.from}", which has only ` +
          Object.keys(producer.outputs).join(', '),
      );
    }
    if (
      edge.partitioning === 'forward' &&
      (producer.parallelism ?? 0) !== (node.parallelism ?? 0)
    ) {
      invalid(
        `${at} runs at another parallelism than "${edge.from}"; put .rebalance() or .keyBy() between them`,
      );
    }
  }
  const states = new Set<string>();
  for (const state of node.states) {
    if (!isValidName(state.name)) invalid(`${at} declares state "${state.name}": ${NAME_RULE}`);
    if (states.has(state.name)) invalid(`${at} declares state "${state.name}" twice; rename one`);
    states.add(state.name);
  }
}

/**
 * Checks everything that the coordinator relies on.
 * @throws MillraceError JOB_INVALID, OPERATOR_NAME_INVALID or OPERATOR_NAME_DUPLICATE naming the operator and the place
 */
export function validateStreamGraph(graph: StreamGraph): void {
  if (!isValidName(graph.jobName)) invalid(`job name "${graph.jobName}": ${NAME_RULE}`);
  checkWholeNumber('maxParallelism', graph.maxParallelism, 1, 32768);
  checkState(graph.state);
  if (graph.parallelism !== undefined) {
    checkWholeNumber('parallelism', graph.parallelism, 1, graph.maxParallelism);
  }
  checkWholeNumber('checkpoint.intervalMs', graph.checkpoint.intervalMs, 10, 86_400_000);
  checkWholeNumber('checkpoint.timeoutMs', graph.checkpoint.timeoutMs, 100, 86_400_000);
  if (graph.checkpoint.alignmentTimeoutMs !== null) {
    const { alignmentTimeoutMs } = graph.checkpoint;
    checkWholeNumber('checkpoint.alignmentTimeoutMs', alignmentTimeoutMs, 0, 86_400_000);
  }
  checkWholeNumber('checkpoint.retained', graph.checkpoint.retained, 1, 1000);
  if (graph.nodes.length === 0) invalid(`job "${graph.jobName}" declares no operator`);
  const known = new Map<string, StreamNode>();
  for (const node of graph.nodes) {
    if (!isValidName(node.name)) {
      throw new MillraceError(
        'OPERATOR_NAME_INVALID',
        `operator name ${JSON.stringify(node.name)} at ${node.declaredAt}: ${NAME_RULE}`,
      );
    }
    const earlier = known.get(node.name);
    if (earlier !== undefined) {
      throw new MillraceError(
        'OPERATOR_NAME_DUPLICATE',
        `two operators are named "${node.name}": at ${earlier.declaredAt} and at ${node.declaredAt}; ` +
          'rename one, since state is found by name',
      );
    }
    if (node.parallelism !== undefined) {
      checkWholeNumber(`parallelism of "${node.name}"`, node.parallelism, 1, graph.maxParallelism);
    }
    checkNode(node, known);
    known.set(node.name, node);
  }
  if (!graph.nodes.some((node) => node.kind === 'sink')) {
    invalid(
      `job "${graph.jobName}" has no sink, so nothing it computes would be seen; add .sinkTo()`,
    );
  }
}
