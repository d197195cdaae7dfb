/**
 * The job that the simulation runs: numbered records of three splits -> keyBy -> a running count per
 * key, with event-time timers -> a two-phase-commit sink; some of the records are broadcast to the
 * counters, too, whose timers tell how many they have seen of those. Written with the SDK like any job; its
 * connectors talk to the simulated store. Beside it the same computation in a few plain lines.
 */
import {
  boundedOutOfOrderness,
  job,
  mapState,
  t,
  type BuiltJob,
  type PollResult,
  type Sink,
  type Source,
  type SourceContext,
  type SourceOutput,
  type SourceReader,
} from '../../api/index.js';
import type { SimulatedStore } from './simulated-store.js';
import type { SimulatedProcess } from './event-loop.js';
import type { OutputRecord } from './transactional-output.js';

const SPLITS = 3;
const RECORDS_PER_SPLIT = 60;
const KEYS = 5;
const WINDOW_MS = 70;
/** Records of one split in one poll. */
const PACE_RECORDS = 2;
const PACE_MS = 9;
const PAUSE_EVERY_RECORDS = 8;
/** Records of each split that wait until enough has happened for the run to prove something. */
const HELD_BACK = 4;
const BROADCAST_EVERY = 5;
/** More than are broadcast. */
const TOLD_MAX = 1_000;

const Numbered = t.record({ key: t.string, split: t.int32, index: t.int32, at: t.timestamp });
type Numbered = t.infer<typeof Numbered>;
const Output = t.record({
  key: t.string,
  kind: t.literal('count', 'timer', 'told'),
  value: t.float64,
});
/** Of a broadcast record: its time, and how often a subtask has been given it. */
export const Told = t.record({ at: t.timestamp, times: t.int32 });
const Split = t.record({ id: t.string, ordinal: t.int32, next: t.int32 });
type Split = t.infer<typeof Split>;
const Transaction = t.record({ id: t.string });

function numbered(split: number, index: number): Numbered {
  const key = `k${(index * 7 + split * 3) % KEYS}`;
  return { key, split, index, at: 1_000 + index * 10 + split };
}

function windowEnd(at: number): number {
  return (Math.floor(at / WINDOW_MS) + 1) * WINDOW_MS;
}

function isBroadcast({ split, index }: Numbered): boolean {
  return (split + index) % BROADCAST_EVERY === 0;
}

/** The time of a timer with what had been broadcast by then, as one number. */
function toldBy(timestamp: number, broadcast: number): number {
  return timestamp * TOLD_MAX + broadcast;
}

/** What the output must be, exactly: counts 1..n for each key, and each key's timers once. */
export function referenceOutput(): readonly string[] {
  const broadcastAt: number[] = [];
  const counts = new Map<string, number>();
  const timers = new Set<string>();
  for (let split = 0; split < SPLITS; split++) {
    for (let index = 0; index < RECORDS_PER_SPLIT; index++) {
      const record = numbered(split, index);
      const { key, at } = record;
      if (isBroadcast(record)) broadcastAt.push(at);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      timers.add(`${key} timer ${windowEnd(at)}`);
    }
  }
  const lines = [...timers];
  for (const timer of timers) {
    const [key, , at] = timer.split(' ');
    const broadcast = broadcastAt.filter((time) => time <= Number(at)).length;
    lines.push(`${key} told ${toldBy(Number(at), broadcast)}`);
  }
  for (const [key, count] of counts) {
    for (let value = 1; value <= count; value++) lines.push(`${key} count ${value}`);
  }
  return lines.sort();
}

/** Hooks by which the simulation reaches into the job: for faults, mutants and measuring. */
export interface JobHooks {
  /** The position that a split's snapshot shows. */
  readonly positionOf: (next: number, end: number) => number;
  readonly onRead: (split: number, index: number) => void;
  /** False while the last records of each split are to be held back. */
  readonly mayEnd: () => boolean;
  /** Of the job's checkpoints; null: all are aligned. */
  readonly alignmentTimeoutMs: number | null;
  /** How long the sink takes no more records, ms; asked once in a while. */
  readonly sinkPauseMs: () => number;
  /** Throws when user code is to fail. */
  readonly onElement: () => void;
}

class NumbersReader implements SourceReader<Numbered, Split> {
  readonly #context: SourceContext;
  readonly #hooks: JobHooks;
  readonly #splits: { readonly split: Split; next: number }[] = [];

  constructor(context: SourceContext, hooks: JobHooks) {
    this.#context = context;
    this.#hooks = hooks;
  }

  addSplits(splits: readonly Split[]): void {
    this.#splits.push(...splits.map((split) => ({ split, next: split.next })));
  }

  noMoreSplits(): void {
    // Every split is known from the start.
  }

  poll(output: SourceOutput<Numbered>): PollResult {
    let open = false;
    const end = this.#hooks.mayEnd() ? RECORDS_PER_SPLIT : RECORDS_PER_SPLIT - HELD_BACK;
    for (const reading of this.#splits) {
      if (reading.next >= RECORDS_PER_SPLIT) continue;
      output.selectSplit(reading.split.id);
      for (let i = 0; i < PACE_RECORDS && reading.next < end; i++) {
        this.#hooks.onRead(reading.split.ordinal, reading.next);
        output.collect(numbered(reading.split.ordinal, reading.next++));
      }
      if (reading.next >= RECORDS_PER_SPLIT) output.finishSplit();
      else open = true;
    }
    return open ? 'wait' : 'end';
  }

  available(): Promise<void> {
    return new Promise((resolve) => this.#context.clock.setTimer(PACE_MS, resolve));
  }

  snapshot(): readonly Split[] {
    return this.#splits.map(({ split, next }) => ({
      ...split,
      next: this.#hooks.positionOf(next, RECORDS_PER_SPLIT),
    }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function numbers(hooks: JobHooks): Source<Numbered, Split> {
  return {
    description: 'simulated numbers',
    schema: Numbered,
    splitSchema: Split,
    bounded: true,
    discoverSplits: () =>
      Promise.resolve(
        Array.from({ length: SPLITS }, (_, ordinal) => ({ id: `s${ordinal}`, ordinal, next: 0 })),
      ),
    createReader: (context) => new NumbersReader(context, hooks),
  };
}

/** A sink that pauses now and then, so that records queue up before it. */
function transactionalSink(
  store: SimulatedStore,
  owner: SimulatedProcess,
  hooks: JobHooks,
): Sink<OutputRecord, t.infer<typeof Transaction>> {
  return {
    description: 'simulated output',
    schema: Output,
    committableSchema: Transaction,
    createWriter: ({ subtask, attempt, clock }) => {
      let buffered: OutputRecord[] = [];
      let untilPause = PAUSE_EVERY_RECORDS;
      return Promise.resolve({
        write: (record: OutputRecord) => {
          buffered.push(record);
          untilPause--;
        },
        whenWritable: () => {
          if (untilPause > 0) return undefined;
          untilPause = PAUSE_EVERY_RECORDS;
          const pauseMs = hooks.sinkPauseMs();
          if (pauseMs === 0) return undefined;
          return new Promise((resolve) => clock.setTimer(pauseMs, resolve));
        },
        prepareCommit: async (checkpointId: number) => {
          const records = buffered;
          buffered = [];
          if (records.length === 0) return [];
          const id = `${subtask}-${attempt}-${checkpointId}`;
          await store.perform(owner, () => store.output.prepare(id, { subtask, attempt, records }));
          return [{ id }];
        },
        close: () => Promise.resolve(),
      });
    },
    createCommitter: (place) =>
      Promise.resolve({
        commit: (transactions: readonly { readonly id: string }[]) =>
          store.perform(owner, () => {
            for (const { id } of transactions) store.output.commit(id);
          }),
        recover: (pending: readonly { readonly id: string }[]) =>
          store.perform(owner, () =>
            store.output.discardOlder(place, new Set(pending.map(({ id }) => id))),
          ),
        close: () => Promise.resolve(),
      }),
  };
}

/** @param owner the slot's process: what the sink asks of the store is answered only while it lives */
export function buildJob(
  store: SimulatedStore,
  owner: SimulatedProcess,
  hooks: JobHooks,
): BuiltJob {
  const definition = job(
    'simulated',
    {
      checkpoint: {
        intervalMs: 24,
        timeoutMs: 300,
        retained: 2,
        minPauseMs: 5,
        tolerableFailures: 100,
        alignmentTimeoutMs: hooks.alignmentTimeoutMs,
      },
      restart: { kind: 'fixedDelay', attempts: 100, delayMs: 10 },
      bufferTimeoutMs: 4,
      watermarkIntervalMs: 9,
    },
    (environment) => {
      const records = environment.source('numbers', numbers(hooks), {
        watermarks: boundedOutOfOrderness((record) => record.at, 0),
      });
      records
        .keyBy((record) => record.key)
        .connect(records.filter('some', isBroadcast).broadcast({ told: mapState(Told) }))
        .process('count', {
          state: { seen: { kind: 'value', schema: t.float64 } },
          output: Output,
          onElement: (record, context) => {
            hooks.onElement();
            const seen = (context.state.seen.value() ?? 0) + 1;
            context.state.seen.update(seen);
            context.timers.registerEventTimeTimer(windowEnd(record.at));
            context.collect({ key: context.key, kind: 'count', value: seen });
          },
          onBroadcastElement: ({ split, index, at }, { broadcastState: { told } }) => {
            const name = `${split}-${index}`;
            told.put(name, { at, times: (told.get(name)?.times ?? 0) + 1 });
          },
          onTimer: (timestamp, context) => {
            const { key } = context;
            context.collect({ key, kind: 'timer', value: timestamp });
            let broadcast = 0;
            for (const [, { at, times }] of context.broadcastState.told.entries()) {
              if (at <= timestamp) broadcast += times;
            }
            context.collect({ key, kind: 'told', value: toldBy(timestamp, broadcast) });
          },
        })
        .sinkTo('out', transactionalSink(store, owner, hooks));
    },
  );
  return definition.build({});
}
