/**
 * A job for tests of task slots, with its outside world: a source that stops at a gate, keyed state
 * with timers, a scoring call that the test answers, windows, and a sink whose commits are seen.
 */
import {
  job,
  listState,
  t as types,
  tumblingWindows,
  type Committer,
  type Job,
  type PollResult,
  type Sink,
  type SinkWriter,
  type Source,
  type SourceOutput,
  type SourceReader,
} from '../../../api/index.js';

export const Click = types.record({ user: types.string, n: types.int32, at: types.timestamp });
export type Click = types.infer<typeof Click>;

const Split = types.record({ id: types.string, ordinal: types.int32, position: types.int32 });
type Split = types.infer<typeof Split>;

/** Records by split. No reader goes beyond `gate` records of a split until it is moved. */
export class GatedSource implements Source<Click, Split> {
  readonly description = 'clicks';
  readonly schema = Click;
  readonly splitSchema = Split;
  readonly bounded = true;
  readonly #splits: readonly (readonly Click[])[];
  #gate: number;
  readonly #waiting: (() => void)[] = [];
  readonly #watching: { readonly records: number; readonly done: () => void }[] = [];
  #read = 0;

  constructor(splits: readonly (readonly Click[])[], gate = Infinity) {
    this.#splits = splits;
    this.#gate = gate;
  }

  moveGate(gate: number): void {
    this.#gate = gate;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Records that the readers, over all attempts, have read. */
  get read(): number {
    return this.#read;
  }

  /** Resolves once the readers, over all attempts, have read what stands before the gate. */
  async readUpToGate(): Promise<void> {
    const records = this.#splits.reduce((sum, { length }) => sum + Math.min(length, this.#gate), 0);
    if (this.#read >= records) return;
    await new Promise<void>((done) => this.#watching.push({ records, done }));
  }

  discoverSplits(): Promise<readonly Split[]> {
    return Promise.resolve(
      this.#splits.map((_, ordinal) => ({ id: `s${ordinal}`, ordinal, position: 0 })),
    );
  }

  createReader(): SourceReader<Click, Split> {
    const splits: { id: string; ordinal: number; position: number }[] = [];
    const poll = (output: SourceOutput<Click>, recordsMax: number): PollResult => {
      // All splits side by side, so that none falls behind the others' time.
      const share = Math.max(1, Math.floor(recordsMax / splits.length));
      let ended = true;
      let more = false;
      for (const split of splits) {
        const records = this.#splits[split.ordinal] ?? [];
        const available = Math.min(records.length, this.#gate);
        const until = Math.min(available, split.position + share);
        output.selectSplit(split.id);
        while (split.position < until) {
          const record = records[split.position++];
          if (record === undefined) continue;
          output.collect(record);
          this.#read++;
        }
        if (split.position < records.length) ended = false;
        if (split.position < available) more = true;
      }
      for (const { records, done } of this.#watching) if (this.#read >= records) done();
      if (more) return 'more';
      return ended ? 'end' : 'wait';
    };
    return {
      addSplits: (added) => splits.push(...added.map((split) => ({ ...split }))),
      noMoreSplits: () => undefined,
      poll,
      available: () => new Promise((resolve) => this.#waiting.push(resolve)),
      snapshot: () => splits.map((split) => ({ ...split })),
      close: () => Promise.resolve(),
    };
  }
}

/** What all writers of a sink have committed, transaction by transaction; committing twice is once. */
export class CommittedLines implements Sink<string, string> {
  readonly description = 'lines';
  readonly committableSchema = types.string;
  readonly #transactions = new Map<string, readonly string[]>();
  readonly #committed = new Set<string>();
  readonly #held: (() => void)[] = [];
  #count = 0;
  #isHeld = false;
  #holdFrom: ((line: string) => boolean) | undefined;

  get lines(): string[] {
    return [...this.#committed].flatMap((id) => this.#transactions.get(id) ?? []).sort();
  }

  /** Writers take no more records until `release`: from now on, or from a line on. */
  hold(from?: (line: string) => boolean): void {
    this.#holdFrom = from;
    this.#isHeld = from === undefined;
  }

  release(): void {
    this.#isHeld = false;
    this.#holdFrom = undefined;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  createWriter(): Promise<SinkWriter<string, string>> {
    let epoch: string[] = [];
    return Promise.resolve({
      write: (line) => {
        epoch.push(line);
        if (this.#holdFrom?.(line) === true) this.#isHeld = true;
      },
      whenWritable: () =>
        this.#isHeld ? new Promise((resolve) => this.#held.push(resolve)) : undefined,
      prepareCommit: () => {
        const id = `tx${++this.#count}`;
        this.#transactions.set(id, epoch);
        epoch = [];
        return Promise.resolve([id]);
      },
      close: () => Promise.resolve(),
    });
  }

  createCommitter(): Promise<Committer<string>> {
    return Promise.resolve({
      commit: (ids) => {
        for (const id of ids) this.#committed.add(id);
        return Promise.resolve();
      },
      recover: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
  }
}

export const MAX_PARALLELISM = 16;
const TIMER_DELAY_MS = 1_000;

/** source -> score -> keyBy -> process with timers (and windows beside it) -> sinks */
export function clicksJob(source: GatedSource, sink: CommittedLines): Job {
  return job('clicks', { maxParallelism: MAX_PARALLELISM, watermarkIntervalMs: 1 }, (env) => {
    const scored = env
      .source('clicks', source, {
        watermarks: { timestamp: (click) => click.at, maxOutOfOrdernessMs: 0 },
      })
      .score('score', {
        module: 'double',
        input: types.int32,
        result: types.int32,
        output: Click,
        select: (click) => click.n,
        combine: (click, n) => ({ ...click, n }),
        batchSize: 3,
        maxWaitMs: 1,
      });
    const keyed = scored.keyBy((click) => click.user);
    keyed
      .process('remember', {
        state: { seen: listState(types.int32) },
        output: types.string,
        onElement: ({ user, n, at }, ctx) => {
          ctx.state.seen.add(n);
          ctx.timers.registerEventTimeTimer(at + TIMER_DELAY_MS);
          ctx.collect(`${user} saw ${n}`);
        },
        onTimer: (timestamp, ctx) =>
          ctx.collect(`${ctx.key} at ${timestamp}: ${[...ctx.state.seen.get()].sort().join(' ')}`),
      })
      .sinkTo('lines', sink);
    keyed
      .window(tumblingWindows(20))
      .aggregate('sums', {
        accumulator: types.float64,
        output: types.string,
        createAccumulator: () => 0,
        add: (sum, { n }) => sum + n,
        getResult: (sum, user, { start }) => `${user} from ${start}: ${sum}`,
      })
      .sinkTo('totals', sink);
  });
}
