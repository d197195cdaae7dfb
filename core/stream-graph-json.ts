/**
 * The stream graph on its way back from JSON: a manifest is untrusted input, so every field is read
 * by its type before `validateStreamGraph` checks what the fields mean. It must never hand on a
 * property that it doesn't know.
 */
import { schemaFromJson, schemaToJson, type SchemaJson } from './schema-json.js';
import { JsonShapeError, type JsonReader } from './json-reader.js';
import {
  validateStreamGraph,
  type CheckpointConfig,
  STATE_BACKENDS,
  type RestartStrategyConfig,
  type StateConfig,
  type StateDeclaration,
  type StreamEdge,
  type StreamGraph,
  type StreamNode,
} from './stream-graph.js';

const NODES_MAX = 1000;
const INPUTS_MAX = 100;
const OUTPUTS_MAX = 100;
const STATES_MAX = 1000;
const CONNECTOR_INFO_MAX = 65_536;
const EXCLUSIVE_OUTPUTS_MAX = 10_000;

const KINDS = [
  'source',
  'map',
  'filter',
  'flatMap',
  'process',
  'broadcastProcess',
  'window',
  'score',
  'sink',
] as const;
const PARTITIONINGS = ['forward', 'hash', 'rebalance', 'broadcast'] as const;
const STATE_KINDS = [
  'value',
  'list',
  'map',
  'reducing',
  'aggregating',
  'window',
  'operator',
  'broadcast',
] as const;

function readSchema(reader: JsonReader): SchemaJson {
  return schemaToJson(schemaFromJson(reader.value));
}

function readState(reader: JsonReader): StateDeclaration {
  return {
    name: reader.field('name').string(),
    kind: reader.field('kind').oneOf(STATE_KINDS),
    schema: readSchema(reader.field('schema')),
    ...reader.optional('ttlMs', (ttl) => ttl.count()),
  };
}

function readEdge(reader: JsonReader): StreamEdge {
  return {
    from: reader.field('from').string(),
    output: reader.field('output').string(),
    partitioning: reader.field('partitioning').oneOf(PARTITIONINGS),
    ...reader.optional('keySchema', readSchema),
  };
}

function readOutputs(reader: JsonReader): Readonly<Record<string, SchemaJson | null>> {
  const fields = reader.fields();
  if (fields.length > OUTPUTS_MAX) {
    throw new JsonShapeError(reader.path, `an object of at most ${OUTPUTS_MAX} outputs`);
  }
  const outputs = Object.create(null) as Record<string, SchemaJson | null>;
  for (const [name, schema] of fields) {
    outputs[name] = schema.value === null ? null : readSchema(schema);
  }
  return outputs;
}

function readNode(reader: JsonReader): StreamNode {
  return {
    name: reader.field('name').string(),
    kind: reader.field('kind').oneOf(KINDS),
    ...reader.optional('parallelism', (parallelism) => parallelism.count()),
    chainable: reader.field('chainable').boolean(),
    inputs: reader.field('inputs').items(INPUTS_MAX).map(readEdge),
    outputs: readOutputs(reader.field('outputs')),
    states: reader.field('states').items(STATES_MAX).map(readState),
    ...reader.optional('module', (module) => module.string()),
    ...reader.optional('connector', (connector) => connector.string()),
    ...reader.optional('connectorInfo', (info) => info.string(CONNECTOR_INFO_MAX)),
    ...reader.optional('exclusiveOutputs', (outputs) =>
      outputs.items(EXCLUSIVE_OUTPUTS_MAX).map((output) => output.string()),
    ),
    declaredAt: reader.field('declaredAt').string(),
  };
}

function readCheckpoint(reader: JsonReader): CheckpointConfig {
  return {
    intervalMs: reader.field('intervalMs').count(),
    timeoutMs: reader.field('timeoutMs').count(),
    retained: reader.field('retained').count(),
    minPauseMs: reader.field('minPauseMs').count(),
    tolerableFailures: reader.field('tolerableFailures').count(),
    alignmentTimeoutMs: readAlignmentTimeout(reader.field('alignmentTimeoutMs')),
    ...reader.optional('onCancel', (choice) => choice.oneOf(['retain', 'delete'])),
  };
}

/** Graphs of before barriers could overtake have none. */
function readAlignmentTimeout(reader: JsonReader): number | null {
  return reader.value === undefined || reader.value === null ? null : reader.count();
}

function readRestart(reader: JsonReader): RestartStrategyConfig {
  const kind = reader
    .field('kind')
    .oneOf(['none', 'fixedDelay', 'failureRate', 'exponentialDelay'] as const);
  switch (kind) {
    case 'none':
      return { kind };
    case 'fixedDelay':
      return {
        kind,
        attempts: reader.field('attempts').count(),
        delayMs: reader.field('delayMs').count(),
      };
    case 'failureRate':
      return {
        kind,
        failuresMax: reader.field('failuresMax').count(),
        intervalMs: reader.field('intervalMs').count(),
        delayMs: reader.field('delayMs').count(),
      };
    case 'exponentialDelay':
      return {
        kind,
        initialMs: reader.field('initialMs').count(),
        multiplier: reader.field('multiplier').number(),
        maxMs: reader.field('maxMs').count(),
        resetAfterMs: reader.field('resetAfterMs').count(),
        ...reader.optional('attempts', (attempts) => attempts.count()),
      };
  }
}

function readStateConfig(reader: JsonReader): StateConfig {
  return {
    backend: reader.field('backend').oneOf(STATE_BACKENDS),
    memoryBytesMax: reader.field('memoryBytesMax').count(),
  };
}

/**
 * The graph that JSON describes, validated.
 * @throws JsonShapeError naming the field of the wrong form; MillraceError SCHEMA_INVALID and what
 *   validateStreamGraph throws
 */
export function readStreamGraph(reader: JsonReader): StreamGraph {
  const graph: StreamGraph = {
    jobName: reader.field('jobName').string(),
    ...reader.optional('parallelism', (parallelism) => parallelism.count()),
    maxParallelism: reader.field('maxParallelism').count(),
    checkpoint: readCheckpoint(reader.field('checkpoint')),
    restart: readRestart(reader.field('restart')),
    state: readStateConfig(reader.field('state')),
    bufferTimeoutMs: reader.field('bufferTimeoutMs').number(),
    watermarkIntervalMs: reader.field('watermarkIntervalMs').number(),
    nodes: reader.field('nodes').items(NODES_MAX).map(readNode),
  };
  validateStreamGraph(graph);
  return graph;
}
