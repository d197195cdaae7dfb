/**
 * A fake worker that plays its part in a job: its tasks run, acknowledge, commit, finish and are
 * canceled as a worker's would, unless the script of a test says otherwise.
 */
import type { Attempt } from '../../core/execution-state.js';
import {
  TaskState,
  type DeploySlot,
  type Failure,
  type StateFile,
  type TaskId,
} from '../../proto/gen/millrace/v1/control.js';
import { FakeWorker, type Received } from './fake-worker.js';

export interface Script {
  /** Vertices of the job, each of the job's parallelism. */
  vertices: readonly string[];
  prepares: boolean;
  runs: boolean;
  acknowledges: boolean;
  commits: boolean;
  releases: boolean;
  /** @param prefix of the checkpoint or savepoint */
  files: (task: TaskId, checkpointId: number, prefix: string) => Promise<StateFile[]>;
}

export class ScriptedWorker extends FakeWorker {
  readonly script: Script = {
    vertices: ['numbers', 'out'],
    prepares: true,
    runs: true,
    acknowledges: true,
    commits: true,
    releases: true,
    files: () => Promise.resolve([]),
  };
  /** What runs here, by slice. */
  readonly deployed = new Map<number, DeploySlot>();
  /** Slots that it was told to prepare, in all. */
  prepared = 0;
  #killed = false;
  /** A slot is released only when its thread writes no more. */
  #uploading: Promise<void> = Promise.resolve();

  constructor(address: string, workerId: string, slots = 2) {
    super(address, workerId, { slots });
    this.onMessage = (message) => this.#play(message);
  }

  override kill(): void {
    this.#killed = true;
    super.kill();
  }

  attemptOf(slice: number): Attempt {
    const attempt = this.deployed.get(slice)?.attempt;
    if (attempt === undefined) throw new Error(`slice ${slice} isn't deployed to ${this.workerId}`);
    return attempt;
  }

  /** Reports one state of all tasks that run here. */
  reportAll(state: TaskState): void {
    for (const slice of this.deployed.keys()) this.report(slice, state);
  }

  report(slice: number, state: TaskState, failure?: Failure): void {
    const attempt = this.attemptOf(slice);
    for (const task of this.#tasksOf(slice)) {
      this.send({ $case: 'taskState', value: { attempt, task, state, failure } });
    }
  }

  async acknowledge(attempt: Attempt, checkpointId: number, prefix = ''): Promise<void> {
    for (const slice of this.deployed.keys()) {
      for (const task of this.#tasksOf(slice)) {
        const files = await this.script.files(task, checkpointId, prefix);
        const timings = {
          unaligned: false,
          startDelayMs: 1,
          alignmentMs: 2,
          syncMs: 3,
          asyncMs: 4,
        };
        const value = { attempt, checkpointId, task, files, timings };
        this.send({ $case: 'checkpointAcknowledged', value });
      }
    }
  }

  release(slice: number): void {
    const attempt = this.attemptOf(slice);
    this.deployed.delete(slice);
    this.freeSlots++;
    this.send({ $case: 'slotState', value: { attempt, slice, released: true } });
  }

  #tasksOf(subtask: number): TaskId[] {
    return this.script.vertices.map((vertex) => ({ vertex, subtask }));
  }

  #play(message: Received): void {
    const { script } = this;
    switch (message.$case) {
      case 'prepareSlots': {
        const { attempt, slots } = message.value;
        this.prepared += slots;
        if (script.prepares) this.send({ $case: 'slotsPrepared', value: { attempt } });
        break;
      }
      case 'deploySlot':
        this.deployed.set(message.value.slice, message.value);
        this.freeSlots--;
        if (script.runs) this.report(message.value.slice, TaskState.TASK_STATE_RUNNING);
        break;
      case 'triggerCheckpoint': {
        const { attempt, checkpointId, prefix } = message.value;
        if (script.acknowledges && attempt !== undefined) {
          this.#uploading = this.#uploading
            .then(() => this.acknowledge(attempt, checkpointId, prefix))
            .catch((error: unknown) => {
              // The folder goes with the test, whatever a killed worker was writing there.
              if (!this.#killed) throw error;
            });
        }
        break;
      }
      case 'notifyCheckpointComplete': {
        const { attempt, checkpointId } = message.value;
        if (!script.commits) break;
        for (const slice of this.deployed.keys()) {
          for (const task of this.#tasksOf(slice)) {
            this.send({ $case: 'checkpointCommitted', value: { attempt, checkpointId, task } });
          }
        }
        break;
      }
      case 'finishAttempt':
        if (message.value.attempt !== undefined) {
          void this.#endAll(TaskState.TASK_STATE_FINISHED, message.value.attempt);
        }
        break;
      case 'cancelAttempt':
        if (script.releases) {
          void this.#endAll(TaskState.TASK_STATE_CANCELED, message.value);
        }
        break;
      default:
        break;
    }
  }

  /** Of a job, this attempt and those before it. */
  async #endAll(state: TaskState, upTo: Pick<Attempt, 'jobId' | 'attempt'>): Promise<void> {
    await this.#uploading;
    for (const slice of [...this.deployed.keys()]) {
      const { jobId, attempt } = this.attemptOf(slice);
      if (jobId !== upTo.jobId || attempt > upTo.attempt) continue;
      this.report(slice, state);
      this.release(slice);
    }
  }
}
