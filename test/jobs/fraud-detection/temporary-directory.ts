/** A directory that is gone when the test is. */
import type { ExecutionContext } from 'ava';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-fraud-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
