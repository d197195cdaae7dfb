/**
 * Which process is this, and does that one still live? A pid alone says neither, since pids are
 * reused; pid and start time together do. Stands under the folder lock and the blob store's
 * temporary files. Must never guess: what can't be told (another machine) counts as alive.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A process of some machine; `startTime` is opaque, and equal only for the same process. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly host: string;
}

const FORM = /^(\d+)_([0-9A-Za-z]+)_(.+)$/;

/** The identity of the process with this pid on this machine; undefined if there is none. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime, host: hostname() };
}

/** False only if the process is surely dead: it was on this machine and is no longer there. */
export function isProcessAlive(identity: ProcessIdentity): boolean {
  if (identity.host !== hostname()) return true;
  return startTimeOf(identity.pid) === identity.startTime;
}

/** As part of a file name: the name then says all, and can't be half written. */
export function formatProcessIdentity(identity: ProcessIdentity): string {
  return `${identity.pid}_${identity.startTime}_${encodeURIComponent(identity.host)}`;
}

export function parseProcessIdentity(text: string): ProcessIdentity | undefined {
  const [, pid, startTime, host] = FORM.exec(text) ?? [];
  if (pid === undefined || startTime === undefined || host === undefined) return undefined;
  return { pid: Number(pid), startTime, host: decodeURIComponent(host) };
}

function startTimeOf(pid: number): string | undefined {
  return process.platform === 'linux' ? startTimeOnLinux(pid) : startTimeFromPs(pid);
}

function startTimeOnLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field, the command, may hold blanks and brackets: count from its last bracket. The
  // first field after it is the state (a zombie is dead), the twentieth the start in clock ticks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  if (ticks === undefined || state === 'Z' || state === 'X') return undefined;
  // Ticks count from the boot, so they mean something only together with it.
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${ticks}b${bootId.replaceAll('-', '').slice(0, 12)}`;
}

function startTimeFromPs(pid: number): string | undefined {
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      timeout: 5000,
    });
    return started.replace(/[^0-9A-Za-z]/g, '') || undefined;
  } catch {
    return undefined;
  }
}
