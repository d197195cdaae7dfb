/** Input of the slots' job, and what its output must be. */
import type { Click } from './slot-job.js';

export const USERS = ['ann', 'bob', 'cy', 'dee', 'eve'] as const;

export function clicks(splits: number, perSplit: number): Click[][] {
  return Array.from({ length: splits }, (_, split) =>
    Array.from({ length: perSplit }, (_unused, index) => ({
      user: USERS[(split + index * 3) % USERS.length] ?? 'ann',
      n: split * 1000 + index,
      at: index,
    })),
  );
}

/** What all commits must come to, computed without slots. */
export function expectedLines(splits: readonly (readonly Click[])[]): string[] {
  const all = splits.flat();
  const lines = all.map(({ user, n }) => `${user} saw ${n * 2}`);
  const timers = new Set(all.map(({ user, at }) => `${user} ${at}`));
  const sums = new Map<string, number>();
  for (const { user, n, at } of all) {
    const window = `${user} from ${Math.floor(at / 20) * 20}`;
    sums.set(window, (sums.get(window) ?? 0) + n * 2);
  }
  for (const timer of timers) {
    const [user = '', at] = timer.split(' ');
    // The timers are due with the last watermark, when everything has been seen.
    const seen = all.filter((click) => click.user === user).map(({ n }) => n * 2);
    lines.push(`${user} at ${Number(at) + 1000}: ${seen.sort().join(' ')}`);
  }
  lines.push(...[...sums].map(([window, sum]) => `${window}: ${sum}`));
  return lines.sort();
}
