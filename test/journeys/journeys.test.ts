/**
 * A record, a barrier and a submit, followed through the files that docs/architecture.md names: each
 * file exists, each is joined to the one before it, and in a real run of a small job on a cluster of
 * three processes functions of each file run. If this fails, the map or the land has moved.
 */
import test from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoveredRun } from './covered-run.js';
import { ImportGraph } from './import-graph.js';
import { readJourneys } from './journey-map.js';

const JOB = 'test/fixtures/jobs/journey/job.ts';
const USERS = 50;
const RECORDS = 2_000;

const journeys = readJourneys();

test('the document tells three journeys', (t) => {
  t.deepEqual(
    journeys.map(({ name }) => name),
    ['A record', 'A barrier', 'A submit'],
  );
  for (const { name, steps } of journeys) t.true(steps.length > 10, name);
});

test('each step that is no message is joined to the one before it', (t) => {
  const graph = new ImportGraph();
  const apart = journeys.flatMap(({ name, steps }) =>
    steps.flatMap(({ file, byMessage }, index) => {
      const before = steps[index - 1]?.file;
      if (before === undefined || byMessage || graph.areJoined(before, file)) return [];
      return [`${name}: ${before} and ${file}`];
    }),
  );
  t.deepEqual(apart, []);
});

test('a real job runs through every file of every journey', async (t) => {
  t.timeout(240_000);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-journeys-'));
  const run = new CoveredRun(folder);
  t.teardown(() => {
    run.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const input = join(folder, 'visits.ndjson');
  const output = join(folder, 'counts');
  const lines = Array.from({ length: RECORDS }, (_, index) =>
    JSON.stringify({ user: `u${index % USERS}`, page: 'p' }),
  );
  writeFileSync(input, `${lines.join('\n')}\n`);

  const cluster = await run.startCluster();
  const params = ['--param', `input=${input}`, '--param', `output=${output}`];
  t.is(await run.command('submit', JOB, ...params), 0);
  await run.interrupt(cluster);

  const committed = readdirSync(output)
    .filter((name) => name.startsWith('part-'))
    .flatMap((name) => readFileSync(join(output, name), 'utf8').trimEnd().split('\n'));
  t.is(committed.length, RECORDS);
  const ran = run.functionsThatRan();
  const idle = journeys.flatMap(({ name, steps }) =>
    steps
      .filter(({ file }) => (ran.get(file)?.size ?? 0) === 0)
      .map(({ file }) => `${name}: ${file}`),
  );
  t.deepEqual(idle, []);
});
