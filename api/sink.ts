/**
 * The contract between a job and whatever it writes to. An exactly-once sink writes in two phases:
 * at a barrier the writer cuts off an epoch as committables, which are kept in the checkpoint; after
 * the checkpoint is complete, and again after any restore, the committer commits them. A writer must
 * never make anything visible by itself.
 */
import type { Schema } from '../core/schema.js';
import type { CheckContext, JobSettings, SourceContext } from './source.js';

export interface SinkContext extends SourceContext {
  readonly jobId: string;
  /** Execution attempt: what an older attempt left uncommitted belongs to nobody. */
  readonly attempt: number;
  /** The job whose checkpoint or savepoint this attempt restored, which may be this one; absent: none. */
  readonly restoredJobId?: string;
  readonly settings: JobSettings;
}

export interface SinkWriter<T, C> {
  /** Synchronous; may buffer. Throws when writing failed. */
  write(record: T, timestamp: number): void;
  /** A promise while the writer wants no more records (its buffer is full), else undefined. */
  whenWritable(): Promise<void> | undefined;
  /**
   * Cuts the epoch in the synchronous part of the call: records written after it belong to the next
   * one. Resolves, once the epoch's data is durable, with what has to be committed.
   */
  prepareCommit(checkpointId: number): Promise<readonly C[]>;
  /** Of what it prepared, these are committed: what the writer kept for them is free. */
  notifyCommitted?(committables: readonly C[]): void;
  close(): Promise<void>;
}

export interface Committer<C> {
  /** Makes the committables visible. Idempotent: called again after a restore, and after a lost answer. */
  commit(committables: readonly C[]): Promise<void>;
  /**
   * Called once before any record when an earlier attempt may have left something behind (a restore, or a
   * restart without a checkpoint): `pending` are this subtask's committables of the restored checkpoint, already
   * committed again. Whatever else earlier attempts left uncommitted is discarded. Earlier attempts may have had
   * more subtasks: what subtask s of theirs wrote is the business of subtask s % parallelism.
   */
  recover(pending: readonly C[]): Promise<void>;
  /**
   * The subtask ends, and these can never be committed: no checkpoint that holds them will be complete.
   * Without it, and after a crash, they stay until `recover` meets them.
   */
  discard?(orphans: readonly C[]): Promise<void>;
  close(): Promise<void>;
}

export interface Sink<T, C = unknown> {
  /** For people: `files alerts/`. */
  readonly description: string;
  /**
   * What it writes to, such as `topic "alerts" (Kafka at broker-1:9092)`, where another job of the same name is
   * refused while this one runs: what is submitted twice by mistake would write everything twice.
   */
  readonly exclusiveOutputs?: readonly string[];
  /** Schema of what it accepts; undefined: anything. */
  readonly schema?: Schema<T>;
  readonly committableSchema: Schema<C>;
  /** As that of a source. */
  check?(context: CheckContext): Promise<void>;
  createWriter(context: SinkContext): Promise<SinkWriter<T, C>>;
  createCommitter(context: SinkContext): Promise<Committer<C>>;
}
