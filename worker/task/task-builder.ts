/**
 * Builds the task of one subtask: its channels, its operator chain, and the state it restores. It
 * only puts pieces together; how each works stands in its own file.
 */
import type { SourceContext } from '../../api/source.js';
import type { Transformation } from '../../api/transformation.js';
import { invariant, MillraceError } from '../../core/errors.js';
import {
  channelOf,
  isConnected,
  vertexOf,
  type JobEdge,
  type JobGraph,
  type JobVertex,
} from '../../core/job-graph.js';
import { keyGroupRange } from '../../core/key-group.js';
import { keyHash, type Key } from '../../core/key-codec.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import type { Schema } from '../../core/schema.js';
import { DEAD_LETTERS_OUTPUT } from '../../core/stream-graph.js';
import type { ScoringService } from '../compute/scoring-service.js';
import type { AlignerEvent, AlignerState, AlignerStep } from '../network/barrier-aligner.js';
import type { CheckpointBarrier } from '../network/buffer.js';
import { InputGate } from '../network/input-gate.js';
import { RecordWriter } from '../network/record-writer.js';
import { ResultSubpartition, type SendBuffer } from '../network/result-subpartition.js';
import { BroadcastProcessOperator } from '../operators/broadcast-process-operator.js';
import { BroadcastSide } from '../operators/broadcast-side.js';
import { KeyedBroadcastProcessOperator } from '../operators/keyed-broadcast-process-operator.js';
import {
  broadcastEntrySchema,
  pendingCommittableSchema,
  splitStateSchema,
  watermarkStateSchema,
} from '../operators/operator-state.js';
import { OperatorMetricGroup } from '../operators/operator-metric-group.js';
import type { OperatorOutput, StreamOperator } from '../operators/operator.js';
import { ProcessOperator } from '../operators/process-operator.js';
import { RestoredWatermarks } from '../operators/restored-watermarks.js';
import { ScoreOperator } from '../operators/score-operator.js';
import { SinkOperator } from '../operators/sink-operator.js';
import { SourceOperator } from '../operators/source-operator.js';
import { WindowOperator } from '../operators/window-operator.js';
import type { KeyedStateBackend, KeyedStateBackendOptions } from '../state/keyed-state-backend.js';
import type { ChannelCatalog } from './channel-catalog.js';
import type { RunServices } from '../state/run-services.js';
import { CheckpointedRuns } from './checkpointed-runs.js';
import { OperatorChain } from './operator-chain.js';
import type { RestoredOperator } from './restored-state.js';
import { StreamTask } from './stream-task.js';
import { SubtaskCheckpointCoordinator } from './subtask-checkpoint-coordinator.js';
import type { TaskEnvironment, TaskId } from './task-environment.js';

export interface TaskBuilderOptions {
  readonly jobId: string;
  readonly attempt: number;
  /** Whose checkpoint is restored; undefined when the job starts afresh. */
  readonly restoredJobId: string | undefined;
  /** Whether the job's checkpoints may name files of the one that is restored. */
  readonly ownsRestored: boolean;
  readonly graph: JobGraph;
  readonly catalog: ChannelCatalog;
  readonly transformations: ReadonlyMap<string, Transformation>;
  readonly environment: TaskEnvironment;
  readonly createBackend: (options: KeyedStateBackendOptions) => KeyedStateBackend;
  readonly runs: RunServices;
  readonly scoring: ScoringService;
  /** Absolute path of a scoring module of the bundle. */
  readonly modulePathOf: (module: string) => string;
  /** Whether the subtask at the other end runs in this slot, so that records need no encoding. */
  readonly isLocal: (vertex: string, subtask: number) => boolean;
  readonly send: SendBuffer;
  readonly returnCredits: (channel: number, count: number) => void;
  readonly align?: (state: AlignerState, event: AlignerEvent) => AlignerStep;
}

/** A task with the ends of its channels, for whoever routes buffers and credits. */
export interface BuiltTask {
  readonly task: StreamTask;
  readonly gate: InputGate | undefined;
  readonly subpartitions: readonly ResultSubpartition[];
}

/** @param restored by operator name; undefined when the job starts afresh */
export function buildTask(
  options: TaskBuilderOptions,
  vertex: JobVertex,
  subtask: number,
  restored: ReadonlyMap<string, RestoredOperator> | undefined,
): BuiltTask {
  const id: TaskId = { vertex: vertex.id, subtask };
  const subpartitions: ResultSubpartition[] = [];
  // The task does not exist yet while its gate and operators are made, but they speak only after `open`.
  const holder: { task?: StreamTask } = {};
  const taskOf = (): StreamTask => {
    invariant(holder.task !== undefined, 'operators speak after their task is built');
    return holder.task;
  };
  const gate =
    vertex.inputs.length === 0
      ? undefined
      : createGate(options, vertex, subtask, (barrier) => taskOf().announce(barrier));
  const factory = new OperatorFactory(options, vertex, subtask, restored, taskOf);
  const chain = new OperatorChain({
    vertex,
    transformations: options.transformations,
    writersOf: (operator, output) =>
      vertex.outputs
        .filter((edge) => edge.fromOperator === operator && edge.fromOutput === output)
        .map((edge) => createWriter(options, edge, subtask, subpartitions)),
    createOperator: (transformation, output) => factory.create(transformation, output),
    metricsOf: (operator) => factory.metrics.get(operator),
  });
  const checkpoints = new SubtaskCheckpointCoordinator({
    task: id,
    environment: options.environment,
    operators: chain.operators,
    stateCodecs: stateCodecs(chain, vertex),
    checkpointed: options.ownsRestored ? checkpointedRuns(restored) : new CheckpointedRuns(),
  });
  const { source } = factory;
  const input =
    gate === undefined
      ? source === undefined
        ? undefined
        : ({ kind: 'source', source } as const)
      : ({ kind: 'gate', gate, codecs: inputCodecs(options, vertex, subtask) } as const);
  invariant(input !== undefined, `vertex "${vertex.id}" has an input or a source`);
  const task = new StreamTask({
    id,
    environment: options.environment,
    chain,
    checkpoints,
    catalog: options.catalog,
    input,
  });
  holder.task = task;
  return { task, gate, subpartitions };
}

function checkpointedRuns(
  restored: ReadonlyMap<string, RestoredOperator> | undefined,
): CheckpointedRuns {
  const checkpointed = new CheckpointedRuns();
  for (const [operator, { keyedRuns }] of restored ?? []) {
    for (const { name, file } of keyedRuns.flat()) checkpointed.restored(operator, name, file);
  }
  return checkpointed;
}

function stateCodecs(chain: OperatorChain, vertex: JobVertex): Map<string, RecordCodec<unknown>> {
  const codecs = new Map<string, RecordCodec<unknown>>();
  for (const { name } of vertex.operators) {
    const schema = stateSchemaOf(chain.transformationOf(name));
    if (schema !== undefined) codecs.set(name, compileRecordCodec(schema));
  }
  return codecs;
}

/** Schema of an operator's state entries; undefined where it keeps none. */
function stateSchemaOf({ functions }: Transformation): Schema<unknown> | undefined {
  if (functions.kind === 'source') return splitStateSchema(functions.source.splitSchema);
  if (functions.kind === 'sink') return pendingCommittableSchema(functions.sink.committableSchema);
  if (functions.kind === 'window') return watermarkStateSchema;
  if (functions.kind === 'broadcastProcess') {
    return broadcastEntrySchema(
      Object.fromEntries(
        Object.entries(functions.broadcastStates).map(([name, { schema }]) => [name, schema]),
      ),
    );
  }
  return undefined;
}

function createGate(
  options: TaskBuilderOptions,
  vertex: JobVertex,
  subtask: number,
  announce: (barrier: CheckpointBarrier) => void,
): InputGate {
  const channels = vertex.inputs.flatMap((edge, input) => {
    const producers = vertexOf(options.graph, edge.fromVertex).parallelism;
    return Array.from({ length: producers }, (_, from) => from)
      .filter((from) => isConnected(edge, from, subtask))
      .map((from) => ({
        channel: channelOf(edge, vertex.parallelism, from, subtask),
        input,
        broadcast: edge.partitioning === 'broadcast',
      }));
  });
  return new InputGate({
    channels,
    returnCredits: options.returnCredits,
    monotonic: () => options.environment.clock.monotonic(),
    announce,
    ...(options.align === undefined ? {} : { align: options.align }),
  });
}

/** A codec per input edge whose records come from another slot. */
function inputCodecs(
  options: TaskBuilderOptions,
  vertex: JobVertex,
  subtask: number,
): (RecordCodec<unknown> | undefined)[] {
  return vertex.inputs.map((edge) => {
    const producers = vertexOf(options.graph, edge.fromVertex).parallelism;
    for (let from = 0; from < producers; from++) {
      if (isConnected(edge, from, subtask) && !options.isLocal(edge.fromVertex, from)) {
        return options.catalog.compileCodec(edge);
      }
    }
    return undefined;
  });
}

function createWriter(
  options: TaskBuilderOptions,
  edge: JobEdge,
  subtask: number,
  subpartitions: ResultSubpartition[],
): RecordWriter {
  const consumers = vertexOf(options.graph, edge.toVertex).parallelism;
  let codec: RecordCodec<unknown> | undefined;
  const own: ResultSubpartition[] = [];
  for (let to = 0; to < consumers; to++) {
    if (!isConnected(edge, subtask, to)) continue;
    const local = options.isLocal(edge.toVertex, to);
    if (!local) codec ??= options.catalog.compileCodec(edge);
    own.push(
      new ResultSubpartition(
        channelOf(edge, consumers, subtask, to),
        options.send,
        local ? undefined : codec,
        () => options.environment.clock.monotonic(),
      ),
    );
  }
  subpartitions.push(...own);
  return new RecordWriter({
    partitioning: edge.partitioning,
    subpartitions: own,
    maxParallelism: options.graph.maxParallelism,
    selectKey: options.catalog.keySelectorOf(edge),
    hashKey: keyHash,
  });
}

/** Makes the operator objects of one chain. */
class OperatorFactory {
  source: SourceOperator | undefined;
  /** Of operators with a connector, by name. */
  readonly metrics = new Map<string, OperatorMetricGroup>();
  readonly #options: TaskBuilderOptions;
  readonly #vertex: JobVertex;
  readonly #subtask: number;
  readonly #restored: ReadonlyMap<string, RestoredOperator> | undefined;
  readonly #taskOf: () => StreamTask;

  constructor(
    options: TaskBuilderOptions,
    vertex: JobVertex,
    subtask: number,
    restored: ReadonlyMap<string, RestoredOperator> | undefined,
    taskOf: () => StreamTask,
  ) {
    this.#options = options;
    this.#vertex = vertex;
    this.#subtask = subtask;
    this.#restored = restored;
    this.#taskOf = taskOf;
  }

  create(transformation: Transformation, output: OperatorOutput): StreamOperator | undefined {
    const { functions, node } = transformation;
    const { environment, graph, jobId, attempt, restoredJobId } = this.#options;
    const { clock } = environment;
    const { name } = node;
    switch (functions.kind) {
      case 'map':
      case 'filter':
      case 'flatMap':
        return undefined;
      case 'source':
        this.source = new SourceOperator({
          name,
          source: functions.source,
          watermarks: functions.watermarks,
          watermarkIntervalMs: graph.streamGraph.watermarkIntervalMs,
          context: this.#context(name),
          output,
          takesDeadLetters: graph.streamGraph.nodes.some(({ inputs }) =>
            inputs.some((edge) => edge.from === name && edge.output === DEAD_LETTERS_OUTPUT),
          ),
          restored: this.#restored?.get(name)?.splits,
          wake: environment.wake,
          fail: (error) => this.#taskOf().fail(error),
        });
        return this.source;
      case 'process': {
        const { process } = functions;
        const backend = this.#backend(transformation);
        const operator = new ProcessOperator({
          name,
          process,
          selectKey: selectKeyOf(transformation),
          backend,
          output,
          now: () => clock.now(),
        });
        this.#restoreKeyed(name, backend);
        return operator;
      }
      case 'broadcastProcess': {
        const { process, broadcastStates } = functions;
        const now = (): number => clock.now();
        const broadcast = new BroadcastSide({
          name,
          process,
          states: broadcastStates,
          restored: this.#restored?.get(name)?.broadcast ?? [],
          writesState: this.#subtask === 0,
          output,
          now,
        });
        if (transformation.keySelectors[0] === undefined) {
          return new BroadcastProcessOperator({ name, process, broadcast, output, now });
        }
        const backend = this.#backend(transformation);
        const keyed = new ProcessOperator({
          name,
          process,
          selectKey: selectKeyOf(transformation),
          backend,
          output,
          broadcastState: broadcast.states.readOnly,
          now,
        });
        this.#restoreKeyed(name, backend);
        return new KeyedBroadcastProcessOperator(keyed, broadcast);
      }
      case 'window': {
        const backend = this.#backend(transformation);
        const operator = new WindowOperator({
          name,
          sizeMs: functions.sizeMs,
          offsetMs: functions.offsetMs,
          allowedLatenessMs: functions.allowedLatenessMs,
          aggregate: functions.aggregate,
          selectKey: selectKeyOf(transformation),
          backend,
          output,
          restored: new RestoredWatermarks(
            this.#restored?.get(name)?.watermarks ?? [],
            graph.maxParallelism,
          ),
        });
        this.#restoreKeyed(name, backend);
        return operator;
      }
      case 'score':
        return new ScoreOperator({
          name,
          modulePath: this.#options.modulePathOf(functions.module),
          moduleName: functions.module,
          input: functions.input,
          result: functions.output,
          select: functions.select,
          combine: functions.combine,
          batchSize: functions.batchSize,
          maxWaitMs: functions.maxWaitMs,
          timeoutMs: functions.timeoutMs,
          concurrency: functions.concurrency,
          service: this.#options.scoring,
          output,
          setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
          runInMailbox: (task) => this.#taskOf().post(task),
        });
      case 'sink':
        return new SinkOperator({
          name,
          sink: functions.sink,
          context: {
            ...this.#context(name),
            jobId,
            attempt,
            ...(restoredJobId === undefined ? {} : { restoredJobId }),
            settings: graph.streamGraph,
          },
          restored: this.#restored?.get(name)?.committables,
        });
    }
  }

  /** What a connector is told of where it runs. */
  #context(operator: string): SourceContext {
    const metrics = new OperatorMetricGroup(operator);
    this.metrics.set(operator, metrics);
    return {
      operator,
      subtask: this.#subtask,
      parallelism: this.#vertex.parallelism,
      clock: this.#options.environment.clock,
      metrics,
    };
  }

  #backend(transformation: Transformation): KeyedStateBackend {
    const { createBackend, graph, environment } = this.#options;
    return createBackend({
      operator: transformation.node.name,
      keyGroups: keyGroupRange(this.#subtask, this.#vertex.parallelism, graph.maxParallelism),
      maxParallelism: graph.maxParallelism,
      now: () => environment.clock.now(),
      runs: this.#options.runs,
    });
  }

  #restoreKeyed(operator: string, backend: KeyedStateBackend): void {
    const runs = this.#restored?.get(operator)?.keyedRuns;
    if (runs !== undefined) backend.restore(runs);
  }
}

function selectKeyOf(transformation: Transformation): (record: unknown) => Key {
  const selector = transformation.keySelectors[0];
  if (selector !== undefined) return selector;
  throw new MillraceError(
    'INTERNAL',
    `operator "${transformation.node.name}" is keyed but its stream is not`,
  );
}
