/**
 * A task's part in a checkpoint (journey of a barrier: mailbox -> subtask checkpoint coordinator):
 * snapshot the operators in a short synchronous part, write the files in the background, and
 * acknowledge once every file is durable, never before. Runs that are files of a completed checkpoint
 * are named again and not uploaded; a savepoint has all of its state in files of its own.
 */
import { toMillraceError } from '../../core/errors.js';
import type { RecordCodec } from '../../core/record-codec.js';
import { isSavepointPrefix } from '../../core/savepoint-requests.js';
import type { StateFile } from '../../core/state-file.js';
import type { CheckpointBarrier } from '../network/buffer.js';
import type { OperatorSnapshot, StreamOperator } from '../operators/operator.js';
import { encodeEntries } from '../operators/operator-state.js';
import type { HeldRuns, Run } from '../state/run-services.js';
import type { ChannelState, WrittenChannelState } from './channel-state.js';
import type { CheckpointedRuns } from './checkpointed-runs.js';
import type { TaskEnvironment, TaskId } from './task-environment.js';

export interface SubtaskCheckpointCoordinatorOptions {
  readonly task: TaskId;
  readonly environment: TaskEnvironment;
  readonly operators: readonly Pick<StreamOperator, 'name' | 'snapshot'>[];
  /** Codecs of operator state, by operator; compiled once, since every checkpoint needs them. */
  readonly stateCodecs: ReadonlyMap<string, RecordCodec<unknown>>;
  /** Those that the task was restored from, if the job owns them. */
  readonly checkpointed: CheckpointedRuns;
}

const NOTHING_IN_FLIGHT: WrittenChannelState = { files: [], unaligned: false };

interface TakenSnapshot {
  readonly operator: string;
  readonly snapshot: OperatorSnapshot;
}

export class SubtaskCheckpointCoordinator {
  readonly #options: SubtaskCheckpointCoordinatorOptions;
  #aborted = 0;
  /** All that earlier checkpoints write; never rejects. */
  #written: Promise<void> = Promise.resolve();

  constructor(options: SubtaskCheckpointCoordinatorOptions) {
    this.#options = options;
  }

  /**
   * The barrier is aligned, or has overtaken, and is already sent on; takes the snapshot before this
   * call returns.
   * @param channels in-flight data, which may still gather; undefined: the barrier can't overtake
   */
  snapshot(
    barrier: CheckpointBarrier,
    startDelayMs: number,
    alignmentMs: number,
    channels: ChannelState | undefined,
  ): void {
    const { checkpointId } = barrier;
    const { task, environment, operators } = this.#options;
    // There is one checkpoint at a time, so earlier ones are complete or given up.
    this.abort(checkpointId - 1);
    const started = environment.clock.monotonic();
    const taken: TakenSnapshot[] = [];
    try {
      for (const operator of operators) {
        taken.push({ operator: operator.name, snapshot: operator.snapshot(checkpointId) });
      }
    } catch (error) {
      void holdAll(taken).then(releaseAll, () => undefined);
      environment.reports.declined(task, checkpointId, toMillraceError(error, 'CHECKPOINT_FAILED'));
      return;
    }
    for (const { snapshot } of taken) {
      // Awaited one after the other below: a failure before its turn must not count as unhandled.
      if (snapshot.operator?.entries instanceof Promise) {
        snapshot.operator.entries.catch(() => undefined);
      }
    }
    const syncMs = environment.clock.monotonic() - started;
    const asyncStarted = environment.clock.monotonic();
    const parts = [
      this.#write(barrier, taken, this.#written),
      channels?.write(barrier.prefix) ?? Promise.resolve(NOTHING_IN_FLIGHT),
    ] as const;
    // One that fails may do so before an earlier one has ended.
    const before = this.#written;
    this.#written = Promise.allSettled(parts).then(() => before);
    Promise.all(parts).then(
      ([files, overtaken]) => {
        if (this.#isAborted(checkpointId) || files === undefined || overtaken === undefined) return;
        const asyncMs = environment.clock.monotonic() - asyncStarted;
        environment.reports.acknowledged(task, checkpointId, [...files, ...overtaken.files], {
          unaligned: overtaken.unaligned,
          startDelayMs,
          alignmentMs,
          syncMs,
          asyncMs,
        });
      },
      (error: unknown) =>
        environment.reports.declined(
          task,
          checkpointId,
          toMillraceError(error, 'CHECKPOINT_FAILED'),
        ),
    );
  }

  /** The checkpoint is complete: what it holds need not be uploaded again. */
  complete(checkpointId: number): void {
    this.#options.checkpointed.completed(checkpointId);
  }

  /** The checkpoint was given up: write no more of it, and say nothing more about it. */
  abort(checkpointId: number): void {
    this.#aborted = Math.max(this.#aborted, checkpointId);
  }

  #isAborted(checkpointId: number): boolean {
    return checkpointId <= this.#aborted;
  }

  /** @returns undefined when the checkpoint was given up */
  async #write(
    { checkpointId, prefix }: CheckpointBarrier,
    taken: readonly TakenSnapshot[],
    before: Promise<void>,
  ): Promise<StateFile[] | undefined> {
    const held = await holdAll(taken);
    try {
      // Whoever acknowledges a checkpoint writes nothing more for an earlier one, so that its files can go.
      await before;
      const files: StateFile[] = [];
      for (const { operator, snapshot } of taken) {
        if (this.#isAborted(checkpointId)) return undefined;
        const runs = held.get(operator);
        if (runs !== undefined) {
          const written = isSavepointPrefix(prefix)
            ? this.#writeMerged(prefix, operator, runs)
            : this.#writeRuns(checkpointId, prefix, operator, runs);
          files.push(...(await written));
        }
        const entries = await this.#writeEntries(prefix, operator, snapshot);
        if (entries !== undefined) files.push(entries);
      }
      return files;
    } finally {
      releaseAll(held);
    }
  }

  /** The runs of an operator in their order, which is that of a restore; only new ones are uploaded. */
  async #writeRuns(
    checkpointId: number,
    prefix: string,
    operator: string,
    held: HeldRuns,
  ): Promise<readonly StateFile[]> {
    const { checkpointed, environment } = this.#options;
    const files: StateFile[] = [];
    for (const run of held.runs) {
      if (this.#isAborted(checkpointId)) break;
      let file = checkpointed.fileOf(operator, run);
      if (file === undefined) {
        file = await this.#upload(prefix, operator, held, run, String(files.length));
        await environment.local?.keep(run.name, file, checkpointId);
        checkpointed.uploaded(operator, run.name, file, checkpointId);
      }
      files.push(file);
    }
    checkpointed.keepOnly(operator, held.runs);
    return files;
  }

  async #writeMerged(
    prefix: string,
    operator: string,
    held: HeldRuns,
  ): Promise<readonly StateFile[]> {
    const merged = await held.merged();
    try {
      const files: StateFile[] = [];
      for (const run of merged.runs) {
        files.push(await this.#upload(prefix, operator, merged, run, String(files.length)));
      }
      return files;
    } finally {
      merged.release();
    }
  }

  async #upload(
    prefix: string,
    operator: string,
    held: HeldRuns,
    run: Run,
    name: string,
  ): Promise<StateFile> {
    const { task, environment } = this.#options;
    const bytes = held.open(run);
    const written = await environment.storage
      .write(prefix, `${operator}-${task.subtask}-keyed-${name}`, bytes.pieces())
      .finally(() => bytes.close());
    const { start: keyGroupStart, end: keyGroupEnd } = run.keyGroups;
    return { operator, kind: 'keyed', ...written, keyGroupStart, keyGroupEnd };
  }

  async #writeEntries(
    prefix: string,
    operator: string,
    { operator: state }: OperatorSnapshot,
  ): Promise<StateFile | undefined> {
    const { task, environment, stateCodecs } = this.#options;
    const codec = stateCodecs.get(operator);
    if (state === undefined || codec === undefined) return undefined;
    const bytes = encodeEntries(codec, await state.entries);
    const name = `${operator}-${task.subtask}-operator`;
    const written = await environment.storage.write(prefix, name, [bytes]);
    return { operator, kind: 'operator', ...written, keyGroupStart: 0, keyGroupEnd: 0 };
  }
}

/** The runs of each operator; should those of one fail, none are held. */
async function holdAll(taken: readonly TakenSnapshot[]): Promise<ReadonlyMap<string, HeldRuns>> {
  const settled = await Promise.allSettled(
    taken.map(async ({ snapshot }) => snapshot.keyed?.runs()),
  );
  const held = new Map<string, HeldRuns>();
  settled.forEach((result, index) => {
    const operator = taken[index]?.operator;
    if (operator === undefined || result.status === 'rejected') return;
    if (result.value !== undefined) held.set(operator, result.value);
  });
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed === undefined) return held;
  releaseAll(held);
  throw toMillraceError(failed.reason, 'CHECKPOINT_FAILED');
}

function releaseAll(held: ReadonlyMap<string, HeldRuns>): void {
  for (const runs of held.values()) runs.release();
}
