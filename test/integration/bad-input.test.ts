import { appendFile, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { assertToldOnce, runMillrace, type CommandResult } from '../cli/command-line.js';
import { jobFolder } from '../cli/job-folder.js';
import { brokenJob, rowsOf, type BrokenJob } from './broken-job.js';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { committedFiles } from './ledger-output.js';
import { TestCluster } from './test-cluster.js';

const test = anyTest as TestFn<{ readonly cluster: TestCluster }>;
type Context = ExecutionContext<{ readonly cluster: TestCluster }>;

const SLOTS = 4;

test.before(async (t) => {
  const cluster = await TestCluster.open({ workers: 2, slots: SLOTS / 2 });
  t.context = { cluster };
});

test.after.always(async (t) => {
  await t.context.cluster.close();
});

interface Submitted extends CommandResult {
  readonly output: string;
  readonly folder: string;
}

/** Files of a job's folder, `job.ts` among them. */
type JobFiles = (output: string, folder: string) => Readonly<Record<string, string>>;

async function submit(t: Context, files: JobFiles): Promise<Submitted> {
  const folder = await jobFolder(t, {});
  const output = path.join(folder, 'output');
  for (const [name, text] of Object.entries(files(output, folder))) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  const result = await runMillrace(
    ['submit', 'job.ts', '--cluster', t.context.cluster.cluster.rest],
    { cwd: folder },
  );
  return { ...result, output, folder };
}

function brokenFiles(broken: Omit<BrokenJob, 'output'>): JobFiles {
  return (output) => ({ 'job.ts': brokenJob({ ...broken, output }) });
}

/** One message, no frame of the engine, and nothing that still runs. */
async function isToldOnce(t: Context, result: CommandResult, message: RegExp): Promise<void> {
  assertToldOnce(t, result, message);
  await allSlotsFree(t);
}

async function allSlotsFree(t: Context): Promise<void> {
  const { slotsFree } = await eventually(
    () => 'the release of all slots',
    async () => {
      const overview = await t.context.cluster.client.cluster();
      return overview.slotsFree === SLOTS ? overview : undefined;
    },
  );
  t.is(slotsFree, SLOTS);
}

async function committed(output: string): Promise<readonly string[]> {
  const files = await committedFiles(path.join(output, 'rows'));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
}

function row(seq: number): string {
  return `${JSON.stringify({ seq, key: `k${seq % 7}`, at: 1_700_000_000_000 + seq })}\n`;
}

// ---- jobs that never start: nothing of them reaches the cluster ----

for (const { what, files, message } of [
  {
    what: 'a builder that throws',
    files: brokenFiles({ before: ".map('x', (() => { throw new Error('no region'); })())" }),
    message: /^error: USER_CODE_FAILED: .*no region; .*\n\s+at job\.ts:\d+:\d+/,
  },
  {
    what: 'a syntax error',
    files: brokenFiles({ head: 'const const = 1;' }),
    message: /^error: BUNDLE_INVALID: .*job\.ts:\d+:\d+/,
  },
  {
    what: 'a missing import',
    files: brokenFiles({ head: "import { away } from './away.js';\nvoid away;" }),
    message: /^error: BUNDLE_INVALID: .*\.\/away\.js/,
  },
  {
    what: 'a native module',
    files: (output: string) => ({
      'job.ts': brokenJob({ head: "import machine from './machine.node';\nvoid machine;", output }),
      'machine.node': 'ELF',
    }),
    message: /^error: BUNDLE_INVALID: .*native module/,
  },
  {
    what: 'two operators with one name',
    files: brokenFiles({ before: ".filter('twice', () => true).filter('twice', () => true)" }),
    message: /^error: OPERATOR_NAME_DUPLICATE: .*"twice"/,
  },
] satisfies readonly { what: string; files: JobFiles; message: RegExp }[]) {
  test(`refused before it is submitted: ${what}`, async (t) => {
    const result = await submit(t, files);
    await isToldOnce(t, result, message);
    t.is(result.stdout, '');
    t.deepEqual((await readdir(result.folder)).includes('output'), false);
  });
}

// ---- jobs that fail while they run ----

const scored = (module: string, timeoutMs = 10_000) =>
  `.score('judge', {
      module: '${module}', input: t.record({ seq: t.int32 }), result: t.int32, output: Row,
      select: ({ seq }) => ({ seq }), combine: (row) => row, timeoutMs: ${timeoutMs},
    })`;

for (const { what, files, message } of [
  {
    what: 'a map that throws',
    files: brokenFiles({
      before: `.map('check', (row) => {
      if (row.seq === 500) throw new Error('row 500 is cursed');
      return row;
    }, { output: Row })`,
    }),
    message: /^failure: USER_CODE_FAILED: .*row 500 is cursed.*\n\s+at (?:\S+ \()?job\.ts:\d+:\d+/,
  },
  {
    what: 'a timer that throws',
    files: brokenFiles({
      keyed: `.process('wait', {
      output: Row,
      onElement: (row, ctx) => ctx.timers.registerEventTimeTimer(row.at),
      onTimer: () => { throw new Error('the bell is cracked'); },
    })`,
    }),
    message:
      /^failure: USER_CODE_FAILED: .*the bell is cracked.*\n\s+at (?:\S+ \()?job\.ts:\d+:\d+/,
  },
  {
    what: 'a scoring module that throws',
    files: (output: string) => ({
      'job.ts': brokenJob({ before: scored('./judge.ts'), output }),
      'judge.ts': `export function score(rows: readonly { seq: number }[]): number[] {
  throw new Error('no verdict');
}\n`,
    }),
    message:
      /^failure: SCORE_FAILED: scoring module '\.\/judge\.ts' .*no verdict.*\n\s+at (?:\S+ \()?judge\.ts:\d+:\d+/,
  },
  {
    what: 'a scoring call that never ends',
    files: (output: string) => ({
      'job.ts': brokenJob({ before: scored('./judge.ts', 300), output }),
      'judge.ts': 'export function score(): number[] { for (;;); }\n',
    }),
    message: /^failure: SCORE_TIMEOUT: scoring module '\.\/judge\.ts' .*300 ms/,
  },
  {
    what: 'a scoring call that never answers',
    files: (output: string) => ({
      'job.ts': brokenJob({ before: scored('./judge.ts', 300), output }),
      'judge.ts':
        'export function score(): Promise<number[]> { return new Promise(() => undefined); }\n',
    }),
    message: /^failure: SCORE_TIMEOUT: scoring module '\.\/judge\.ts' .*300 ms/,
  },
  {
    what: 'a value that no schema describes',
    files: brokenFiles({
      before: ".map('wrap', (row) => ({ ...row, again: () => row }))",
    }),
    message: /^failure: SCHEMA_MISMATCH: .*again.*\n {4}in operator "wrap"$/,
  },
  {
    what: 'a record that its schema does not fit',
    files: brokenFiles({
      before:
        ".map('break', (row) => ({ ...row, seq: 'many' as unknown as number }), { output: Row })",
    }),
    message: /^failure: SCHEMA_MISMATCH: .*seq/,
  },
  {
    what: 'a missing input file',
    files: (output: string, folder: string) => ({
      'job.ts': brokenJob({ source: rowsOf(path.join(folder, 'away.ndjson')), output }),
    }),
    message: /^failure: INPUT_MISSING: .*away\.ndjson/,
  },
] satisfies readonly { what: string; files: JobFiles; message: RegExp }[]) {
  test(`fails by name: ${what}`, async (t) => {
    const result = await submit(t, files);
    await isToldOnce(t, result, message);
    t.regex(result.stdout, /^job broken FAILED after .*, 0 restarts\n$/);
    t.deepEqual(await readdir(path.join(result.output, 'rows', '.pending')).catch(() => []), []);
  });
}

test('a poison record is tried as often as the job says, then named', async (t) => {
  const result = await submit(
    t,
    brokenFiles({
      restart: "kind: 'fixedDelay', attempts: 2, delayMs: 10",
      before:
        ".map('check', (row) => { if (row.seq === 500) throw new Error('cursed'); return row; }, { output: Row })",
    }),
  );
  t.is(result.exitCode, 1);
  t.regex(result.stdout, /^job broken FAILED after .*, 2 restarts\n$/);
  await allSlotsFree(t);
});

// ---- inputs ----

test('bad lines are dead letters with their position, and the job goes on', async (t) => {
  const good = Array.from({ length: 20 }, (_, seq) => row(seq));
  const result = await submit(t, (output, folder) => ({
    'rows.ndjson': [...good.slice(0, 10), '{"seq":\n', ...good.slice(10), 'not json\n'].join(''),
    'job.ts': brokenJob({ source: rowsOf(path.join(folder, 'rows.ndjson')), output }),
  }));
  t.is(result.exitCode, 0, result.stderr);
  t.is((await committed(result.output)).length, 20);
  const [file = ''] = await committedFiles(path.join(result.output, 'dead-letters'));
  const letters = (await readFile(file, 'utf8')).trim().split('\n');
  t.deepEqual(
    letters.map((line) => (JSON.parse(line) as { position: number }).position),
    [good.slice(0, 10).join('').length, good.join('').length + '{"seq":\n'.length],
  );
});

test('an empty file is an input of no records', async (t) => {
  const result = await submit(t, (output, folder) => ({
    'rows.ndjson': '',
    'job.ts': brokenJob({ source: rowsOf(path.join(folder, 'rows.ndjson')), output }),
  }));
  t.is(result.exitCode, 0, result.stderr);
  t.deepEqual(await committed(result.output), []);
  await allSlotsFree(t);
});

/** Rows of about 1,000 bytes, most of which no schema names: a long way for a source, and few records. */
function longRow(seq: number): string {
  return row(seq).replace('}', `,"pad":"${'p'.repeat(940)}"}`);
}

test('a bounded file that is cut while it is read fails the job, and put back it is read to its end', async (t) => {
  const ROWS = 20_000;
  const SPLIT_BYTES = 4_000_000;
  const lines = Array.from({ length: ROWS }, (_, seq) => longRow(seq));
  const original = lines.join('');
  const { cluster } = t.context;
  const { client } = cluster;
  const folder = await jobFolder(t, { 'rows.ndjson': original });
  const input = path.join(folder, 'rows.ndjson');
  const output = path.join(folder, 'output');
  const file = path.join(folder, 'job.ts');
  await writeFile(
    file,
    brokenJob({
      name: 'cut-short',
      source: rowsOf(input, `, splitBytes: ${SPLIT_BYTES}`),
      head: "import { existsSync } from 'node:fs';\nconst pause = new Int32Array(new SharedArrayBuffer(4));",
      // So slow that the job can't come to an end before it is let go.
      before: `.map('slow-down', (row) => {
    if (!existsSync(${JSON.stringify(path.join(folder, 'go'))})) Atomics.wait(pause, 0, 0, 5);
    return row;
  }, { output: Row })`,
      output,
    }),
  );
  const command = runMillrace(cluster.submitCommand({ file }));
  await eventually(
    () => 'the first committed rows',
    async () => ((await committed(output)).length > 0 ? true : undefined),
  );
  // In the middle of a line of the last split: far behind all that anyone has read so far.
  await truncate(input, 4.5 * SPLIT_BYTES);
  await writeFile(path.join(folder, 'go'), '');
  const result = await command;

  const name = input.replaceAll('.', '\\.');
  await isToldOnce(
    t,
    result,
    new RegExp(
      `^failure: INPUT_INVALID: ${name} shrank from ${original.length} bytes to ${4.5 * SPLIT_BYTES} while it was ` +
        'read \\(up to byte \\d+\\); put the original file back',
    ),
  );
  t.regex(result.stdout, /^job cut-short FAILED after .*, 0 restarts\n$/m);
  t.deepEqual(await committedFiles(path.join(output, 'dead-letters')), []);
  const before = (await committed(output)).map((line) => (JSON.parse(line) as { seq: number }).seq);
  t.true(before.length > 0 && before.length < ROWS);
  t.deepEqual(
    before.sort((a, b) => a - b),
    prefixesOf(lines, SPLIT_BYTES, before),
  );
  for (const sink of ['rows', 'dead-letters']) {
    t.deepEqual(await readdir(path.join(output, sink, '.pending')), []);
  }

  await writeFile(input, original);
  const [job] = (await client.jobs()).jobs.filter(({ jobName }) => jobName === 'cut-short');
  const { latestCompleted } = await client.checkpoints(job?.jobId ?? '');
  const from = `${job?.jobId}/${latestCompleted?.checkpointId}`;
  const again = await runMillrace(
    cluster.submitCommand({ file, flags: ['--from-savepoint', from] }),
  );
  t.is(again.exitCode, 0, again.stderr);
  const all = (await committed(output)).map((line) => (JSON.parse(line) as { seq: number }).seq);
  t.deepEqual(
    all.sort((a, b) => a - b),
    [...lines.keys()],
  );
});

/** As many rows of each split as there are in `seqs`, from the split's first. */
function prefixesOf(
  lines: readonly string[],
  splitBytes: number,
  seqs: readonly number[],
): number[] {
  const splits: number[][] = [];
  let position = 0;
  for (const [seq, line] of lines.entries()) {
    (splits[Math.floor(position / splitBytes)] ??= []).push(seq);
    position += line.length;
  }
  const present = new Set(seqs);
  return splits.flatMap((of) => of.slice(0, of.filter((seq) => present.has(seq)).length));
}

test('a file that is cut while it is followed fails the job by name', async (t) => {
  const { cluster } = t.context;
  const folder = await jobFolder(t, {
    'rows.ndjson': Array.from({ length: 500 }, (_, seq) => row(seq)).join(''),
  });
  const input = path.join(folder, 'rows.ndjson');
  const output = path.join(folder, 'output');
  const file = path.join(folder, 'job.ts');
  await writeFile(
    file,
    brokenJob({ source: rowsOf(input, ', follow: true'), output, name: 'cut' }),
  );
  const jobId = await cluster.submit(t, { file });
  const watch = new JobWatch(cluster.client, jobId);
  await watch.until('all rows read and in a checkpoint', (seen) => seen.recordsRead === 500);
  await truncate(input, 100);
  await appendFile(input, row(1000));
  const { job } = await watch.ended();
  t.is(job.status, 'FAILED');
  t.deepEqual(
    job.failures.map(({ code }) => code),
    ['INPUT_INVALID'],
  );
  t.regex(job.failures[0]?.message ?? '', /rows\.ndjson/);
  await allSlotsFree(t);
});
