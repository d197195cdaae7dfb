/**
 * Golden files: readable expected output under test/golden. `MILLRACE_REWRITE=1` writes them anew;
 * without it a difference fails the test.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const FOLDER = fileURLToPath(new URL('../../test/golden', import.meta.url));

export function matchesGolden(t: ExecutionContext, name: string, actual: string): void {
  const file = path.join(FOLDER, name);
  if (process.env.MILLRACE_REWRITE === '1') {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, actual);
  }
  t.is(actual, readFileSync(file, 'utf8'), `differs from test/golden/${name}`);
}
