/**
 * What every exactly-once sink must keep: whatever crashes, and wherever, what readers see in the end
 * is each record of the input once. The contract plays a job of one subtask: it keeps committables as
 * the engine does (those of a checkpoint that failed, or whose notification was lost, ride with the
 * next) and rewinds the input to the restored checkpoint. A connector's test calls `sinkContract`.
 */
import type { SerialFn, TestFn } from 'ava';
import * as fc from 'fast-check';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../api/job.js';
import { unregisteredMetrics } from '../../api/metrics.js';
import type { Committer, Sink, SinkContext, SinkWriter } from '../../api/sink.js';
import { validate } from '../../core/schema-validate.js';
import { ManualClock } from '../manual-clock.js';

export interface ContractSink<T, C> {
  readonly sink: Sink<T, C>;
  /** For a sink that waits for another system; by default one that stands still. */
  readonly clock?: SinkContext['clock'];
  /** Record number `index` of the input. */
  readonly record: (index: number) => T;
  /** The indices of all records that a reader of the output sees now. */
  readonly read: () => Promise<readonly number[]>;
  readonly dispose: () => Promise<void>;
}

type Step =
  | { readonly kind: 'write'; readonly records: number }
  /** A checkpoint, and how far it gets before the crash that may follow. */
  | {
      readonly kind: 'checkpoint';
      readonly until: 'prepared' | 'completed' | 'committed' | 'committedTwice';
      readonly thenCrash: boolean;
    }
  | { readonly kind: 'crash'; readonly whilePreparing: boolean };

export const sinkStepsArbitrary: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('write' as const), records: fc.integer({ min: 1, max: 30 }) }),
    fc.record({
      kind: fc.constant('checkpoint' as const),
      until: fc.constantFrom('prepared', 'completed', 'committed', 'committedTwice'),
      thenCrash: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('crash' as const), whilePreparing: fc.boolean() }),
  ),
  { maxLength: 20 },
);

export function sinkContext(attempt: number, jobId = 'job-1', subtask = 0): SinkContext {
  const clock = new ManualClock();
  const settings = { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART };
  const metrics = unregisteredMetrics;
  return { operator: 'out', subtask, parallelism: 1, clock, metrics, jobId, attempt, settings };
}

function contextOf<T, C>({ clock }: ContractSink<T, C>, attempt: number): SinkContext {
  return { ...sinkContext(attempt), ...(clock === undefined ? {} : { clock }) };
}

interface Checkpoint<C> {
  readonly position: number;
  readonly committables: readonly C[];
}

class PlayedJob<T, C> {
  readonly #under: ContractSink<T, C>;
  #attempt = 0;
  #checkpointId = 0;
  #writer: SinkWriter<T, C> | undefined;
  #committer: Committer<C> | undefined;
  /** Writers of crashed attempts; they are closed when it can't matter any more. */
  readonly #crashed: SinkWriter<T, C>[] = [];
  #position = 0;
  /** Prepared, and not known to be committed. */
  #uncommitted: readonly C[] = [];
  #completed: Checkpoint<C> | undefined;

  constructor(under: ContractSink<T, C>) {
    this.#under = under;
  }

  get position(): number {
    return this.#position;
  }

  async start(): Promise<void> {
    const context = contextOf(this.#under, ++this.#attempt);
    this.#committer = await this.#under.sink.createCommitter(context);
    const { position, committables } = this.#completed ?? { position: 0, committables: [] };
    if (this.#completed !== undefined || this.#attempt > 1) {
      await this.#committer.commit(committables);
      await this.#committer.recover(committables);
    }
    this.#writer = await this.#under.sink.createWriter(context);
    this.#position = position;
    this.#uncommitted = [];
  }

  async write(records: number): Promise<void> {
    for (let left = records; left > 0; left--) {
      this.#writer?.write(this.#under.record(this.#position++), 0);
      await this.#writer?.whenWritable();
    }
  }

  async checkpoint(until: Extract<Step, { kind: 'checkpoint' }>['until']): Promise<void> {
    const [writer, committer] = [this.#writer, this.#committer];
    if (writer === undefined || committer === undefined) return;
    const position = this.#position;
    const preparing = writer.prepareCommit(++this.#checkpointId);
    // The epoch is cut in the synchronous part: this record belongs to the next one.
    writer.write(this.#under.record(this.#position++), 0);
    const prepared = await preparing;
    for (const committable of prepared) {
      const problem = validate(this.#under.sink.committableSchema, committable);
      if (problem !== undefined) throw new Error(`a committable its schema refuses: ${problem}`);
    }
    this.#uncommitted = [...this.#uncommitted, ...prepared];
    if (until === 'prepared') return;
    this.#completed = { position, committables: this.#uncommitted };
    if (until === 'completed') return;
    await committer.commit(this.#uncommitted);
    if (until === 'committedTwice') await committer.commit(this.#uncommitted);
    writer.notifyCommitted?.(this.#uncommitted);
    this.#uncommitted = [];
  }

  /** The process is gone: nothing is closed in time to matter. */
  async crash(whilePreparing: boolean): Promise<void> {
    if (this.#writer !== undefined) this.#crashed.push(this.#writer);
    if (whilePreparing)
      void this.#writer?.prepareCommit(++this.#checkpointId).catch(() => undefined);
    await this.start();
  }

  async finish(): Promise<void> {
    await this.checkpoint('committed');
    await this.checkpoint('committed');
    await this.#committer?.close();
  }

  async close(): Promise<void> {
    await this.#writer?.close();
    for (const writer of this.#crashed) await writer.close();
  }
}

/** Registers the contract's tests. @param numRuns fewer where a start takes long */
export function sinkContract<T, C>(
  test: TestFn | SerialFn,
  name: string,
  make: () => Promise<ContractSink<T, C>>,
  numRuns = 40,
): void {
  test(`${name}: each record once, whatever crashes at whatever step`, async (t) => {
    await fc.assert(
      fc.asyncProperty(sinkStepsArbitrary, async (steps) => {
        const under = await make();
        const job = new PlayedJob(under);
        try {
          await job.start();
          for (const step of steps) {
            if (step.kind === 'write') await job.write(step.records);
            else if (step.kind === 'crash') await job.crash(step.whilePreparing);
            else {
              await job.checkpoint(step.until);
              if (step.thenCrash) await job.crash(false);
            }
          }
          await job.finish();
          // The last checkpoint wrote one record behind its barrier, which nothing committed.
          const expected = [...Array(job.position - 1).keys()];
          const seen = [...(await under.read())].sort((a, b) => a - b);
          t.deepEqual(seen, expected);
        } finally {
          await job.close();
          await under.dispose();
        }
      }),
      { numRuns },
    );
    t.pass();
  });

  test(`${name}: nothing is seen before its commit, all of it after`, async (t) => {
    const under = await make();
    const writer = await under.sink.createWriter(contextOf(under, 1));
    const committer = await under.sink.createCommitter(contextOf(under, 1));
    for (let index = 0; index < 100; index++) writer.write(under.record(index), 0);
    const committables = await writer.prepareCommit(1);
    t.deepEqual(await under.read(), []);
    await committer.commit(committables);
    t.is((await under.read()).length, 100);
    t.deepEqual(await writer.prepareCommit(2), []);
    await writer.close();
    await committer.close();
    await under.dispose();
  });

  test(`${name}: recover discards what was never prepared, and what no checkpoint holds`, async (t) => {
    const under = await make();
    const writer = await under.sink.createWriter(contextOf(under, 1));
    writer.write(under.record(0), 0);
    const kept = await writer.prepareCommit(1);
    writer.write(under.record(1), 0);
    await writer.prepareCommit(2);
    writer.write(under.record(2), 0);
    const committer = await under.sink.createCommitter(contextOf(under, 2));
    await committer.commit(kept);
    await committer.recover(kept);
    await committer.commit(kept);
    t.deepEqual(await under.read(), [0]);
    await writer.close();
    await under.dispose();
  });
}
