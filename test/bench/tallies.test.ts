import test from 'ava';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { noteProgress } from '../../bench/jobs/nexmark/progress.js';
import { machineMs } from '../../bench/jobs/tally-sink.js';
import { allTraced, countAt, normalAgainMs, progressAt, rateBetween } from '../../bench/tallies.js';
import { temporaryFolder } from '../temporary-folder.js';

test('what was taken by a time is what the trace said last before it', (t) => {
  const points = [
    [100, 10],
    [200, 30],
  ] as const;
  t.deepEqual(
    [50, 100, 199, 200, 900].map((ms) => countAt(points, ms)),
    [0, 10, 10, 30, 30],
  );
});

test('what comes in a burst counts for the time before it, over all sinks', async (t) => {
  const folder = await temporaryFolder(t);
  appendFileSync(path.join(folder, 'trace-tally-0-1'), '500.0 1000\n1500.0 3000\n3500.0 5000\n');
  appendFileSync(path.join(folder, 'trace-tally-1-1'), '1000.0 10\n3000.0 20\n4000.0 20\n5000.0 2');
  // The first sink stood at 2000, then at 4500.
  t.is(await rateBetween(folder, 1000, 3000), (4500 - 2000 + 10) / 2);
  await t.notThrowsAsync(allTraced(folder, 2));
});

test('a sink that took nothing before the window is told of', async (t) => {
  const folder = await temporaryFolder(t);
  appendFileSync(path.join(folder, 'trace-tally-0-1'), '1500.0 1000\n2500.0 2000\n');
  await t.throwsAsync(rateBetween(folder, 1000, 2000), { message: /took nothing/ });
});

test('a rate waits for the word that comes after the window', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'trace-tally-0-1');
  appendFileSync(file, '1000.0 0\n2000.0 500\n');
  const rate = rateBetween(folder, 1000, 3000);
  appendFileSync(file, '6000.0 2500\n');
  t.is(await rate, 500);
});

test('output is normal again from the first second that has four fifths of the rate before', async (t) => {
  const folder = await temporaryFolder(t);
  const trace = (attempt: number, points: readonly (readonly [number, number])[]): void => {
    const lines = points.map(([ms, count]) => `${ms.toFixed(1)} ${count}\n`).join('');
    appendFileSync(path.join(folder, `trace-tally-0-${attempt}`), lines);
  };
  // 100 in 100 ms, until the kill at 6000.
  trace(
    1,
    Array.from({ length: 61 }, (_, i) => [i * 100, i * 100]),
  );
  t.is(await normalAgainMs(folder, 6000), undefined);
  // Nothing for a second, then a second of half the rate, then all of it.
  const after = (from: number, count: number, step: number): [number, number][] =>
    Array.from({ length: 5 }, (_, i) => [from + i * 100, count + i * step]);
  trace(2, [...after(7000, 0, 50), ...after(7500, 250, 50), ...after(8000, 500, 100)]);
  t.is(await normalAgainMs(folder, 6000), undefined);
  trace(2, after(8500, 1000, 100));
  // Six tenths at 7600 are four fifths of a second together with what follows.
  t.is(await normalAgainMs(folder, 6000), 7600);
});

test('progress is that of all splits, by what they said last', async (t) => {
  const folder = await temporaryFolder(t);
  for (let index = 0; index < 8 * 8192 + 2; index++) noteProgress(folder, index);
  t.is(await progressAt(folder, machineMs()), 2 * 8192);
  t.is(await progressAt(folder, 0), 0);
});
