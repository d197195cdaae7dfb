/**
 * Drives one operator the way its task does: records and marks only while it is not suspended, mail
 * between them, drain before a snapshot, and a fresh instance after a failure that has nothing but
 * the bytes of the last snapshot. It must never hand an object of one instance to the next.
 */
import { invariant } from '../../../core/errors.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import type { Schema } from '../../../core/schema.js';
import { decodeEntries, encodeEntries } from '../../../worker/operators/operator-state.js';
import type { OperatorOutput, StreamOperator } from '../../../worker/operators/operator.js';
import type { KeyedStateBackend } from '../../../worker/state/keyed-state-backend.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { ManualClock } from '../../manual-clock.js';
import { copyRuns, restoreRuns, testRuns, type RunCopies } from '../state/run-copies.js';
import { RecordedOutput, type Emission } from './recorded-output.js';

/** What an instance is made of; everything in it is its own. */
export interface OperatorSurroundings {
  readonly backend: KeyedStateBackend;
  readonly output: OperatorOutput;
  readonly clock: ManualClock;
  /** Operator state of the restored snapshot, decoded; undefined: not restored. */
  readonly restored: readonly unknown[] | undefined;
  /** 1, then one more after each failure. */
  readonly attempt: number;
  /** Runs `mail` between two steps, as a task's mailbox does. */
  readonly post: (mail: () => void) => void;
}

export interface OperatorHarnessOptions<Operator extends StreamOperator> {
  readonly create: (surroundings: OperatorSurroundings) => Operator;
  /** Of one entry of operator state; needed where the operator keeps some. */
  readonly entrySchema?: Schema<unknown>;
  /** For 'poll' steps. */
  readonly poll?: (operator: Operator) => void;
  /** The last watermark comes again after a restore, as from sources that remember theirs. */
  readonly repeatWatermark?: boolean;
}

export type Step =
  | { readonly kind: 'record'; readonly value: unknown; readonly timestamp: number }
  /** A record of the broadcast input. */
  | { readonly kind: 'broadcast'; readonly value: unknown; readonly timestamp: number }
  | { readonly kind: 'watermark'; readonly timestamp: number }
  | { readonly kind: 'status'; readonly idle: boolean }
  /** The clock goes on; timers of the clock and of processing time fire. */
  | { readonly kind: 'time'; readonly byMs: number }
  | { readonly kind: 'poll' };

/** What happens before the step at a position; each happens once. */
export interface Interruption {
  readonly at: number;
  readonly kind: 'checkpoint' | 'unheardCheckpoint' | 'failure';
}

interface Snapshot {
  readonly keyed: RunCopies | undefined;
  readonly entries: Uint8Array | undefined;
  /** The step that comes next, and what had come out until then. */
  readonly position: number;
  readonly emitted: number;
  readonly watermark: number;
  readonly nowMs: number;
}

const ALL_KEY_GROUPS = { start: 0, end: 128 };

export class OperatorHarness<Operator extends StreamOperator> {
  readonly #options: OperatorHarnessOptions<Operator>;
  readonly #emitted: Emission[] = [];
  readonly #mailbox: (() => void)[] = [];
  #onMail: () => void = () => undefined;
  #clock = new ManualClock();
  #output = new RecordedOutput();
  #operator: Operator | undefined;
  #attempt = 0;
  #checkpointId = 0;
  #watermark = -Infinity;
  #snapshot: Snapshot | undefined;

  private constructor(options: OperatorHarnessOptions<Operator>) {
    this.#options = options;
  }

  static async open<Operator extends StreamOperator>(
    options: OperatorHarnessOptions<Operator>,
  ): Promise<OperatorHarness<Operator>> {
    const harness = new OperatorHarness(options);
    await harness.#start();
    return harness;
  }

  get operator(): Operator {
    invariant(this.#operator !== undefined, 'the harness is open');
    return this.#operator;
  }

  get clock(): ManualClock {
    return this.#clock;
  }

  /** Everything that came out since the last call, in order. */
  take(): Emission[] {
    this.#collect();
    return this.#emitted.splice(0);
  }

  takeValues(): unknown[] {
    return this.take().flatMap((one) => (one.kind === 'record' ? [one.value] : []));
  }

  async apply(...steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#apply(step);
  }

  record(value: unknown, timestamp: number): Promise<void> {
    return this.apply({ kind: 'record', value, timestamp });
  }

  broadcast(value: unknown, timestamp: number): Promise<void> {
    return this.apply({ kind: 'broadcast', value, timestamp });
  }

  watermark(timestamp: number): Promise<void> {
    return this.apply({ kind: 'watermark', timestamp });
  }

  /** Everything taken in comes out. */
  async drain(): Promise<void> {
    const draining = this.operator.drain();
    if (draining !== undefined) await this.#untilSettled(draining);
  }

  /** A checkpoint whose notification the operator hears, or does not. */
  async checkpoint(heard = true, position = 0): Promise<void> {
    await this.drain();
    this.#collect();
    const { keyed, operator } = this.operator.snapshot(++this.#checkpointId);
    const entries = operator === undefined ? undefined : await operator.entries;
    this.#snapshot = {
      keyed: keyed === undefined ? undefined : await copyRuns(keyed),
      entries: entries === undefined ? undefined : this.#encode(entries),
      position,
      emitted: this.#emitted.length,
      watermark: this.#watermark,
      nowMs: this.#clock.now(),
    };
    if (heard) await this.operator.notifyCheckpointComplete(this.#checkpointId);
  }

  /**
   * The instance is lost with all that came out since the last snapshot, and a new one goes on from
   * there; from nothing when there was none.
   * @returns position of the step to go on with
   */
  async fail(): Promise<number> {
    this.#output = new RecordedOutput();
    this.#mailbox.length = 0;
    await this.operator.close();
    this.#output = new RecordedOutput();
    this.#emitted.length = this.#snapshot?.emitted ?? 0;
    await this.#start();
    return this.#snapshot?.position ?? 0;
  }

  /** Snapshot and fresh instance with nothing between. */
  async restart(): Promise<void> {
    await this.checkpoint();
    await this.fail();
  }

  /** All steps with the interruptions among them; a last checkpoint that is heard; what came out. */
  async run(
    steps: readonly Step[],
    interruptions: readonly Interruption[] = [],
  ): Promise<Emission[]> {
    const left = [...interruptions];
    let position = 0;
    while (position < steps.length) {
      const index = left.findIndex(({ at }) => at === position);
      const [interruption] = index < 0 ? [] : left.splice(index, 1);
      if (interruption?.kind === 'failure') {
        position = await this.fail();
      } else if (interruption !== undefined) {
        await this.checkpoint(interruption.kind === 'checkpoint', position);
      } else {
        const step = steps[position++];
        if (step !== undefined) await this.#apply(step);
      }
    }
    await this.checkpoint();
    await this.operator.close();
    return this.take();
  }

  async #start(): Promise<void> {
    const snapshot = this.#snapshot;
    const clock = new ManualClock(snapshot?.nowMs ?? 0);
    const output = this.#output;
    const attempt = ++this.#attempt;
    const runs = testRuns();
    const backend = new HeapKeyedStateBackend({
      operator: 'tested',
      keyGroups: ALL_KEY_GROUPS,
      maxParallelism: ALL_KEY_GROUPS.end,
      now: () => clock.now(),
      runs,
    });
    this.#clock = clock;
    const operator = this.#options.create({
      backend,
      output,
      clock,
      restored: this.#restoredEntries(),
      attempt,
      post: (mail) => {
        if (attempt !== this.#attempt) return;
        this.#mailbox.push(mail);
        this.#onMail();
      },
    });
    if (snapshot?.keyed !== undefined) restoreRuns(backend, runs, [snapshot.keyed]);
    this.#operator = operator;
    await operator.open();
    this.#watermark = snapshot?.watermark ?? -Infinity;
    if (this.#options.repeatWatermark === true && this.#watermark > -Infinity) {
      operator.processWatermark(this.#watermark);
      this.#proceed();
      this.#emitted.push(...output.take().filter(({ kind }) => kind !== 'watermark'));
    }
  }

  async #apply(step: Step): Promise<void> {
    this.#deliverMail();
    for (;;) {
      const suspended = this.operator.suspended();
      if (suspended === undefined) break;
      await this.#untilSettled(suspended);
    }
    switch (step.kind) {
      case 'record':
        this.operator.processElement?.(step.value, step.timestamp);
        break;
      case 'broadcast':
        this.operator.processBroadcastElement?.(step.value, step.timestamp);
        break;
      case 'watermark':
        this.#watermark = step.timestamp;
        this.operator.processWatermark(step.timestamp);
        this.#proceed();
        break;
      case 'status':
        this.operator.processWatermarkStatus(step.idle);
        break;
      case 'time':
        this.#clock.advance(step.byMs);
        this.#advanceProcessingTime(this.#clock.now());
        break;
      case 'poll':
        this.#options.poll?.(this.operator);
        break;
    }
    this.#deliverMail();
  }

  /** Everything that a watermark set off is done before anything else comes in. */
  #proceed(): void {
    let isMore = true;
    while (isMore) isMore = this.operator.proceed();
  }

  /** In as many calls as the operator wants for what is due. */
  #advanceProcessingTime(now: number): void {
    let next: number | undefined = now;
    while (next !== undefined && next <= now) next = this.operator.advanceProcessingTime(now);
  }

  /** Delivers mail as it comes until the promise is settled; no records meanwhile. */
  async #untilSettled(promise: Promise<void>): Promise<void> {
    let settled = false;
    const done = promise.finally(() => (settled = true));
    while (!settled) {
      const mail = new Promise<void>((resolve) => (this.#onMail = resolve));
      this.#deliverMail();
      await Promise.race([done, mail]);
    }
    await done;
  }

  #deliverMail(): void {
    for (let mail = this.#mailbox.shift(); mail !== undefined; mail = this.#mailbox.shift()) mail();
  }

  #collect(): void {
    this.#emitted.push(...this.#output.take());
  }

  #encode(entries: readonly unknown[]): Uint8Array {
    const { entrySchema } = this.#options;
    invariant(entrySchema !== undefined, 'an operator with state has a schema of its entries');
    return encodeEntries(compileRecordCodec(entrySchema), entries);
  }

  #restoredEntries(): readonly unknown[] | undefined {
    const { entrySchema } = this.#options;
    if (this.#snapshot === undefined) return undefined;
    const { entries } = this.#snapshot;
    return entries === undefined || entrySchema === undefined
      ? []
      : decodeEntries(entrySchema, entries, 'tested');
  }
}
