/**
 * A task: one subtask of a vertex as a state machine that is driven by turns (journeys of a record
 * and of a barrier: input gate -> stream task -> operator chain). A turn handles at most one batch
 * and never waits; whatever has to wait suspends the task, which asks for a turn when it can go on.
 */
import { isMillraceError, locateError, toMillraceError } from '../../core/errors.js';
import type { DecodedChunk, RecordCodec } from '../../core/record-codec.js';
import type { CheckpointBarrier, RecordBatch, RecordChunk } from '../network/buffer.js';
import type { GateItem, InputGate } from '../network/input-gate.js';
import type { SourceOperator } from '../operators/source-operator.js';
import { AlignmentTimer } from './alignment-timer.js';
import type { ChannelCatalog } from './channel-catalog.js';
import type { CollectBatch } from './chain-compiler.js';
import { ChannelState } from './channel-state.js';
import type { OperatorChain } from './operator-chain.js';
import type { SubtaskCheckpointCoordinator } from './subtask-checkpoint-coordinator.js';
import type { TaskEnvironment, TaskId } from './task-environment.js';

/** Pieces of work, of about a thousand results each, that are put out beyond what outputs have room for. */
const HASTENED_MAX = 64;

interface GateInput {
  readonly kind: 'gate';
  readonly gate: InputGate;
  /** Codec of each input edge; undefined where records never come encoded. */
  readonly codecs: readonly (RecordCodec<unknown> | undefined)[];
}

export interface StreamTaskOptions {
  readonly id: TaskId;
  readonly environment: TaskEnvironment;
  readonly chain: OperatorChain;
  readonly checkpoints: SubtaskCheckpointCoordinator;
  readonly catalog: ChannelCatalog;
  /** A task has either a source or a gate. */
  readonly input: { readonly kind: 'source'; readonly source: SourceOperator } | GateInput;
}

/** Where a task's time went since it started, ms. */
export interface TaskTimes {
  readonly busyMs: number;
  readonly backPressuredMs: number;
}

export class StreamTask {
  readonly id: TaskId;
  readonly #options: StreamTaskOptions;
  readonly #mailbox: (() => void)[] = [];
  readonly #chunk: DecodedChunk<unknown> = {
    values: [],
    timestamps: new Float64Array(0),
    count: 0,
  };
  #state: 'created' | 'running' | 'drained' | 'ended' = 'created';
  readonly #alignment: AlignmentTimer;
  /** Promises that have to resolve before the next batch. */
  #waiting = 0;
  /** Those of them after which a checkpoint is taken or the data ends. */
  #draining = 0;
  /** The latest checkpoint that was snapshotted. */
  #snapshotted = 0;
  /** Pieces of work done since the last snapshot for the sake of a barrier that overtakes. */
  #hastened = 0;
  /** In-flight data of the latest checkpoint that may overtake. */
  #channels: ChannelState | undefined;
  #sourceStopped = false;
  #nextProcessingTime: number | undefined;
  #busyMs = 0;
  #backPressuredMs = 0;
  #backPressuredSince: number | undefined;

  constructor(options: StreamTaskOptions) {
    this.id = options.id;
    this.#options = options;
    const { clock, wake } = options.environment;
    this.#alignment = new AlignmentTimer(clock, wake);
  }

  get watermark(): number {
    const { input } = this.#options;
    return input.kind === 'gate' ? input.gate.watermark : input.source.watermark;
  }

  get chain(): OperatorChain {
    return this.#options.chain;
  }

  times(): TaskTimes {
    const since = this.#backPressuredSince;
    const now = this.#options.environment.clock.monotonic();
    return {
      busyMs: this.#busyMs,
      backPressuredMs: this.#backPressuredMs + (since === undefined ? 0 : now - since),
    };
  }

  /** Opens the operators, consumers first. The task takes turns once this resolves. */
  async open(): Promise<void> {
    for (const operator of [...this.#options.chain.operators].reverse()) await operator.open();
    if (this.#state !== 'created') return;
    this.#state = 'running';
    this.#options.environment.reports.running(this.id);
    this.#options.environment.wake();
  }

  /** Runs `mail` in the task's thread of control, between batches. */
  post(mail: () => void): void {
    this.#mailbox.push(mail);
    this.#options.environment.wake();
  }

  /** The coordinator asks a source for a checkpoint. Tasks with inputs wait for their barriers instead. */
  triggerCheckpoint(barrier: CheckpointBarrier): void {
    this.post(() => this.#takeCheckpoint(barrier, 0));
  }

  /** A barrier that may overtake has come to the task, whatever stands before it. */
  announce(barrier: CheckpointBarrier): void {
    this.#alignment.announce(barrier);
  }

  notifyCheckpointComplete(checkpointId: number): void {
    const { chain, checkpoints, environment } = this.#options;
    checkpoints.complete(checkpointId);
    Promise.all(chain.operators.map((operator) => operator.notifyCheckpointComplete(checkpointId)))
      .then(() => environment.reports.committed(this.id, checkpointId))
      .catch((error: unknown) => this.fail(error));
  }

  notifyCheckpointAborted(checkpointId: number): void {
    for (const operator of this.#options.chain.operators) {
      operator.notifyCheckpointAborted?.(checkpointId);
    }
    this.post(() => {
      this.#options.checkpoints.abort(checkpointId);
      this.#alignment.settle(checkpointId);
      if (this.#snapshotted <= checkpointId) this.#channels?.abandon();
      const { input } = this.#options;
      if (input.kind === 'gate') input.gate.abortAlignment(checkpointId);
    });
  }

  /** Ends the task with an error; the first one counts. */
  fail(error: unknown): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#nextProcessingTime = undefined;
    const located = locateError(toMillraceError(error), {
      subtask: this.id.subtask,
      ...(isMillraceError(error) && error.location?.operator !== undefined
        ? {}
        : { operator: this.id.vertex }),
    });
    this.#options.environment.reports.failed(this.id, located);
  }

  async close(): Promise<void> {
    this.#state = 'ended';
    this.#alignment.stop();
    for (const operator of this.#options.chain.operators) await operator.close();
  }

  /** Does at most one batch of work. Returns whether there may be more to do at once. */
  turn(): boolean {
    if (this.#state === 'created' || this.#state === 'ended') return false;
    const { clock } = this.#options.environment;
    const started = clock.monotonic();
    let worked = false;
    try {
      worked = this.#step();
    } catch (error) {
      this.fail(error);
    }
    if (worked) this.#busyMs += clock.monotonic() - started;
    return worked;
  }

  /** Sends chunks that have waited long enough. */
  flush(): void {
    for (const writer of this.#options.chain.writers) writer.flush(true);
  }

  get hasOpenChunk(): boolean {
    return this.#options.chain.writers.some((writer) => writer.hasOpenChunk);
  }

  /** When the task wants a turn for the sake of processing time, ms since the epoch. */
  get nextProcessingTime(): number | undefined {
    return this.#nextProcessingTime;
  }

  #step(): boolean {
    // Asked for anew below. A task that waits for credits or a promise is woken by those, and an
    // alarm that is overdue would only make its slot spin.
    this.#nextProcessingTime = undefined;
    const mail = this.#mailbox.shift();
    if (mail !== undefined) {
      mail();
      return true;
    }
    const overtaking = this.#alignment.expired;
    if (overtaking !== undefined && this.#overtake(overtaking)) return true;
    if (this.#waiting > 0) return false;
    if (this.#isOutputFull()) return false;
    const suspended = this.#options.chain.suspended();
    if (suspended !== undefined) {
      this.#suspend(suspended);
      return false;
    }
    if (this.#options.chain.proceed()) return true;
    this.#advanceProcessingTime();
    const worked = this.#options.input.kind === 'source' ? this.#pollSource() : this.#pollGate();
    if (!worked) for (const writer of this.#options.chain.writers) writer.flush(false);
    return worked;
  }

  #isOutputFull(): boolean {
    for (const writer of this.#options.chain.writers) {
      if (writer.isFull) {
        this.#backPressuredSince ??= this.#options.environment.clock.monotonic();
        return true;
      }
    }
    if (this.#backPressuredSince !== undefined) {
      this.#backPressuredMs +=
        this.#options.environment.clock.monotonic() - this.#backPressuredSince;
      this.#backPressuredSince = undefined;
    }
    return false;
  }

  #pollSource(): boolean {
    const { input } = this.#options;
    if (input.kind !== 'source' || this.#sourceStopped || this.#state === 'drained') return false;
    const result = input.source.poll();
    if (result === 'end') {
      this.#endOfData();
      return true;
    }
    return result === 'more';
  }

  #pollGate(): boolean {
    const { input } = this.#options;
    if (input.kind !== 'gate') return false;
    const item = input.gate.poll();
    if (item === undefined) return false;
    this.#handle(item, input);
    return true;
  }

  #handle(item: GateItem, { codecs }: GateInput): void {
    const { chain } = this.#options;
    switch (item.kind) {
      case 'records':
        this.#processRecords(
          item.records,
          codecs[item.input],
          item.broadcast ? chain.collectBroadcastBatch : chain.collectBatch,
        );
        break;
      case 'watermark':
        chain.processWatermark(item.timestamp);
        break;
      case 'watermarkStatus':
        chain.processWatermarkStatus(item.idle);
        break;
      case 'barrier':
        this.#takeCheckpoint(item.barrier, item.alignmentMs);
        break;
      case 'abandoned':
        this.#options.checkpoints.abort(item.checkpointId);
        break;
      case 'endOfData':
        this.#endOfData();
        break;
    }
  }

  #processRecords(
    records: RecordBatch | RecordChunk,
    codec: RecordCodec<unknown> | undefined,
    collectBatch: CollectBatch | undefined,
  ): void {
    if (records.kind === 'batch') {
      collectBatch?.(records.values, records.timestamps, records.values.length);
      return;
    }
    const chunk = codec?.decode(records.bytes, this.#chunk);
    if (chunk !== undefined) collectBatch?.(chunk.values, chunk.timestamps, chunk.count);
  }

  /** Everything before the barrier comes out of the chain, then the barrier goes on, then the snapshot is taken. */
  #takeCheckpoint(barrier: CheckpointBarrier, alignmentMs: number): void {
    if (barrier.stopAfter) this.#sourceStopped = true;
    // It may have to wait in the outputs, too.
    this.announce(barrier);
    this.#drainThen(() => {
      const { checkpointId } = barrier;
      if (barrier.alignmentTimeoutMs === null) {
        this.#channels?.abandon();
        this.#options.chain.broadcast(barrier);
        this.#snapshot(barrier, alignmentMs, undefined);
        return;
      }
      const channels = this.#channelState(false);
      this.#emitBarrier(barrier, channels);
      if (this.#alignment.expired === checkpointId) this.#overtakeOutputs(checkpointId);
      this.#snapshot(barrier, alignmentMs, channels);
    });
  }

  /**
   * Lets the barrier of a checkpoint go ahead of all that is queued: the snapshot is taken now, and
   * what was overtaken becomes part of it. Work that no snapshot describes is got done before, even
   * though the outputs are full, as far as their memory bears it.
   * @returns false when nothing could be done now
   */
  #overtake(checkpointId: number): boolean {
    const { input, chain } = this.#options;
    if (this.#snapshotted >= checkpointId) {
      this.#overtakeOutputs(checkpointId);
      return true;
    }
    if (input.kind === 'source' || this.#draining > 0) return false;
    if (!chain.canSnapshot()) {
      if (this.#hastened === HASTENED_MAX) return false;
      this.#hastened++;
      chain.proceed();
      return true;
    }
    const { gate } = input;
    if (!gate.mayOvertake(checkpointId) && this.#processBroadcast(input)) return true;
    if (!gate.mayOvertake(checkpointId)) return false;
    this.#drainThen(() => {
      const channels = this.#channelState(true);
      const overtaking = gate.overtake(checkpointId, channels);
      // Aligned in the meantime, and to be taken from the gate, or given up.
      if (overtaking === undefined) return this.#alignment.settle(checkpointId);
      this.#emitBarrier(overtaking.barrier, channels);
      this.#overtakeOutputs(checkpointId);
      this.#snapshot(overtaking.barrier, overtaking.alignmentMs, channels);
    });
    return true;
  }

  /**
   * Does a piece of what stands between the barrier and its checkpoint when it may overtake everything else: the
   * broadcast records before it, which are in no checkpoint. As a rule nothing comes of them, so they are processed
   * even when nothing may come out, as far as memory bears it.
   */
  #processBroadcast(input: GateInput): boolean {
    const { chain } = this.#options;
    const isHastened = this.#waiting > 0 || this.#isOutputFull() || chain.suspended() !== undefined;
    if (isHastened && this.#hastened === HASTENED_MAX) return false;
    if (!chain.proceed()) {
      const item = input.gate.poll('broadcast');
      if (item === undefined) return false;
      this.#handle(item, input);
    }
    if (isHastened) this.#hastened++;
    return true;
  }

  #channelState(overtakesInput: boolean): ChannelState {
    const { id, catalog, chain, environment } = this.#options;
    const outputs = chain.writers.reduce((sum, { subpartitions }) => sum + subpartitions.length, 0);
    // Of an older checkpoint, if its barrier still waits: a newer one has begun.
    this.#channels?.abandon();
    const { storage } = environment;
    this.#channels = new ChannelState({ task: id, catalog, storage, overtakesInput, outputs });
    return this.#channels;
  }

  #emitBarrier(barrier: CheckpointBarrier, channels: ChannelState): void {
    for (const { subpartitions } of this.#options.chain.writers) {
      for (const subpartition of subpartitions) {
        subpartition.emitBarrier(barrier, (overtaken) =>
          channels.sent(subpartition.channel, overtaken),
        );
      }
    }
  }

  #overtakeOutputs(checkpointId: number): void {
    for (const { subpartitions, mayOvertake } of this.#options.chain.writers) {
      if (!mayOvertake) continue;
      for (const subpartition of subpartitions) subpartition.overtake(checkpointId);
    }
    this.#alignment.settle(checkpointId);
  }

  #snapshot(
    barrier: CheckpointBarrier,
    alignmentMs: number,
    channels: ChannelState | undefined,
  ): void {
    const { checkpoints, environment } = this.#options;
    this.#snapshotted = barrier.checkpointId;
    this.#hastened = 0;
    // Until the first barrier arrived here; clocks of two machines may differ, so never below 0.
    const startDelayMs = Math.max(0, environment.clock.now() - barrier.triggeredAtMs - alignmentMs);
    checkpoints.snapshot(barrier, startDelayMs, alignmentMs, channels);
  }

  #endOfData(): void {
    this.#drainThen(() => {
      this.#options.chain.broadcast({ kind: 'endOfData' });
      this.#state = 'drained';
      this.#options.environment.reports.drained(this.id);
    });
  }

  /** Acts once everything taken in has come out of the chain; nothing more is taken in until then. */
  #drainThen(action: () => void): void {
    const draining = this.#options.chain.drain();
    if (draining === undefined) return action();
    this.#draining++;
    this.#suspend(
      draining.then(() => {
        this.#draining--;
        if (this.#state !== 'ended') action();
      }),
    );
  }

  #advanceProcessingTime(): void {
    const now = this.#options.environment.clock.now();
    let earliest: number | undefined;
    for (const operator of this.#options.chain.operators) {
      const wanted = operator.advanceProcessingTime(now);
      if (wanted !== undefined && (earliest === undefined || wanted < earliest)) earliest = wanted;
    }
    this.#nextProcessingTime = earliest;
  }

  #suspend(promise: Promise<void>): void {
    this.#waiting++;
    promise.then(
      () => {
        this.#waiting--;
        this.#options.environment.wake();
      },
      (error: unknown) => this.fail(error),
    );
  }
}
