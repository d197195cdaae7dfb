/** Snapshots as tests keep them: the bytes of their runs, beyond the life of the backend. */
import { invariant } from '../../../core/errors.js';
import type { KeyGroupRange } from '../../../core/key-group.js';
import type {
  KeyedStateBackend,
  KeyedStateSnapshot,
} from '../../../worker/state/keyed-state-backend.js';
import { memoryRuns } from '../../../worker/state/memory-runs.js';
import type { Run, RunServices } from '../../../worker/state/run-services.js';
import { MemoryRunStorage } from '../../../worker/state/run-storage.js';

export interface RunCopy {
  readonly bytes: Uint8Array;
  readonly keyGroups: KeyGroupRange;
}

/** The runs of one subtask, oldest first. */
export type RunCopies = readonly RunCopy[];

export function testRuns(): RunServices {
  return memoryRuns(setImmediate);
}

export async function copyRuns(snapshot: KeyedStateSnapshot): Promise<RunCopies> {
  const held = await snapshot.runs();
  const copies = held.runs.map((run) => {
    const bytes = held.open(run);
    const copy = bytes.read(0, bytes.lengthBytes).slice();
    bytes.close();
    return { bytes: copy, keyGroups: run.keyGroups };
  });
  held.release();
  return copies;
}

/** @param lists the runs of each subtask that wrote */
export function restoreRuns(
  backend: KeyedStateBackend,
  { storage }: RunServices,
  lists: readonly RunCopies[],
): void {
  invariant(storage instanceof MemoryRunStorage, 'runs of tests are in memory');
  backend.restore(
    lists.map((list, subtask) =>
      list.map(({ bytes, keyGroups }, index): Run => {
        const name = `restored-${String(subtask)}-${String(index)}`;
        storage.put(name, bytes);
        return { name, keyGroups, lengthBytes: bytes.length };
      }),
    ),
  );
}
