/**
 * The operators of one task, built from the last to the first so that each finds its consumers
 * compiled. It hands records, watermarks and lifecycle calls down the chain; it must not know where
 * records come from or how barriers are aligned.
 */
import type { Transformation } from '../../api/transformation.js';
import { invariant } from '../../core/errors.js';
import type { JobVertex } from '../../core/job-graph.js';
import { MAIN_OUTPUT, type StreamNode } from '../../core/stream-graph.js';
import type { StreamEvent } from '../network/buffer.js';
import type { RecordWriter } from '../network/record-writer.js';
import type { MetricReport, OperatorMetricGroup } from '../operators/operator-metric-group.js';
import type { OperatorOutput, StreamOperator } from '../operators/operator.js';
import {
  compileCollect,
  compileEntry,
  type ChainLayout,
  type Collect,
  type CollectBatch,
  type Consumer,
} from './chain-compiler.js';

export interface OperatorChainOptions {
  readonly vertex: JobVertex;
  readonly transformations: ReadonlyMap<string, Transformation>;
  /** Writers of the job edges that start at an operator's output. */
  readonly writersOf: (operator: string, output: string) => readonly RecordWriter[];
  /** Makes the operator object; undefined for operators that are compiled inline. */
  readonly createOperator: (
    transformation: Transformation,
    output: OperatorOutput,
  ) => StreamOperator | undefined;
  /** Of an operator with a connector, once it was created. */
  readonly metricsOf: (operator: string) => OperatorMetricGroup | undefined;
}

export interface OperatorCounts {
  readonly operator: string;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly sideOutputs: Readonly<Record<string, number>>;
}

/** What an operator has done since the task started. */
export interface OperatorReport extends OperatorCounts {
  readonly metrics: readonly MetricReport[];
}

export class OperatorChain implements ChainLayout {
  readonly recordsIn: Float64Array;
  readonly recordsOut: Float64Array;
  /** Operator objects in the order records meet them. */
  readonly operators: readonly StreamOperator[];
  readonly writers: readonly RecordWriter[];
  /** Takes the records of the task's input; absent for a source. */
  readonly collectBatch: CollectBatch | undefined;
  /** Takes those that every subtask is given; absent without such an input. */
  readonly collectBroadcastBatch: CollectBatch | undefined;
  readonly #nodes: readonly StreamNode[];
  readonly #metricsOf: OperatorChainOptions['metricsOf'];
  readonly #consumers = new Map<string, readonly Consumer[]>();
  readonly #transformations: ReadonlyMap<string, Transformation>;
  readonly #built = new Map<string, StreamOperator>();
  readonly #outputs = new Map<string, ChainOutput>();
  readonly #headOutput: ChainOutput;

  constructor(options: OperatorChainOptions) {
    const { vertex, transformations } = options;
    this.#nodes = vertex.operators;
    this.#metricsOf = options.metricsOf;
    this.#transformations = transformations;
    this.recordsIn = new Float64Array(vertex.operators.length);
    this.recordsOut = new Float64Array(vertex.operators.length);
    const writers: RecordWriter[] = [];
    for (const node of vertex.operators) {
      for (const output of Object.keys(node.outputs)) {
        const edges = options.writersOf(node.name, output);
        writers.push(...edges);
        const chained = vertex.operators.filter((candidate) =>
          candidate.inputs.some(
            (edge) =>
              candidate !== vertex.operators[0] &&
              edge.from === node.name &&
              edge.output === output,
          ),
        );
        this.#consumers.set(outputKey(node.name, output), [
          ...chained.map((consumer): Consumer => ({ kind: 'operator', node: consumer })),
          ...edges.map((writer): Consumer => ({ kind: 'writer', writer })),
        ]);
      }
    }
    this.writers = writers;
    for (const node of [...vertex.operators].reverse()) {
      const output = new ChainOutput(this, node);
      this.#outputs.set(node.name, output);
      const operator = options.createOperator(this.transformationOf(node.name), output);
      if (operator !== undefined) {
        output.compile();
        this.#built.set(node.name, operator);
      }
    }
    this.operators = vertex.operators.flatMap((node) => this.#built.get(node.name) ?? []);
    const head = vertex.operators[0];
    const headOutput = head === undefined ? undefined : this.#outputs.get(head.name);
    invariant(head !== undefined && headOutput !== undefined, 'a chain has a head');
    this.#headOutput = headOutput;
    this.collectBatch =
      head.kind === 'source' ? undefined : compileEntry(this, head, 'processElement');
    this.collectBroadcastBatch = vertex.inputs.some((edge) => edge.partitioning === 'broadcast')
      ? compileEntry(this, head, 'processBroadcastElement')
      : undefined;
  }

  consumersOf(operator: string, output: string): readonly Consumer[] {
    return this.#consumers.get(outputKey(operator, output)) ?? [];
  }

  transformationOf(operator: string): Transformation {
    const transformation = this.#transformations.get(operator);
    invariant(transformation !== undefined, `the bundle declares operator "${operator}"`);
    return transformation;
  }

  operatorOf(operator: string): StreamOperator | undefined {
    return this.#built.get(operator);
  }

  counterOf(operator: string): number {
    return this.#nodes.findIndex((node) => node.name === operator);
  }

  /** A watermark from the task's input. */
  processWatermark(timestamp: number): void {
    const head = this.operatorOf(this.#headOutput.name);
    if (head !== undefined) head.processWatermark(timestamp);
    else this.#headOutput.emitWatermark(timestamp);
  }

  processWatermarkStatus(idle: boolean): void {
    const head = this.operatorOf(this.#headOutput.name);
    if (head !== undefined) head.processWatermarkStatus(idle);
    else this.#headOutput.emitWatermarkStatus(idle);
  }

  /** Sends an event to all consumers in other tasks. */
  broadcast(event: StreamEvent): void {
    for (const writer of this.writers) writer.broadcast(event);
  }

  /** Everything taken in has come out of every operator, in order; undefined when that is so already. */
  drain(): Promise<void> | undefined {
    for (let i = 0; i < this.operators.length; i++) {
      const waiting = this.operators[i]?.drain();
      if (waiting !== undefined) return this.#drainFrom(waiting, i + 1);
    }
    return undefined;
  }

  /** A bounded piece of what an operator has left to do; true while there is more. */
  proceed(): boolean {
    for (const operator of this.operators) if (operator.proceed()) return true;
    return false;
  }

  /** False amid work that no snapshot could describe; `proceed` gets it done. */
  canSnapshot(): boolean {
    return this.operators.every((operator) => operator.canSnapshot());
  }

  suspended(): Promise<void> | undefined {
    for (const operator of this.operators) {
      const waiting = operator.suspended();
      if (waiting !== undefined) return waiting;
    }
    return undefined;
  }

  counts(): OperatorCounts[] {
    return this.#nodes.map((node, index) => ({
      operator: node.name,
      recordsIn: this.recordsIn[index] ?? 0,
      recordsOut: this.recordsOut[index] ?? 0,
      sideOutputs: Object.fromEntries(this.#outputs.get(node.name)?.sideCounts ?? []),
    }));
  }

  /** Counts and metrics, to be told: histograms give up what they hold. */
  report(): OperatorReport[] {
    return this.counts().map((counts) => ({
      ...counts,
      metrics: this.#metricsOf(counts.operator)?.report() ?? [],
    }));
  }

  /** What an operator's output reaches next: operator objects in the chain and edges, inline operators skipped. */
  reachableFrom(operator: string): { operators: StreamOperator[]; writers: RecordWriter[] } {
    const operators: StreamOperator[] = [];
    const writers: RecordWriter[] = [];
    const node = this.#nodes.find((candidate) => candidate.name === operator);
    for (const output of Object.keys(node?.outputs ?? {})) {
      for (const consumer of this.consumersOf(operator, output)) {
        if (consumer.kind === 'writer') writers.push(consumer.writer);
        else {
          const built = this.operatorOf(consumer.node.name);
          if (built !== undefined) operators.push(built);
          else {
            const further = this.reachableFrom(consumer.node.name);
            operators.push(...further.operators);
            writers.push(...further.writers);
          }
        }
      }
    }
    return { operators, writers };
  }

  async #drainFrom(first: Promise<void>, next: number): Promise<void> {
    await first;
    for (let i = next; i < this.operators.length; i++) await this.operators[i]?.drain();
  }
}

function outputKey(operator: string, output: string): string {
  return `${operator}\0${output}`;
}

/** The outputs of one operator, main and side, compiled once its consumers are. */
class ChainOutput implements OperatorOutput {
  readonly name: string;
  readonly sideCounts = new Map<string, number>();
  /** Replaced by the compiled function before any record flows. */
  collect: Collect = () => invariant(false, `output of "${this.name}" is compiled`);
  readonly #chain: OperatorChain;
  readonly #node: StreamNode;
  readonly #sides = new Map<string, Collect>();
  #reachable: { operators: StreamOperator[]; writers: RecordWriter[] } | undefined;

  constructor(chain: OperatorChain, node: StreamNode) {
    this.name = node.name;
    this.#chain = chain;
    this.#node = node;
  }

  compile(): void {
    for (const output of Object.keys(this.#node.outputs)) {
      const collect = compileCollect(this.#chain, this.name, output);
      if (output === MAIN_OUTPUT) this.collect = collect;
      else {
        this.#sides.set(output, collect);
        this.sideCounts.set(output, 0);
      }
    }
  }

  sideOutput(name: string, value: unknown, timestamp: number): void {
    const collect = this.#sides.get(name);
    invariant(collect !== undefined, `operator "${this.name}" declares side output "${name}"`);
    this.sideCounts.set(name, (this.sideCounts.get(name) ?? 0) + 1);
    collect(value, timestamp);
  }

  emitWatermark(timestamp: number): void {
    const { operators, writers } = this.#targets();
    for (const operator of operators) operator.processWatermark(timestamp);
    for (const writer of writers) writer.broadcast({ kind: 'watermark', timestamp });
  }

  emitWatermarkStatus(idle: boolean): void {
    const { operators, writers } = this.#targets();
    for (const operator of operators) operator.processWatermarkStatus(idle);
    for (const writer of writers) writer.broadcast({ kind: 'watermarkStatus', idle });
  }

  #targets(): { operators: StreamOperator[]; writers: RecordWriter[] } {
    this.#reachable ??= this.#chain.reachableFrom(this.name);
    return this.#reachable;
  }
}
