/**
 * Writes an operator's output onto the channels of one job edge: forward, by key group, in turn, or
 * on all of them (journey of a record: operator chain -> record writer -> result subpartition). It must not look
 * into records other than through the key selector.
 */
import { invariant } from '../../core/errors.js';
import type { Key } from '../../core/key-codec.js';
import { keyGroupOf, subtaskOf } from '../../core/key-group.js';
import type { Partitioning } from '../../core/stream-graph.js';
import type { StreamEvent } from './buffer.js';
import { OutputStatus } from './output-status.js';
import type { ResultSubpartition } from './result-subpartition.js';

export type HashKey = (key: Key) => number;

export interface RecordWriterOptions {
  readonly partitioning: Partitioning;
  /** By consumer subtask; a forward edge has one. */
  readonly subpartitions: readonly ResultSubpartition[];
  readonly maxParallelism: number;
  /** For hash partitioning. */
  readonly selectKey: ((record: unknown) => Key) | undefined;
  readonly hashKey: HashKey;
}

export class RecordWriter {
  /**
   * Whether a barrier may overtake on this edge. Never what is broadcast: subtasks get on with it at different
   * paces, so a checkpoint that any of it was in flight in would have each of them know something else.
   */
  readonly mayOvertake: boolean;
  readonly subpartitions: readonly ResultSubpartition[];
  /** Writes one record; specialised for the partitioning, so that its call sites stay monomorphic. */
  readonly write: (value: unknown, timestamp: number) => void;

  readonly #status: OutputStatus;

  constructor(options: RecordWriterOptions) {
    this.mayOvertake = options.partitioning !== 'broadcast';
    this.subpartitions = options.subpartitions;
    this.#status = new OutputStatus(options.subpartitions.length);
    options.subpartitions.forEach((subpartition, position) =>
      subpartition.reportTo(this.#status, position),
    );
    this.write = createWrite(options);
  }

  get isFull(): boolean {
    return this.#status.full > 0;
  }

  /** Sends the event on every channel. */
  broadcast(event: StreamEvent): void {
    for (const subpartition of this.subpartitions) subpartition.emit(event);
  }

  /** Sends open chunks whose receiver has nothing left to do; `force` sends all. */
  flush(force: boolean): void {
    const { open } = this.#status;
    for (let left = open.size, from = 0; left > 0; left--) {
      const position = open.nextFrom(from);
      const subpartition = this.subpartitions[position];
      if (force || subpartition?.isReceiverIdle === true) subpartition?.flush();
      from = position + 1;
    }
  }

  get hasOpenChunk(): boolean {
    return this.#status.open.size > 0;
  }
}

function createWrite(options: RecordWriterOptions): (value: unknown, timestamp: number) => void {
  const { subpartitions, selectKey, hashKey, maxParallelism } = options;
  const [first] = subpartitions;
  invariant(first !== undefined, 'an edge has at least one channel');
  if (subpartitions.length === 1) return (value, timestamp) => first.append(value, timestamp);
  if (options.partitioning === 'hash') {
    invariant(selectKey !== undefined, 'a hash edge has a key selector');
    const byKeyGroup = Array.from({ length: maxParallelism }, (_, keyGroup) => {
      const target = subpartitions[subtaskOf(keyGroup, subpartitions.length, maxParallelism)];
      invariant(target !== undefined, 'every key group has a subtask');
      return target;
    });
    return (value, timestamp) => {
      const target = byKeyGroup[keyGroupOf(hashKey(selectKey(value)), maxParallelism)];
      if (target !== undefined) target.append(value, timestamp);
    };
  }
  if (options.partitioning === 'broadcast') {
    return (value, timestamp) => {
      for (const subpartition of subpartitions) subpartition.append(value, timestamp);
    };
  }
  let next = 0;
  return (value, timestamp) => {
    const target = subpartitions[next];
    next = next + 1 === subpartitions.length ? 0 : next + 1;
    if (target !== undefined) target.append(value, timestamp);
  };
}
