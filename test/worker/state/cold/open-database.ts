/** A database in a thread of its own for the tests of one file, and its client in this thread. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { STATE_MEMORY_BYTES_MIN } from '../../../../core/stream-graph.js';
import { systemClock } from '../../../../process/system-clock.js';
import { DatabaseClient } from '../../../../worker/state/cold/database-client.js';
import { StateThreadRunner } from '../../../../worker/state/cold/state-thread-runner.js';

export interface OpenDatabase {
  readonly client: DatabaseClient;
  readonly runner: StateThreadRunner;
}

export function newFolder(): string {
  return join(mkdtempSync(join(tmpdir(), 'millrace-cold-')), 'state');
}

/** Ended after the test. */
export function openDatabase(t: ExecutionContext, folder = newFolder()): OpenDatabase {
  const opened = startDatabase(folder);
  t.teardown(() => opened.runner.end());
  return opened;
}

export function startDatabase(folder = newFolder()): OpenDatabase {
  const runner = new StateThreadRunner({
    folder,
    memoryBytesMax: STATE_MEMORY_BYTES_MIN,
    clock: systemClock,
    onLost: (error) => {
      throw error;
    },
  });
  const client = new DatabaseClient(runner.connection, {
    monotonic: () => systemClock.monotonic(),
  });
  return { client, runner };
}
