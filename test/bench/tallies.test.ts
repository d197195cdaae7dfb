import test from 'ava';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { noteProgress } from '../../bench/jobs/nexmark/progress.js';
import { machineMs } from '../../bench/jobs/tally-sink.js';
import { countAt, progressAt, rateBetween } from '../../bench/tallies.js';
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

test('a rate counts the whole of the window, bursts and silence alike, over all sinks', async (t) => {
  const folder = await temporaryFolder(t);
  appendFileSync(path.join(folder, 'trace-tally-0-1'), '500.0 1000\n2000.0 4000\n2050.0 5000\n');
  appendFileSync(path.join(folder, 'trace-tally-1-1'), '900.0 0\n1500.0 500\n1900.0 2');
  t.is(await rateBetween(folder, 1000, 3000), (4000 + 500) / 2);
});

test('a sink that took nothing in the window is told of', async (t) => {
  const folder = await temporaryFolder(t);
  appendFileSync(path.join(folder, 'trace-tally-0-1'), '500.0 1000\n');
  await t.throwsAsync(rateBetween(folder, 1000, 3000), { message: /took nothing/ });
});

test('progress is that of all splits, by what they said last', async (t) => {
  const folder = await temporaryFolder(t);
  for (let index = 0; index < 8 * 8192 + 2; index++) noteProgress(folder, index);
  t.is(await progressAt(folder, machineMs()), 2 * 8192);
  t.is(await progressAt(folder, 0), 0);
});
