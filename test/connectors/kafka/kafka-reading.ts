/** What tests of the Kafka source share: a reader that is driven as the source operator drives it. */
import { unregisteredMetrics } from '../../../api/metrics.js';
import type { Source, SourceContext, SourceReader } from '../../../api/source.js';
import type { KafkaSplit } from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import { RecordingOutput } from '../recording-output.js';

const DEADLINE_MS = 60_000;

export interface ReadingOptions {
  /** A checkpoint's positions; undefined: the job starts. */
  readonly restored?: readonly KafkaSplit[];
  readonly subtask?: number;
  readonly parallelism?: number;
}

export class Reading<T> {
  readonly output = new RecordingOutput<T>();
  ended = false;

  private constructor(
    readonly source: Source<T, KafkaSplit>,
    readonly context: SourceContext,
    readonly reader: SourceReader<T, KafkaSplit>,
    private readonly known: Set<string>,
  ) {}

  static async start<T>(
    source: Source<T, KafkaSplit>,
    { restored, subtask = 0, parallelism = 1 }: ReadingOptions = {},
  ): Promise<Reading<T>> {
    const context = {
      operator: 'source',
      subtask,
      parallelism,
      clock: systemClock,
      metrics: unregisteredMetrics,
    };
    const reader = source.createReader(context);
    const reading = new Reading(source, context, reader, new Set());
    try {
      if (restored !== undefined) reading.add(restored);
      reading.add(
        await source.discoverSplits(context, restored === undefined ? undefined : reading.known),
      );
    } catch (error) {
      await reader.close();
      throw error;
    }
    if (source.bounded) reader.noMoreSplits();
    return reading;
  }

  /** What the operator does from time to time. */
  async discover(): Promise<void> {
    this.add(await this.source.discoverSplits(this.context, this.known));
  }

  /** Polls until it holds, or the source has ended. */
  async until(holds: () => boolean, recordsMax = 256): Promise<this> {
    const deadline = systemClock.monotonic() + DEADLINE_MS;
    while (!holds()) {
      const result = this.reader.poll(this.output, recordsMax);
      if (result === 'end') {
        this.ended = true;
        return this;
      }
      if (systemClock.monotonic() > deadline) throw new Error('the records did not come');
      if (result === 'more' || holds()) continue;
      let cancel = (): void => undefined;
      const timeout = new Promise<void>((resolve) => {
        cancel = systemClock.setTimer(DEADLINE_MS, resolve);
      });
      await Promise.race([this.reader.available(), timeout]).finally(cancel);
    }
    return this;
  }

  /** To the end of a bounded source, and closed. */
  async toEnd(): Promise<readonly T[]> {
    try {
      await this.until(() => this.ended);
      return this.output.records;
    } finally {
      await this.reader.close();
    }
  }

  private add(splits: readonly KafkaSplit[]): void {
    const { subtask, parallelism } = this.context;
    const mine = splits.filter(({ id, ordinal }) => {
      return ordinal % parallelism === subtask && !this.known.has(id);
    });
    for (const { id } of splits) this.known.add(id);
    if (mine.length > 0) this.reader.addSplits(mine);
  }
}

/** All records of a bounded source. */
export async function readAll<T>(
  source: Source<T, KafkaSplit>,
  options?: ReadingOptions,
): Promise<readonly T[]> {
  return (await Reading.start(source, options)).toEnd();
}
