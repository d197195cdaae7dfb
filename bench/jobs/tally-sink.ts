/**
 * The sink of every benchmark: adds records up instead of writing them. What was added in an epoch
 * becomes visible, as one small file, only when its checkpoint is complete: a tally is therefore as
 * exact as an exactly-once output. Beside it stands a trace of progress with times of the machine's
 * monotonic clock, which the runner reads from another process.
 */
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { t, type Infer, type Schema, type Sink, type SinkContext, type SinkWriter } from 'millrace';

/** Sums over the records of one sink subtask. */
export interface Tally<T> {
  add(record: T): void;
  /** What was added since the last call, as JSON. */
  cut(): unknown;
}

export interface TallySinkOptions<T> {
  /** Folder for tallies and traces; made if it is not there. */
  readonly folder: string;
  readonly schema: Schema<T>;
  readonly createTally: () => Tally<T>;
  /** How many source records a record stands for in the trace; 1 unless told. */
  readonly weightOf?: (record: T) => number;
  /** Records per second and subtask; as fast as they come unless told. */
  readonly ratePerSecond?: number;
}

const committable = t.record({ name: t.string, tally: t.string });
type Committable = Infer<typeof committable>;

const TRACE_INTERVAL_MS = 50;
/** Reading the clock for every record would be measured too. */
const CLOCK_EVERY_RECORDS = 256;

/** Monotonic clock of the machine, ms: the same in all of its processes. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function tallySink<T>(options: TallySinkOptions<T>): Sink<T, Committable> {
  return {
    description: 'tally',
    schema: options.schema,
    committableSchema: committable,
    createWriter: (context) => {
      mkdirSync(options.folder, { recursive: true });
      return Promise.resolve(new TallyWriter(options, context));
    },
    createCommitter: () =>
      Promise.resolve({
        commit: (committables: readonly Committable[]) => {
          for (const { name, tally } of committables) publish(options.folder, name, tally);
          return Promise.resolve();
        },
        recover: () => Promise.resolve(),
        close: () => Promise.resolve(),
      }),
  };
}

/** Idempotent: the same epoch is written to the same name with the same content. */
function publish(folder: string, name: string, tally: string): void {
  const file = path.join(folder, name);
  writeFileSync(`${file}.part`, tally);
  renameSync(`${file}.part`, file);
}

class TallyWriter<T> implements SinkWriter<T, Committable> {
  readonly #tally: Tally<T>;
  readonly #weightOf: ((record: T) => number) | undefined;
  readonly #context: SinkContext;
  readonly #traceFile: string;
  readonly #ratePerSecond: number | undefined;
  #count = 0;
  #untilClock = 0;
  #tracedMs = -Infinity;
  #originMs: number | undefined;
  #written = 0;

  constructor(options: TallySinkOptions<T>, context: SinkContext) {
    this.#tally = options.createTally();
    this.#weightOf = options.weightOf;
    this.#context = context;
    this.#ratePerSecond = options.ratePerSecond;
    const { operator, subtask, attempt } = context;
    this.#traceFile = path.join(options.folder, `trace-${operator}-${subtask}-${attempt}`);
  }

  write(record: T): void {
    this.#tally.add(record);
    this.#written++;
    this.#count += this.#weightOf === undefined ? 1 : this.#weightOf(record);
    if (--this.#untilClock <= 0) this.#trace();
  }

  whenWritable(): Promise<void> | undefined {
    if (this.#ratePerSecond === undefined) return undefined;
    const { clock } = this.#context;
    this.#originMs ??= clock.monotonic();
    const delayMs =
      this.#originMs + (this.#written * 1000) / this.#ratePerSecond - clock.monotonic();
    if (delayMs < 1) return undefined;
    return new Promise((resolve) => {
      clock.setTimer(delayMs, resolve);
    });
  }

  prepareCommit(checkpointId: number): Promise<readonly Committable[]> {
    this.#untilClock = 0;
    const { operator, subtask } = this.#context;
    return Promise.resolve([
      {
        name: `tally-${operator}-${subtask}-${checkpointId}`,
        tally: JSON.stringify(this.#tally.cut()),
      },
    ]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A line `ms count`; the first record of an attempt always leaves one. */
  #trace(): void {
    this.#untilClock = CLOCK_EVERY_RECORDS;
    const nowMs = machineMs();
    if (nowMs - this.#tracedMs < TRACE_INTERVAL_MS) return;
    this.#tracedMs = nowMs;
    appendFileSync(this.#traceFile, `${nowMs.toFixed(3)} ${this.#count}\n`);
  }
}
