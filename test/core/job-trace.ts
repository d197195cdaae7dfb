/**
 * Drives the job decider by hand and writes down, line by line, what it was told and what it asked
 * for. The traces are kept in test/golden; MILLRACE_REWRITE=1 writes them anew.
 */
import type { ExecutionContext } from 'ava';
import type { ErrorCode } from '../../core/errors.js';
import { attemptOf } from '../../core/execution-graph.js';
import type { Stamp, TaskId } from '../../core/execution-state.js';
import {
  createJobDecider,
  stepJob,
  wakeAtMs,
  type JobDeciderOptions,
  type JobDeciderState,
  type JobEffect,
  type JobEvent,
} from '../../core/job-decider.js';
import { matchesGolden } from '../golden.js';
import { EXACTLY_TWO, fileOf, locationOf, stampAt, STREAM_GRAPH, TIMINGS } from './job-fixture.js';

type WithoutStamp<E> = E extends Stamp ? Omit<E, keyof Stamp> : never;

function text(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value);
  if (value instanceof Map) return `[${[...value.keys()].map(String).join(' ')}]`;
  if (Array.isArray(value)) return `[${value.map(text).join(' ')}]`;
  const fields = value as Readonly<Record<string, unknown>>;
  if ('vertex' in fields && 'subtask' in fields) {
    return `${String(fields['vertex'])}/${String(fields['subtask'])}`;
  }
  if ('epoch' in fields && 'attempt' in fields && !('streamGraph' in fields)) {
    return `${String(fields['attempt'])}@${String(fields['epoch'])}`;
  }
  if ('streamGraph' in fields) return 'manifest';
  if ('workerId' in fields) return String(fields['workerId']);
  if ('message' in fields) return `"${String(fields['message'])}"`;
  if ('checkpointId' in fields && 'prefix' in fields) return `#${String(fields['checkpointId'])}`;
  return describe(fields);
}

/** What tasks acknowledge is too much to show; blob keys are few. */
function isFiles(value: unknown): boolean {
  const [first] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  return typeof first === 'object' && first !== null && 'sha256' in first;
}

function describe(fields: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(fields).filter(
    ([name, value]) =>
      value !== undefined &&
      !['kind', 'nowMs', 'wallMs', 'timings'].includes(name) &&
      !isFiles(value),
  );
  return shown.map(([name, value]) => `${name}=${text(value)}`).join(' ');
}

export class JobTrace {
  readonly lines: string[] = [];
  state: JobDeciderState;
  nowMs = 0;
  #checkpointId = 0;

  constructor(options: Partial<JobDeciderOptions> = {}) {
    this.state = createJobDecider({
      jobId: 'j1',
      epoch: 1,
      streamGraph: STREAM_GRAPH,
      scaling: EXACTLY_TWO,
      ...options,
    });
    this.#checkpointId = this.state.checkpoints.triggeredId;
  }

  /** Of the current attempt. */
  get tasks(): readonly TaskId[] {
    return [...this.state.execution.tasks.values()].map(({ task }) => task);
  }

  /** What the job could have from now on. */
  slots(slots: number, ...leaving: readonly string[]): readonly JobEffect[] {
    const resources = { slots, slotsTotal: slots, leaving, changedAtMs: this.nowMs };
    return this.tell({ kind: 'resourcesChanged', resources });
  }

  say(comment: string): void {
    this.lines.push('', `# ${comment}`);
  }

  tell(event: WithoutStamp<JobEvent>): readonly JobEffect[] {
    const before = this.state.execution.status;
    const stamped = { ...event, ...stampAt(this.nowMs) };
    const { state, effects } = stepJob(this.state, stamped);
    this.state = state;
    this.lines.push(`${String(this.nowMs).padStart(6)} ${event.kind} ${describe(event)}`.trimEnd());
    if (state.execution.status !== before) {
      this.lines.push(`         job ${before} -> ${state.execution.status}`);
    }
    for (const effect of effects) {
      this.lines.push(`         => ${effect.kind} ${describe(effect)}`.trimEnd());
    }
    return effects;
  }

  /** Lets time pass until the decider next wants to be woken. */
  wake(): readonly JobEffect[] {
    this.nowMs = Math.max(this.nowMs, wakeAtMs(this.state) ?? this.nowMs);
    return this.tell({ kind: 'timerElapsed' });
  }

  /** Prepares, schedules and runs the next attempt on the given workers. */
  start(...workers: readonly string[]): void {
    const { attempt } = this.state.execution;
    this.tell({ kind: 'attemptPrepared', attempt });
    this.tell({ kind: 'slotsGranted', attempt, slices: workers.map(locationOf) });
    this.allTasks('RUNNING');
  }

  allTasks(state: 'RUNNING' | 'DRAINED' | 'FINISHED'): void {
    for (const task of this.tasks) this.task(task, state);
  }

  task(task: TaskId, state: 'RUNNING' | 'DRAINED' | 'FINISHED' | 'CANCELED'): void {
    this.tell({ kind: 'taskState', attempt: attemptOf(this.state.execution), task, state });
  }

  taskFailed(task: TaskId, code: ErrorCode, message: string): void {
    const failure = { code, message: `${code}: ${message}` };
    const attempt = attemptOf(this.state.execution);
    this.tell({ kind: 'taskState', attempt, task, state: 'FAILED', failure });
  }

  releaseSlots(): void {
    for (const { slice } of this.state.execution.slots) {
      const attempt = attemptOf(this.state.execution);
      this.tell({ kind: 'slotState', attempt, slice, released: true });
    }
  }

  /** Answers an id request with the next id. */
  allocate(): number {
    const { attempt } = this.state.execution;
    const { savepoint } = this.state.checkpoints.pending ?? {};
    const asked = savepoint === undefined ? {} : { savepointId: savepoint.savepointId };
    this.tell({ kind: 'idAllocated', attempt, checkpointId: ++this.#checkpointId, ...asked });
    return this.#checkpointId;
  }

  acknowledge(checkpointId: number, tasks: readonly TaskId[] = this.tasks): void {
    for (const task of tasks) {
      this.tell({
        kind: 'acknowledged',
        attempt: attemptOf(this.state.execution),
        checkpointId,
        task,
        files: [fileOf(task, checkpointId, this.state.checkpoints.pending?.prefix)],
        timings: TIMINGS,
      });
    }
  }

  /** From the id to the compare-and-set. */
  checkpoint(): number {
    const checkpointId = this.allocate();
    this.acknowledge(checkpointId);
    this.tell({ kind: 'manifestWritten', checkpointId });
    this.tell({ kind: 'completed', checkpointId });
    return checkpointId;
  }

  commit(checkpointId: number, tasks: readonly TaskId[] = this.tasks): void {
    for (const task of tasks) {
      this.tell({
        kind: 'committed',
        attempt: attemptOf(this.state.execution),
        checkpointId,
        task,
      });
    }
  }

  /** Compares with test/golden/NAME.trace.txt, or writes it. */
  matches(t: ExecutionContext, name: string): void {
    matchesGolden(t, `${name}.trace.txt`, `${this.lines.join('\n').trim()}\n`);
  }
}
