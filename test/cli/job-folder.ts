/** Folders with job files for tests, removed when the test ends. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from '../temporary-folder.js';

/** Sources are beside the compiled output: dist/test/cli -> test/fixtures. */
export const FIXTURE_JOBS = fileURLToPath(new URL('../../../test/fixtures/jobs/', import.meta.url));

/** A temporary folder with the given files. */
export async function jobFolder(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = await temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

/** A copy of a fixture job somewhere else. */
export async function copyOfJob(t: ExecutionContext, name: string): Promise<string> {
  const folder = await jobFolder(t, {});
  const copy = path.join(folder, 'somewhere', 'else', name);
  await cp(path.join(FIXTURE_JOBS, name), copy, { recursive: true });
  return copy;
}
