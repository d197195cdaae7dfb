/**
 * The in-flight data of one task in one checkpoint, as it gathers: what the barrier overtook on the
 * task's inputs and in its outputs (journey of a barrier, when it overtakes: input gate and result
 * subpartitions -> channel state -> file). Settled once the barrier has come on every input and has
 * left on every output. It must never hold on to what is processed or sent afterwards: chunks of an
 * output are copied, since their memory goes with them.
 */
import { invariant, MillraceError, toMillraceError } from '../../core/errors.js';
import { vertexOf, type JobEdge } from '../../core/job-graph.js';
import type { StateFile } from '../../core/state-file.js';
import type { InFlightBuffer } from '../network/buffer.js';
import type { InFlightOrigin, InFlightRecorder } from '../network/in-flight-recorder.js';
import { IN_FLIGHT_BYTES_MAX } from '../network/limits.js';
import type { ChannelCatalog } from './channel-catalog.js';
import { encodeChannelState, type ChannelSection, type KeptBuffer } from './channel-state-file.js';
import type { CheckpointStorage, TaskId } from './task-environment.js';

interface OpenSection extends ChannelSection {
  readonly edge: JobEdge;
  readonly buffers: KeptBuffer[];
}

/** What became of a task's in-flight data. */
export interface WrittenChannelState {
  readonly files: readonly StateFile[];
  /** Whether the barrier overtook anywhere in this task, even if nothing stood in its way. */
  readonly unaligned: boolean;
}

export interface ChannelStateOptions {
  readonly task: TaskId;
  readonly catalog: ChannelCatalog;
  readonly storage: CheckpointStorage;
  /** Whether the barrier overtakes at the inputs, which are then recorded until it has come on all of them. */
  readonly overtakesInput: boolean;
  /** Channels on which the barrier has to leave. */
  readonly outputs: number;
}

export class ChannelState implements InFlightRecorder {
  readonly #options: ChannelStateOptions;
  readonly #sections = new Map<string, OpenSection>();
  /** Resolves when all is gathered or the checkpoint was given up. */
  readonly #settled: Promise<void>;
  #settle: () => void = () => undefined;
  #fail: (error: MillraceError) => void = () => undefined;
  /** Outputs that the barrier has not left on, and the inputs as one while they are recorded. */
  #open: number;
  #bytes = 0;
  #unaligned: boolean;
  #over = false;

  constructor(options: ChannelStateOptions) {
    this.#options = options;
    this.#open = options.outputs + (options.overtakesInput ? 1 : 0);
    this.#unaligned = options.overtakesInput;
    this.#settled = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    // Whoever writes the checkpoint may fail before it comes to this.
    this.#settled.catch(() => undefined);
    if (this.#open === 0) this.#settle();
  }

  record({ channel, input }: InFlightOrigin, buffer: InFlightBuffer): void {
    const { task, catalog } = this.#options;
    this.#guarded(() => {
      const vertex = vertexOf(catalog.graph, task.vertex);
      const edge = vertex.inputs[input];
      if (edge === undefined) return;
      const from = channel === undefined ? undefined : catalog.endsOf(channel).fromSubtask;
      const section = this.#section(edge, from, task.subtask, 'input');
      this.#keep(section, buffer, false);
    });
  }

  complete(): void {
    this.#done();
  }

  /** Nothing will be written of it. */
  abandon(): void {
    this.#over = true;
    this.#sections.clear();
    this.#settle();
  }

  /** The barrier has left on a channel, ahead of `overtaken`. */
  sent(channel: number, overtaken: readonly InFlightBuffer[]): void {
    this.#guarded(() => {
      if (overtaken.length === 0) return;
      this.#unaligned = true;
      const { edge, fromSubtask, toSubtask } = this.#options.catalog.endsOf(channel);
      const section = this.#section(edge, fromSubtask, toSubtask, 'output');
      for (const buffer of overtaken) this.#keep(section, buffer, true);
    });
    this.#done();
  }

  /**
   * Writes the files once all is gathered.
   * @returns undefined when the checkpoint was given up
   * @throws MillraceError CHECKPOINT_FAILED, SCHEMA_MISMATCH, STORAGE_UNAVAILABLE
   */
  async write(prefix: string): Promise<WrittenChannelState | undefined> {
    await this.#settled;
    if (this.#over) return undefined;
    const { task, storage } = this.#options;
    const files: StateFile[] = [];
    const sections = [...this.#sections.values()];
    // What is written needs no memory until the next checkpoint.
    this.#sections.clear();
    for (const operator of new Set(sections.map(({ edge }) => edge.toVertex))) {
      const name = `${task.vertex}-${task.subtask}-channels-${files.length}`;
      const kept = sections
        .filter(({ edge }) => edge.toVertex === operator)
        .map(({ edge: _, ...section }): ChannelSection => section);
      const written = await storage.write(prefix, name, [encodeChannelState(kept)]);
      files.push({ operator, kind: 'channel', ...written, keyGroupStart: 0, keyGroupEnd: 0 });
    }
    return { files, unaligned: this.#unaligned };
  }

  #section(
    edge: JobEdge,
    fromSubtask: number | undefined,
    toSubtask: number,
    side: ChannelSection['side'],
  ): OpenSection {
    const key = `${edge.index}/${fromSubtask ?? ''}/${toSubtask}`;
    let section = this.#sections.get(key);
    if (section === undefined) {
      const { catalog } = this.#options;
      section = {
        edge,
        input: catalog.inputOf(edge),
        fromSubtask,
        toSubtask,
        fromParallelism: vertexOf(catalog.graph, edge.fromVertex).parallelism,
        toParallelism: vertexOf(catalog.graph, edge.toVertex).parallelism,
        side,
        buffers: [],
      };
      this.#sections.set(key, section);
    }
    return section;
  }

  #keep({ edge, buffers }: OpenSection, buffer: InFlightBuffer, copy: boolean): void {
    if (buffer.kind === 'watermark') {
      buffers.push(buffer);
      return;
    }
    invariant(edge.partitioning !== 'broadcast', 'no barrier overtakes what is broadcast');
    const bytes =
      buffer.kind === 'batch'
        ? this.#options.catalog.stateCodecOf(edge).encode(buffer.values, buffer.timestamps)
        : copy
          ? buffer.bytes.slice()
          : buffer.bytes;
    this.#bytes += bytes.byteLength;
    if (this.#bytes > IN_FLIGHT_BYTES_MAX) {
      throw new MillraceError(
        'CHECKPOINT_FAILED',
        `more than ${IN_FLIGHT_BYTES_MAX} bytes of in-flight data came to "${this.#options.task.vertex}" before ` +
          'the barrier of one of its inputs; raise checkpoint.alignmentTimeoutMs',
      );
    }
    buffers.push({ kind: 'chunk', bytes });
  }

  #done(): void {
    this.#open--;
    if (this.#open === 0) this.#settle();
  }

  #guarded(keep: () => void): void {
    if (this.#over) return;
    try {
      keep();
    } catch (error) {
      this.#over = true;
      this.#sections.clear();
      this.#fail(toMillraceError(error, 'CHECKPOINT_FAILED'));
    }
  }
}
