/**
 * A task's part in a checkpoint (journey of a barrier: mailbox -> subtask checkpoint coordinator):
 * snapshot the operators in a short synchronous part, write the files in the background, and
 * acknowledge once every file is durable, never before.
 */
import { toMillraceError } from '../../core/errors.js';
import type { RecordCodec } from '../../core/record-codec.js';
import type { StateFile } from '../../core/state-file.js';
import type { CheckpointBarrier } from '../network/buffer.js';
import type { OperatorSnapshot, StreamOperator } from '../operators/operator.js';
import { encodeEntries } from '../operators/operator-state.js';
import type { ChannelState, WrittenChannelState } from './channel-state.js';
import type { KeyedStateSnapshot } from '../state/keyed-state-backend.js';
import type { TaskEnvironment, TaskId } from './task-environment.js';

export interface SubtaskCheckpointCoordinatorOptions {
  readonly task: TaskId;
  readonly environment: TaskEnvironment;
  readonly operators: readonly StreamOperator[];
  /** Codecs of operator state, by operator; compiled once, since every checkpoint needs them. */
  readonly stateCodecs: ReadonlyMap<string, RecordCodec<unknown>>;
}

const NOTHING_IN_FLIGHT: WrittenChannelState = { files: [], unaligned: false };

interface TakenSnapshot {
  readonly operator: string;
  readonly snapshot: OperatorSnapshot;
}

export class SubtaskCheckpointCoordinator {
  readonly #options: SubtaskCheckpointCoordinatorOptions;
  #aborted = 0;

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
    const started = environment.clock.monotonic();
    let taken: TakenSnapshot[];
    try {
      taken = operators.map((operator) => ({
        operator: operator.name,
        snapshot: operator.snapshot(checkpointId),
      }));
    } catch (error) {
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
    const inFlight = channels?.write(barrier.prefix) ?? NOTHING_IN_FLIGHT;
    Promise.all([this.#write(barrier.prefix, taken), inFlight]).then(
      ([files, overtaken]) => {
        if (checkpointId <= this.#aborted || overtaken === undefined) return;
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

  /** The checkpoint was given up: say nothing more about it. */
  abort(checkpointId: number): void {
    this.#aborted = Math.max(this.#aborted, checkpointId);
  }

  async #write(prefix: string, taken: readonly TakenSnapshot[]): Promise<StateFile[]> {
    const { task, environment, stateCodecs } = this.#options;
    const files: StateFile[] = [];
    for (const { operator, snapshot } of taken) {
      const { keyed, operator: entries } = snapshot;
      if (keyed !== undefined) files.push(...(await this.#writeRuns(prefix, operator, keyed)));
      const codec = stateCodecs.get(operator);
      if (entries !== undefined && codec !== undefined) {
        const bytes = encodeEntries(codec, await entries.entries);
        const name = `${operator}-${task.subtask}-operator`;
        const written = await environment.storage.write(prefix, name, bytes);
        files.push({ operator, kind: 'operator', ...written, keyGroupStart: 0, keyGroupEnd: 0 });
      }
    }
    return files;
  }

  /** The runs of an operator in their order, which is that of a restore. */
  async #writeRuns(
    prefix: string,
    operator: string,
    keyed: KeyedStateSnapshot,
  ): Promise<StateFile[]> {
    const { task, environment } = this.#options;
    const held = await keyed.runs();
    try {
      const files: StateFile[] = [];
      for (const run of held.runs) {
        const name = `${operator}-${task.subtask}-keyed-${files.length}`;
        const bytes = held.open(run);
        const written = await environment.storage
          .write(prefix, name, bytes.read(0, bytes.lengthBytes))
          .finally(() => bytes.close());
        const { start: keyGroupStart, end: keyGroupEnd } = run.keyGroups;
        files.push({ operator, kind: 'keyed', ...written, keyGroupStart, keyGroupEnd });
      }
      return files;
    } finally {
      held.release();
    }
  }
}
