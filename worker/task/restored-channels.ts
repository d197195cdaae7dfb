/**
 * Reads the in-flight data that one subtask takes back from a checkpoint. At the parallelism it was
 * written at, each channel goes on with what stood on it. At another one the records leave their
 * channels: those of a hash edge go to the subtask that owns their key group, those of channel j of
 * any other edge to subtask j modulo the parallelism. Watermarks are then left out: they were true of
 * one channel's records only, and every restored producer says its own again behind what it recovers,
 * so time can never run ahead of a recovered record.
 */
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { channelOf, isConnected, type JobVertex } from '../../core/job-graph.js';
import { keyHash } from '../../core/key-codec.js';
import { keyGroupOf, subtaskOf } from '../../core/key-group.js';
import { vertexOf } from '../../core/job-graph.js';
import type { RecordBatch, Watermark } from '../network/buffer.js';
import type { RecoveredInput } from '../network/in-flight-recorder.js';
import { userCodeError } from '../operators/user-code.js';
import type { ChannelCatalog } from './channel-catalog.js';
import { decodeChannelState, type ChannelSection, type KeptBuffer } from './channel-state-file.js';
import type { CheckpointStorage } from './task-environment.js';

/** Rerouted records first, since they were recovered before; then what stood at the input, then at the output. */
const SIDES = ['input', 'output'] as const;

export async function readRestoredChannels(
  manifest: CheckpointManifest,
  vertex: JobVertex,
  subtask: number,
  catalog: ChannelCatalog,
  storage: CheckpointStorage,
): Promise<RecoveredInput | undefined> {
  const files = manifest.vertices
    .flatMap(({ tasks }) => tasks)
    .flatMap((task) => task.files)
    .filter(({ kind, operator }) => kind === 'channel' && operator === vertex.id);
  if (files.length === 0) return undefined;
  const reader = new SectionReader(vertex, subtask, catalog);
  const sections: ChannelSection[] = [];
  for (const file of files) {
    sections.push(...decodeChannelState(await storage.read(file), file.key));
  }
  for (const section of sections) if (section.fromSubtask === undefined) reader.add(section);
  for (const side of SIDES) {
    for (const section of sections) {
      if (section.fromSubtask !== undefined && section.side === side) reader.add(section);
    }
  }
  return reader;
}

/** Sorts sections into what their channel and what the task as a whole goes on with. */
class SectionReader implements RecoveredInput {
  readonly channels = new Map<number, (RecordBatch | Watermark)[]>();
  readonly rerouted: { readonly input: number; readonly records: RecordBatch }[] = [];
  readonly #vertex: JobVertex;
  readonly #subtask: number;
  readonly #catalog: ChannelCatalog;

  constructor(vertex: JobVertex, subtask: number, catalog: ChannelCatalog) {
    this.#vertex = vertex;
    this.#subtask = subtask;
    this.#catalog = catalog;
  }

  add(section: ChannelSection): void {
    const edge = this.#vertex.inputs[section.input];
    if (edge === undefined) {
      throw new MillraceError(
        'STATE_NOT_RESTORABLE',
        `the checkpoint holds in-flight data of input ${section.input} of "${this.#vertex.id}", which the job doesn't ` +
          'have; start it from a savepoint, which holds none',
        { location: { operator: this.#vertex.id } },
      );
    }
    const { parallelism } = this.#vertex;
    const { fromSubtask, toSubtask, toParallelism } = section;
    const producers = vertexOf(this.#catalog.graph, edge.fromVertex).parallelism;
    const isAsWritten = toParallelism === parallelism && section.fromParallelism === producers;
    if (!isAsWritten) return this.#reroute(section);
    if (toSubtask !== this.#subtask) return;
    if (fromSubtask === undefined || !isConnected(edge, fromSubtask, toSubtask)) {
      return this.#reroute(section);
    }
    const channel = channelOf(edge, parallelism, fromSubtask, toSubtask);
    const buffers = this.channels.get(channel) ?? [];
    this.channels.set(channel, buffers);
    for (const buffer of section.buffers) {
      buffers.push(buffer.kind === 'watermark' ? buffer : this.#decode(section.input, buffer));
    }
  }

  #reroute({ input, toSubtask, buffers }: ChannelSection): void {
    const isMine = this.#ownership(input, toSubtask);
    for (const buffer of buffers) {
      if (buffer.kind === 'watermark') continue;
      const { values, timestamps } = this.#decode(input, buffer);
      const records: RecordBatch = { kind: 'batch', values: [], timestamps: [] };
      values.forEach((value, index) => {
        if (!isMine(value)) return;
        records.values.push(value);
        records.timestamps.push(timestamps[index] ?? -Infinity);
      });
      if (records.values.length > 0) this.rerouted.push({ input, records });
    }
  }

  /** Whether a record that was on its way to `toSubtask` is now this subtask's. */
  #ownership(input: number, toSubtask: number): (value: unknown) => boolean {
    const { parallelism, id } = this.#vertex;
    const { maxParallelism } = this.#catalog.graph;
    const edge = this.#vertex.inputs[input];
    const selectKey = edge === undefined ? undefined : this.#catalog.keySelectorOf(edge);
    if (edge?.partitioning !== 'hash' || selectKey === undefined) {
      return () => toSubtask % parallelism === this.#subtask;
    }
    return (value) => {
      try {
        const keyGroup = keyGroupOf(keyHash(selectKey(value)), maxParallelism);
        return subtaskOf(keyGroup, parallelism, maxParallelism) === this.#subtask;
      } catch (error) {
        throw userCodeError(error, id, 'keyBy', value);
      }
    };
  }

  #decode(input: number, buffer: Extract<KeptBuffer, { readonly kind: 'chunk' }>): RecordBatch {
    const edge = this.#vertex.inputs[input];
    const chunk = { values: [], timestamps: new Float64Array(0), count: 0 };
    try {
      const codec = edge === undefined ? undefined : this.#catalog.stateCodecOf(edge);
      const { values, timestamps, count } = codec?.decode(buffer.bytes, chunk) ?? chunk;
      return { kind: 'batch', values, timestamps: Array.from(timestamps.subarray(0, count)) };
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      throw new MillraceError(
        'CHECKPOINT_CORRUPT',
        `in-flight data of "${this.#vertex.id}" can't be read (${error.message}); restore from another checkpoint`,
        { cause: error, location: { operator: this.#vertex.id } },
      );
    }
  }
}
