/**
 * The files of this project as the tests of form see them: paths relative to its root, with `/`.
 * Whatever tools make or install is left out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The project's root: tests run there. */
export const ROOT = process.cwd();

const MADE = new Set(['node_modules', 'dist', '.git', '.millrace', 'out']);

/** Every file below `folder`, sorted. */
export function filesBelow(folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    if (MADE.has(entry.name) || path === 'proto/gen') continue;
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else if (entry.isFile()) found.push(path);
  }
  return found.sort();
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** TypeScript written by people: neither generated nor a test's input. */
export function sourceFiles(): string[] {
  return filesBelow('.').filter(
    (path) => path.endsWith('.ts') && !path.startsWith('test/fixtures/'),
  );
}
