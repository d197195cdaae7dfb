/**
 * The reader of a subtask's partitions: fetching runs ahead in the background, `poll` decodes what is
 * there, the partitions in turn (record fetcher -> partition reader -> source output). A partition that
 * is known to have more holds the watermark back until it has given it.
 */
import type { MetricGroup } from '../../api/metrics.js';
import type { PollResult, SourceContext, SourceOutput, SourceReader } from '../../api/source.js';
import { Availability } from '../availability.js';
import { GroupCommitter } from './group-committer.js';
import type { KafkaClient } from './kafka-client.js';
import type { KafkaSplit } from './kafka-split.js';
import type { OutOfRangePolicy } from './lost-position.js';
import { PartitionReader, type PoisonPolicy } from './partition-reader.js';
import type { RecordDecoder } from './record-decoder.js';
import { RecordFetcher } from './record-fetcher.js';
import type { IsolationLevel } from './record-set-reader.js';

export interface KafkaReaderOptions<T> {
  /** The reader's own, closed with it. */
  readonly client: KafkaClient;
  readonly clock: SourceContext['clock'];
  readonly metrics: MetricGroup;
  readonly decoderFor: (split: KafkaSplit) => RecordDecoder<T>;
  readonly isolation: IsolationLevel;
  readonly poison: PoisonPolicy | undefined;
  readonly onOutOfRange: OutOfRangePolicy;
  readonly bufferedBytesMax: number;
  /** Whom to tell of positions; undefined: nobody. */
  readonly groupId: string | undefined;
}

interface Partition<T> {
  readonly id: string;
  readonly reader: PartitionReader<T>;
  /** It was added, and the output has yet to hear of it. */
  isNew: boolean;
  /** It holds the watermark back while it is not read. */
  paused: boolean;
}

export class KafkaReader<T> implements SourceReader<T, KafkaSplit> {
  readonly #options: KafkaReaderOptions<T>;
  readonly #fetcher: RecordFetcher;
  readonly #committer: GroupCommitter | undefined;
  readonly #partitions: Partition<T>[] = [];
  /** Finished and told of. */
  readonly #finished: Partition<T>[] = [];
  /** Whose turn it is. */
  #turn = 0;
  #noMoreSplits = false;
  #closed = false;
  readonly #availability = new Availability(() => this.#hasMore());

  constructor(options: KafkaReaderOptions<T>) {
    const { client, clock, isolation, onOutOfRange, bufferedBytesMax, groupId, metrics } = options;
    this.#options = options;
    metrics.gauge('pending_records', () => this.#lags().reduce((sum, lag) => sum + lag, 0));
    metrics.gauge('records_lag_max', () => Math.max(0, ...this.#lags()));
    this.#fetcher = new RecordFetcher({
      client,
      clock,
      isolation,
      onOutOfRange,
      bufferedBytesMax,
      bytesIn: metrics.counter('bytes_in'),
      onProgress: () => this.#availability.changed(),
      onFailure: (error) => this.#availability.fail(error),
    });
    if (groupId !== undefined) this.#committer = new GroupCommitter(client, groupId);
  }

  addSplits(splits: readonly KafkaSplit[]): void {
    const { decoderFor, isolation, poison } = this.#options;
    const added = splits.map((split): Partition<T> => {
      const reader = new PartitionReader(split, {
        decoder: decoderFor(split),
        isolation,
        poison,
        onProgress: () => this.#availability.changed(),
        onFailure: (error) => this.#availability.fail(error),
      });
      return { id: split.id, reader, isNew: true, paused: false };
    });
    this.#partitions.push(...added);
    this.#fetcher.add(added.map(({ reader }) => reader));
    this.#availability.changed();
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true;
    this.#availability.changed();
  }

  poll(output: SourceOutput<T>, recordsMax: number): PollResult {
    this.#availability.check();
    this.#tell(output);
    let left = recordsMax;
    while (left > 0) {
      const partition = this.#nextReady();
      if (partition === undefined) return this.#isAtEnd() ? 'end' : 'wait';
      output.selectSplit(partition.id);
      partition.paused = false;
      left -= partition.reader.poll(output, left);
      this.#afterTurn(partition, output);
      this.#fetcher.wake();
    }
    return 'more';
  }

  available(): Promise<void> {
    return this.#availability.wait();
  }

  snapshot(checkpointId?: number): readonly KafkaSplit[] {
    const splits = [...this.#finished, ...this.#partitions].map(({ reader }) => reader.split);
    if (checkpointId !== undefined) this.#committer?.begin(checkpointId, splits);
    return splits;
  }

  notifyCheckpointComplete(checkpointId: number): void {
    this.#committer?.complete(checkpointId);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#fetcher.close();
    this.#options.client.close();
    this.#availability.changed();
    return Promise.resolve();
  }

  /** Tells the output of partitions that it does not know rightly. */
  #tell(output: SourceOutput<T>): void {
    for (const partition of [...this.#partitions]) {
      if (!isToBeTold(partition)) continue;
      output.selectSplit(partition.id);
      partition.isNew = false;
      partition.paused = false;
      this.#afterTurn(partition, output);
    }
  }

  #afterTurn(partition: Partition<T>, output: SourceOutput<T>): void {
    if (partition.reader.isFinished) {
      output.finishSplit();
      this.#partitions.splice(this.#partitions.indexOf(partition), 1);
      this.#finished.push(partition);
    } else if (partition.reader.hasMore) {
      output.pauseSplit();
      partition.paused = true;
    }
  }

  /** Of its partitions, as far as brokers have told of their ends. */
  #lags(): readonly number[] {
    return this.#partitions.map(({ reader }) => reader.lag);
  }

  #nextReady(): Partition<T> | undefined {
    const count = this.#partitions.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#turn + step) % count;
      const partition = this.#partitions[index];
      if (partition?.reader.isReady !== true) continue;
      this.#turn = index + 1;
      return partition;
    }
    return undefined;
  }

  #hasMore(): boolean {
    if (this.#closed || this.#isAtEnd()) return true;
    return this.#partitions.some((one) => one.reader.isReady || isToBeTold(one));
  }

  #isAtEnd(): boolean {
    return this.#noMoreSplits && this.#partitions.length === 0;
  }
}

function isToBeTold<T>({ reader, isNew, paused }: Partition<T>): boolean {
  return isNew || reader.isFinished || (paused && !reader.hasMore);
}
