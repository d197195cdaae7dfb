/** The order of what a task writes for checkpoints, one of which fails. */
import test from 'ava';
import { MillraceError } from '../../../core/errors.js';
import type { HeldRuns } from '../../../worker/state/run-services.js';
import { bytesOf } from '../../../worker/state/run-storage.js';
import { CheckpointedRuns } from '../../../worker/task/checkpointed-runs.js';
import { SubtaskCheckpointCoordinator } from '../../../worker/task/subtask-checkpoint-coordinator.js';
import type { TaskReports } from '../../../worker/task/task-environment.js';
import { ManualClock } from '../../manual-clock.js';

const ALL = { start: 0, end: 16 };
const TURNS = 20;

function heldRun(name: string): HeldRuns {
  return {
    runs: [{ name, keyGroups: ALL, lengthBytes: 8 }],
    open: () => bytesOf(new Uint8Array(8)),
    merged: () => Promise.reject(new Error('no savepoint was asked for')),
    release: () => undefined,
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
}

test('a checkpoint writes nothing before an aborted one has ended, though one between them failed', async (t) => {
  const events: string[] = [];
  const writes: (() => void)[] = [];
  const reports: TaskReports = {
    running: () => undefined,
    drained: () => undefined,
    committed: () => undefined,
    failed: (_task, error) => t.fail(error.message),
    declined: (_task, id) => events.push(`declined ${String(id)}`),
    acknowledged: (_task, id) => events.push(`acknowledged ${String(id)}`),
  };
  const coordinator = new SubtaskCheckpointCoordinator({
    task: { vertex: 'o', subtask: 0 },
    environment: {
      clock: new ManualClock(1),
      storage: {
        read: () => Promise.reject(new Error('nothing is restored')),
        write: (prefix, name) =>
          new Promise((resolve) => {
            events.push(`writes ${prefix}`);
            writes.push(() => resolve({ key: prefix + name, lengthBytes: 8, sha256: '' }));
          }),
      },
      local: undefined,
      reports,
      wake: () => undefined,
    },
    operators: [
      {
        name: 'o',
        snapshot: (id) => ({
          keyed: {
            keyGroups: ALL,
            runs: () =>
              id === 2
                ? Promise.reject(new MillraceError('STORAGE_UNAVAILABLE', 'no space; free some'))
                : Promise.resolve(heldRun(`run-${String(id)}`)),
          },
        }),
      },
    ],
    stateCodecs: new Map(),
    checkpointed: new CheckpointedRuns(),
  });
  for (const checkpointId of [1, 2, 3]) {
    const prefix = `chk-${String(checkpointId)}/`;
    const barrier = { kind: 'barrier', checkpointId, prefix, stopAfter: false } as const;
    coordinator.snapshot(
      { ...barrier, triggeredAtMs: 0, alignmentTimeoutMs: null },
      0,
      0,
      undefined,
    );
    await turns();
  }
  t.deepEqual(events, ['writes chk-1/', 'declined 2']);
  writes[0]?.();
  await turns();
  t.deepEqual(events, ['writes chk-1/', 'declined 2', 'writes chk-3/']);
  writes[1]?.();
  await turns();
  t.is(events.at(-1), 'acknowledged 3');
});
