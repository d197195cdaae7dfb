/**
 * CPU time and memory of processes and of the whole machine, from /proc. Linux only. It reads
 * counters; what lies between two readings is the caller's to subtract.
 */
import { readFileSync } from 'node:fs';

/** USER_HZ: what the kernel's counters are given in; 100 on all that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface LoadReading {
  readonly monotonicMs: number;
  /** Of the processes asked for. */
  readonly cpuSeconds: number;
  /** Of everything on the machine, ourselves included. */
  readonly machineCpuSeconds: number;
  /** What the host gave to others while a core here was ready to run. */
  readonly stealSeconds: number;
  /** Of this process. */
  readonly ownCpuSeconds: number;
}

/** CPU seconds of a process, all threads, children not counted; 0 once it is gone. */
function cpuSecondsOf(pid: number): number {
  const text = readProc(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/** Resident bytes of a process; 0 once it is gone. */
export function rssBytesOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Busy time of all cores, and the part of it that was stolen by the host. */
function machineSeconds(): { readonly cpu: number; readonly steal: number } {
  const [line = ''] = readProc('/proc/stat').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return {
    cpu: (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND,
    steal: steal / TICKS_PER_SECOND,
  };
}

export function readLoad(pids: readonly number[]): LoadReading {
  const own = process.cpuUsage();
  const { cpu, steal } = machineSeconds();
  return {
    monotonicMs: performance.now(),
    cpuSeconds: pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
    machineCpuSeconds: cpu,
    stealSeconds: steal,
    ownCpuSeconds: (own.user + own.system) / 1e6,
  };
}

/** Cores that others used between two readings, and how many of them the host took. */
export function otherLoad(
  from: LoadReading,
  to: LoadReading,
): { readonly foreignCores: number; readonly stealCores: number } {
  const seconds = (to.monotonicMs - from.monotonicMs) / 1000;
  const foreign =
    to.machineCpuSeconds -
    from.machineCpuSeconds -
    (to.cpuSeconds - from.cpuSeconds) -
    (to.ownCpuSeconds - from.ownCpuSeconds);
  return {
    foreignCores: Math.max(0, foreign / seconds),
    stealCores: (to.stealSeconds - from.stealSeconds) / seconds,
  };
}

function readProc(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
