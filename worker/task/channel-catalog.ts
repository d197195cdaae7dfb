/**
 * What is known of a job's channels in one slot: their ends, the codec and the key of their edge. One
 * for all tasks of the slot; codecs for checkpoints, which only some need, are made when they are first asked for.
 */
import type { KeySelector, Transformation } from '../../api/transformation.js';
import { invariant } from '../../core/errors.js';
import { ChannelTable, type ChannelEnds } from '../../core/channel-table.js';
import { vertexOf, type JobEdge, type JobGraph } from '../../core/job-graph.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { compileUntypedCodec } from '../../core/untyped-codec.js';

export class ChannelCatalog {
  readonly graph: JobGraph;
  readonly #transformations: ReadonlyMap<string, Transformation>;
  readonly #stateCodecs = new Map<JobEdge, RecordCodec<unknown>>();
  readonly #channels: ChannelTable;

  constructor(graph: JobGraph, transformations: ReadonlyMap<string, Transformation>) {
    this.graph = graph;
    this.#transformations = transformations;
    this.#channels = new ChannelTable(graph);
  }

  endsOf(channel: number): ChannelEnds {
    const ends = this.#channels.endsOf(channel);
    invariant(ends !== undefined, `channel ${channel} is of this job`);
    return ends;
  }

  /** Position of an edge among the inputs of its consumer. */
  inputOf(edge: JobEdge): number {
    return vertexOf(this.graph, edge.toVertex).inputs.indexOf(edge);
  }

  /** A codec of its own for every asker, so that its call sites stay monomorphic. */
  compileCodec(edge: JobEdge): RecordCodec<unknown> {
    const schema = this.#transformations.get(edge.fromOperator)?.outputSchemas.get(edge.fromOutput);
    return schema === undefined ? compileUntypedCodec() : compileRecordCodec(schema);
  }

  /** The edge's codec for in-flight data of checkpoints. */
  stateCodecOf(edge: JobEdge): RecordCodec<unknown> {
    let codec = this.#stateCodecs.get(edge);
    if (codec === undefined) {
      codec = this.compileCodec(edge);
      this.#stateCodecs.set(edge, codec);
    }
    return codec;
  }

  /** The key of a hash edge's records; undefined for other edges. */
  keySelectorOf(edge: JobEdge): KeySelector | undefined {
    const consumer = this.#transformations.get(edge.toVertex);
    const position = consumer?.node.inputs.findIndex(
      (input) => input.from === edge.fromOperator && input.output === edge.fromOutput,
    );
    return position === undefined ? undefined : consumer?.keySelectors[position];
  }
}
