/**
 * A stand-in for the workers of a cluster: it takes part in checkpoints as tasks with incremental
 * state do, with chance in place of records. A task's state is a list of runs; a checkpoint uploads
 * the new ones, names again those that a checkpoint which it knows to be complete has uploaded, and
 * merges now and then. Its slots outlive the coordinator.
 */
import { keyGroupRange, type KeyGroupRange } from '../../core/key-group.js';
import { parseManifest } from '../../core/checkpoint-manifest.js';
import type { Attempt } from '../../core/execution-state.js';
import type { FromWorker, ToWorker } from '../../coordinator/worker-registry.js';
import {
  TaskState,
  type DeploySlot,
  type StateFile,
  type TaskId,
  type TriggerCheckpoint,
} from '../../proto/gen/millrace/v1/control.js';
import { BlobDigest } from '../../storage/blob-store.js';
import type { EventLoop } from '../simulation/event-loop.js';
import type { DurableStores } from './durable-stores.js';

export const MAX_PARALLELISM = 8;
export const VERTICES = ['numbers', 'out'] as const;
const SLOTS = 16;
/** More runs than this are merged. */
const RUNS_MAX = 5;
const NOTIFICATION_LOSS = 0.15;

interface Run {
  readonly bytes: Uint8Array;
  readonly range: KeyGroupRange;
  /** As it was uploaded last; undefined: not yet, or to another job's prefix. */
  file: StateFile | undefined;
  /** The checkpoint for which it was uploaded. */
  uploadedFor: number;
  /** That one is known to be complete, or this job was restored from it and owns it. */
  confirmed: boolean;
}

interface Task {
  readonly id: TaskId;
  readonly range: KeyGroupRange;
  runs: Run[];
  /** Uploads of one task follow each other. */
  uploading: number;
}

interface Slot {
  readonly deployed: DeploySlot & { readonly attempt: Attempt };
  readonly tasks: readonly Task[];
}

/** What the next checkpoint is to suffer. */
export type Trouble = 'none' | 'decline' | 'hang';

/** The coordinator's end of the session. */
export interface Coordinator {
  readonly alive: boolean;
  receive(message: FromWorker): void;
}

export class StandInWorker {
  trouble: Trouble = 'none';
  /** Files that were gone or damaged when a slot was restored. */
  readonly problems: string[] = [];
  /** How often a run was named again and not uploaded. */
  reused = 0;
  readonly #loop: EventLoop;
  readonly #stores: DurableStores;
  readonly #slots = new Map<string, Slot>();
  #coordinator: Coordinator | undefined;
  #files = 0;

  constructor(loop: EventLoop, stores: DurableStores) {
    this.#loop = loop;
    this.#stores = stores;
  }

  readonly description = {
    workerId: 'w1',
    slots: SLOTS,
    dataAddress: 'w1:1',
    httpAddress: 'w1:2',
    pid: 1,
    host: 'test',
  };

  /** A new session; what runs goes on running. */
  join(coordinator: Coordinator): void {
    this.#coordinator = coordinator;
  }

  receive(from: Coordinator, message: ToWorker): void {
    if (from !== this.#coordinator) return;
    switch (message.$case) {
      case 'heartbeatRequest': {
        const { sequence } = message.value;
        const freeSlots = SLOTS - this.#slots.size;
        return this.#send({ $case: 'heartbeat', value: { sequence, rssBytes: 1, freeSlots } });
      }
      case 'prepareSlots': {
        const { attempt } = message.value;
        return this.#send({ $case: 'slotsPrepared', value: { attempt } });
      }
      case 'deploySlot':
        return this.#deploy(message.value);
      case 'cancelAttempt': {
        const { jobId, attempt } = message.value;
        for (const slot of this.#slotsOf(jobId)) {
          if (slot.deployed.attempt.attempt <= attempt)
            this.#end(slot, TaskState.TASK_STATE_CANCELED);
        }
        return;
      }
      case 'finishAttempt':
        for (const slot of this.#slotsOf(message.value.attempt?.jobId ?? '')) {
          this.#end(slot, TaskState.TASK_STATE_FINISHED);
        }
        return;
      case 'triggerCheckpoint':
        return this.#trigger(message.value);
      case 'notifyCheckpointComplete':
        return this.#complete(message.value.attempt, message.value.checkpointId);
      default:
    }
  }

  /** Ends the job's input. */
  drain(jobId: string): void {
    for (const slot of this.#slotsOf(jobId)) this.#report(slot, TaskState.TASK_STATE_DRAINED);
  }

  fail(jobId: string): void {
    const [slot] = this.#slotsOf(jobId);
    if (slot !== undefined) this.#report(slot, TaskState.TASK_STATE_FAILED);
  }

  #slotsOf(jobId: string): readonly Slot[] {
    return [...this.#slots.values()].filter(({ deployed }) => deployed.attempt.jobId === jobId);
  }

  #deploy({ attempt, ...rest }: DeploySlot): void {
    if (attempt === undefined) return;
    const deployed = { ...rest, attempt };
    const tasks = VERTICES.map((vertex): Task => {
      const id = { vertex, subtask: rest.slice };
      const range = keyGroupRange(rest.slice, rest.parallelism, MAX_PARALLELISM);
      return { id, range, runs: this.#restore(deployed, vertex, range), uploading: 0 };
    });
    const slot = { deployed, tasks };
    this.#slots.set(`${attempt.jobId}/${attempt.attempt}/${rest.slice}`, slot);
    this.#later(() => this.#report(slot, TaskState.TASK_STATE_RUNNING));
  }

  #restore({ restore }: DeploySlot, vertex: string, range: KeyGroupRange): Run[] {
    if (restore === undefined) return [this.#newRun(range)];
    const { vertices } = parseManifest(restore.manifest);
    const files = vertices.flatMap(({ tasks }) => tasks.flatMap((task) => task.files));
    const runs = new Map<string, Run>();
    for (const file of files) {
      const bytes = this.#stores.verify(file.key, file);
      if (typeof bytes === 'string') {
        this.problems.push(`restoring ${restore.checkpointId}: ${bytes}`);
        continue;
      }
      const start = Math.max(file.keyGroupStart, range.start);
      const end = Math.min(file.keyGroupEnd, range.end);
      if (file.operator !== vertex || start >= end) continue;
      runs.set(`${file.key} ${start}`, {
        bytes,
        range: { start, end },
        file: restore.owned ? { ...file, keyGroupStart: start, keyGroupEnd: end } : undefined,
        uploadedFor: 0,
        confirmed: restore.owned,
      });
    }
    return [...runs.values()];
  }

  #newRun(range: KeyGroupRange): Run {
    const bytes = Buffer.from(`run ${this.#loop.random.next()}`);
    return { bytes, range, file: undefined, uploadedFor: 0, confirmed: false };
  }

  #trigger({ attempt, checkpointId, prefix }: TriggerCheckpoint): void {
    const { trouble } = this;
    this.trouble = 'none';
    const tasks = this.#slotsOf(attempt?.jobId ?? '').flatMap((slot) =>
      slot.deployed.attempt.attempt === attempt?.attempt
        ? slot.tasks.map((task) => ({ slot, task }))
        : [],
    );
    const unlucky = tasks[this.#loop.random.whole(0, Math.max(0, tasks.length - 1))];
    for (const { slot, task } of tasks) {
      const isUnlucky = task === unlucky?.task;
      this.#snapshot(slot, task, checkpointId, prefix, isUnlucky ? trouble : 'none');
    }
  }

  #snapshot(slot: Slot, task: Task, checkpointId: number, prefix: string, trouble: Trouble): void {
    const { random } = this.#loop;
    const isSavepoint = prefix.startsWith('savepoints/');
    if (!isSavepoint) this.#change(task);
    const whole: Run[] = [{ ...this.#merged(task.runs, task.range), file: undefined }];
    const files: StateFile[] = [];
    const uploads: { readonly key: string; readonly bytes: Uint8Array }[] = [];
    for (const run of isSavepoint ? whole : task.runs) {
      if (run.file !== undefined && run.confirmed) {
        this.reused++;
        files.push(run.file);
        continue;
      }
      const key = `${prefix}${task.id.vertex}-${task.id.subtask}-${++this.#files}`;
      run.file = fileOf(task.id.vertex, key, run);
      run.uploadedFor = checkpointId;
      run.confirmed = false;
      files.push(run.file);
      uploads.push({ key, bytes: run.bytes });
    }
    // A task that hangs goes on writing after the checkpoint was given up.
    const pauseMs = trouble === 'hang' ? 500 : random.next() * 3;
    task.uploading++;
    this.#upload(uploads, pauseMs, slot, () => {
      task.uploading--;
      this.#answer(slot, task, checkpointId, trouble === 'decline' ? undefined : files);
    });
  }

  /** One file after the other, as long as the slot's thread lives. */
  #upload(
    uploads: readonly { readonly key: string; readonly bytes: Uint8Array }[],
    pauseMs: number,
    slot: Slot,
    done: () => void,
  ): void {
    this.#loop.schedule(pauseMs, undefined, () => {
      if (![...this.#slots.values()].includes(slot)) return;
      const [next, ...others] = uploads;
      if (next === undefined) return done();
      this.#stores.blobs.set(next.key, next.bytes);
      this.#upload(others, pauseMs / 2, slot, done);
    });
  }

  #answer(slot: Slot, task: Task, checkpointId: number, files: StateFile[] | undefined): void {
    // What it writes for one checkpoint is over before it acknowledges a later one.
    if (task.uploading > 0) {
      return this.#loop.schedule(50, undefined, () =>
        this.#answer(slot, task, checkpointId, files),
      );
    }
    const { attempt } = slot.deployed;
    const { id } = task;
    if (files === undefined) {
      const failure = failureOf('CHECKPOINT_FAILED');
      const value = { attempt, checkpointId, task: id, failure };
      return this.#send({ $case: 'checkpointDeclined', value });
    }
    const timings = { unaligned: false, startDelayMs: 0, alignmentMs: 0, syncMs: 0, asyncMs: 0 };
    const value = { attempt, checkpointId, task: id, files, timings };
    this.#send({ $case: 'checkpointAcknowledged', value });
  }

  /** What happens to a task's state between two checkpoints. */
  #change(task: Task): void {
    const { random } = this.#loop;
    if (random.chance(0.7)) task.runs.push(this.#newRun(task.range));
    if (task.runs.length <= RUNS_MAX && !random.chance(0.2)) return;
    const from = random.whole(0, Math.max(0, task.runs.length - 2));
    const to = task.runs.length > RUNS_MAX ? task.runs.length : random.whole(from + 1, from + 3);
    const merged = this.#merged(task.runs.slice(from, to), task.range);
    task.runs.splice(from, Math.min(to, task.runs.length) - from, merged);
  }

  #merged(runs: readonly Run[], range: KeyGroupRange): Run {
    const bytes = Buffer.concat(runs.map((run) => run.bytes.subarray(-40)));
    return { bytes, range, file: undefined, uploadedFor: 0, confirmed: false };
  }

  #complete(attempt: Attempt | undefined, checkpointId: number): void {
    if (attempt === undefined || this.#loop.random.chance(NOTIFICATION_LOSS)) return;
    for (const { deployed, tasks } of this.#slotsOf(attempt.jobId)) {
      if (deployed.attempt.attempt !== attempt.attempt) continue;
      for (const task of tasks) {
        for (const run of task.runs) run.confirmed ||= run.uploadedFor === checkpointId;
        const value = { attempt: deployed.attempt, checkpointId, task: task.id };
        this.#send({ $case: 'checkpointCommitted', value });
      }
    }
  }

  #end(slot: Slot, state: TaskState): void {
    this.#later(() => {
      const { attempt, slice } = slot.deployed;
      if (!this.#slots.delete(`${attempt.jobId}/${attempt.attempt}/${slice}`)) return;
      this.#report(slot, state);
      this.#send({ $case: 'slotState', value: { attempt, slice, released: true } });
    });
  }

  #report({ deployed: { attempt }, tasks }: Slot, state: TaskState): void {
    const failure =
      state === TaskState.TASK_STATE_FAILED ? failureOf('USER_CODE_FAILED') : undefined;
    for (const { id: task } of tasks) {
      this.#send({ $case: 'taskState', value: { attempt, task, state, failure } });
    }
  }

  #later(act: () => void): void {
    this.#loop.schedule(this.#loop.random.next() * 20, undefined, act);
  }

  #send(message: FromWorker): void {
    const coordinator = this.#coordinator;
    this.#loop.schedule(0.5, undefined, () => {
      if (coordinator?.alive === true) coordinator.receive(message);
    });
  }
}

function fileOf(operator: string, key: string, { bytes, range }: Run): StateFile {
  const digest = new BlobDigest();
  digest.update(bytes);
  const { start: keyGroupStart, end: keyGroupEnd } = range;
  return { operator, kind: 'keyed', key, ...digest.finish(), keyGroupStart, keyGroupEnd };
}

function failureOf(code: string): {
  code: string;
  message: string;
  stack: string;
  operator: string;
  worker: string;
} {
  return { code, message: `${code}: chance; try again`, stack: '', operator: '', worker: '' };
}
