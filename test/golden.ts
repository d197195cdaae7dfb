/**
 * Golden files: text that a test compares with what is stored under test/golden. Rewritten by
 * `npx ava FILE -- --rewrite`; the change is then reviewed as a diff.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const FOLDER = fileURLToPath(new URL('../../test/golden/', import.meta.url));

export function matchesGolden(t: ExecutionContext, name: string, actual: string): void {
  const file = path.join(FOLDER, name);
  if (process.argv.includes('--rewrite')) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, actual);
  }
  t.is(actual, readFileSync(file, 'utf8'), `${name}: see the difference, or rewrite it`);
}
