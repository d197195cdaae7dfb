/** A file system that is soon full, for tests of what happens then; needs root and Linux. */
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

export type TmpfsAvailability =
  { readonly available: true } | { readonly available: false; readonly reason: string };

export function tmpfsAvailability(): TmpfsAvailability {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tmpfs-'));
  try {
    const mounted = mount(folder, 4096);
    if (mounted.status !== 0) {
      const said = mounted.stderr.trim() || String(mounted.error?.message);
      return { available: false, reason: `a tmpfs can't be mounted here (needs root): ${said}` };
    }
    execFileSync('umount', [folder]);
    return { available: true };
  } finally {
    rmdirSync(folder);
  }
}

/** Mounted for one test and unmounted after it, once what the test holds open is closed. */
export function smallTmpfs(t: ExecutionContext, sizeBytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tmpfs-'));
  mount(folder, sizeBytes);
  t.teardown(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  return folder;
}

function mount(folder: string, sizeBytes: number): SpawnSyncReturns<string> {
  const args = ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder];
  return spawnSync('mount', args, { encoding: 'utf8' });
}
