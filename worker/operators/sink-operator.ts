/**
 * The sink operator: hands records to the connector's writer and runs its two-phase commit. At a
 * barrier it cuts the epoch and keeps its committables in the checkpoint; it commits only when the
 * checkpoint is complete, and once more after a restore.
 */
import type { Histogram } from '../../api/metrics.js';
import type { Committer, Sink, SinkContext, SinkWriter } from '../../api/sink.js';
import { isMillraceError, locateError, MillraceError } from '../../core/errors.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import type { PendingCommittable } from './operator-state.js';
import type { OperatorSnapshot } from './operator.js';

export interface SinkOperatorOptions {
  readonly name: string;
  readonly sink: Sink<unknown>;
  readonly context: SinkContext;
  /** This subtask's committables of the restored checkpoint; undefined: not restored. */
  readonly restored: readonly PendingCommittable[] | undefined;
}

export class SinkOperator extends AbstractStreamOperator {
  readonly #options: SinkOperatorOptions;
  readonly #pending: PendingCommittable[];
  #writer: SinkWriter<unknown, unknown> | undefined;
  #committer: Committer<unknown> | undefined;
  /**
   * Resolves once every epoch that was cut is pending. Rejected for good when one could not be
   * prepared: a checkpoint without its records would lose them.
   */
  #prepared: Promise<void> = Promise.resolve();
  /** Checkpoints with epochs of this subtask that are complete or may still become so. */
  readonly #mayComplete: Set<number>;
  /** Commits run one after another, in the order of their checkpoints. */
  #commits: Promise<void> = Promise.resolve();
  /** From the word that a checkpoint is complete until what it held is visible. */
  readonly #commitSeconds: Histogram;

  constructor(options: SinkOperatorOptions) {
    super(options.name);
    this.#options = options;
    this.#pending = [...(options.restored ?? [])];
    this.#commitSeconds = options.context.metrics.histogram('commit_seconds');
    this.#mayComplete = new Set(this.#pending.map(({ checkpointId }) => checkpointId));
  }

  override async open(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async #open(): Promise<void> {
    const { sink, context, restored } = this.#options;
    this.#committer = await sink.createCommitter(context);
    if (restored !== undefined || context.attempt > 1) {
      const committables = this.#pending.map((pending) => pending.committable);
      // The restored checkpoint is complete, whether or not its notification was ever heard.
      if (committables.length > 0) await this.#committer.commit(committables);
      this.#pending.length = 0;
      await this.#committer.recover(committables);
    }
    this.#writer = await sink.createWriter(context);
  }

  processElement(value: unknown, timestamp: number): void {
    try {
      this.#writer?.write(value, timestamp);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  processWatermark(): void {
    // Time ends here.
  }

  processWatermarkStatus(): void {
    // Nothing is downstream.
  }

  override suspended(): Promise<void> | undefined {
    return this.#writer?.whenWritable();
  }

  override snapshot(checkpointId: number): OperatorSnapshot {
    const cut = this.#writer?.prepareCommit(checkpointId) ?? Promise.resolve([]);
    const prepared = Promise.all([cut, this.#prepared]).then(([committables]) => {
      this.#pending.push(...committables.map((committable) => ({ checkpointId, committable })));
    });
    this.#prepared = prepared;
    this.#mayComplete.add(checkpointId);
    const entries = prepared.then(() => [...this.#pending]);
    // Whoever writes the checkpoint may give it up before it comes to these.
    entries.catch(() => undefined);
    return { operator: { entries } };
  }

  override notifyCheckpointComplete(checkpointId: number): Promise<void> {
    for (const earlier of this.#mayComplete) {
      if (earlier < checkpointId) this.#mayComplete.delete(earlier);
    }
    const { clock } = this.#options.context;
    const completedMs = clock.monotonic();
    this.#commits = this.#commits.then(async () => {
      const due = this.#pending.filter((pending) => pending.checkpointId <= checkpointId);
      if (due.length === 0) return;
      const committables = due.map((pending) => pending.committable);
      try {
        await this.#committer?.commit(committables);
      } catch (error) {
        throw this.#failed(error);
      }
      this.#commitSeconds.update((clock.monotonic() - completedMs) / 1_000);
      const done = new Set(due);
      const kept = this.#pending.filter((pending) => !done.has(pending));
      this.#pending.splice(0, this.#pending.length, ...kept);
      this.#writer?.notifyCommitted?.(committables);
    });
    return this.#commits;
  }

  /** Its epochs stay pending: they are committed with the next checkpoint, or discarded when there is none. */
  notifyCheckpointAborted(checkpointId: number): void {
    this.#mayComplete.delete(checkpointId);
  }

  override async close(): Promise<void> {
    // What failed was told when it did; here it only has to be over.
    await this.#prepared.catch(() => undefined);
    await this.#commits.catch(() => undefined);
    const last = Math.max(-Infinity, ...this.#mayComplete);
    const orphans = this.#pending.filter(({ checkpointId }) => checkpointId > last);
    if (orphans.length > 0) {
      await this.#committer?.discard?.(orphans.map(({ committable }) => committable));
    }
    await this.#writer?.close();
    await this.#committer?.close();
  }

  #failed(error: unknown): MillraceError {
    if (isMillraceError(error)) return locateError(error, { operator: this.name });
    const message = error instanceof Error ? error.message : String(error);
    return new MillraceError('OUTPUT_FAILED', `sink "${this.name}": ${message}`, {
      cause: error,
      location: { operator: this.name },
    });
  }
}
