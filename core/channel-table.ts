/**
 * The two subtasks of every channel of a job, by channel number. They are worked out when asked for: an exchange
 * between 512 subtasks has a quarter of a million channels, and every slot of the job asks.
 */
import { isConnected, vertexOf, type JobEdge, type JobGraph } from './job-graph.js';

export interface ChannelEnds {
  readonly edge: JobEdge;
  readonly fromSubtask: number;
  readonly toSubtask: number;
}

export class ChannelTable {
  readonly channelCount: number;
  readonly #edges: readonly { readonly edge: JobEdge; readonly toParallelism: number }[];

  constructor(graph: JobGraph) {
    this.channelCount = graph.channelCount;
    this.#edges = graph.edges.map((edge) => ({
      edge,
      toParallelism: vertexOf(graph, edge.toVertex).parallelism,
    }));
  }

  /** Undefined where the job has no such channel, or a forward edge does not use it. */
  endsOf(channel: number): ChannelEnds | undefined {
    if (!(channel >= 0 && channel < this.channelCount)) return undefined;
    // Channels are numbered edge by edge.
    let last = this.#edges.length - 1;
    while ((this.#edges[last]?.edge.firstChannel ?? 0) > channel) last--;
    const found = this.#edges[last];
    if (found === undefined) return undefined;
    const { edge, toParallelism } = found;
    const index = channel - edge.firstChannel;
    const toSubtask = index % toParallelism;
    const fromSubtask = (index - toSubtask) / toParallelism;
    return isConnected(edge, fromSubtask, toSubtask) ? { edge, fromSubtask, toSubtask } : undefined;
  }
}
