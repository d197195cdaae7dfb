/**
 * Compiled files whose source is gone. tsc leaves them where they are, and a test that was deleted or
 * renamed would go on running; they are removed before each check.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const COMPILED = /\.(js|js\.map|d\.ts)$/;

/**
 * Removes what tsc once wrote under `folder` of the output and would not write again.
 * @returns the removed files, relative to the output folder
 */
export function removeStaleOutput(
  sourceRoot: string,
  outputRoot: string,
  folder: string,
): string[] {
  const start = join(outputRoot, folder);
  if (!existsSync(start)) return [];
  const removed: string[] = [];
  for (const entry of readdirSync(start, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !COMPILED.test(entry.name)) continue;
    const file = relative(outputRoot, join(entry.parentPath, entry.name));
    if (existsSync(join(sourceRoot, file.replace(COMPILED, '.ts')))) continue;
    rmSync(join(outputRoot, file));
    removed.push(file);
  }
  return removed;
}
