import { mkdir, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { t as types } from '../../../api/schema.js';
import type { DeadLetter } from '../../../api/source.js';
import { csv, fileSource, jsonLines, type FileSplit } from '../../../connectors/files/index.js';
import { ManualClock } from '../../manual-clock.js';
import { RecordingOutput } from '../recording-output.js';
import { contextFor, drainSource, sourceContract, stepsArbitrary } from '../source-contract.js';
import { temporaryFolder } from '../../temporary-folder.js';

const schema = types.record({ n: types.float64, text: types.string });
type Row = { n: number; text: string };
const format = jsonLines(schema);
const row = (n: number, text = 'x'): Row => ({ n, text });
const linesOf = (rows: readonly Row[]): string =>
  rows.map((r) => `${JSON.stringify(r)}\n`).join('');
const rowsOf = (count: number): Row[] =>
  Array.from({ length: count }, (_, n) => row(n, `é€😀${'a'.repeat(n % 7)}`));

const shared = await mkdtemp(join(tmpdir(), 'millrace-contract-'));
test.after.always(() => rm(shared, { recursive: true, force: true }));

for (const splitBytes of [64, 1_000, undefined]) {
  const name = `directory of files, splits of ${String(splitBytes)} bytes`;
  sourceContract(test, name, async () => {
    const directory = await mkdtemp(join(shared, 'dir-'));
    const rows = rowsOf(120);
    await writeFile(join(directory, 'a.ndjson'), linesOf(rows.slice(0, 70)));
    await writeFile(join(directory, 'b.ndjson'), '');
    await writeFile(join(directory, 'c.ndjson'), linesOf(rows.slice(70)).trimEnd());
    await writeFile(join(directory, '_hidden'), 'not read');
    await mkdir(join(directory, '.pending'));
    const size = splitBytes === undefined ? {} : { splitBytes };
    return { source: fileSource({ path: directory, format, ...size }), expected: rows };
  });
}

/** What a line is, told from the bytes alone: the reference for the property below. */
function reference(content: Buffer, lineBytesMax: number): { rows: Row[]; bad: number[] } {
  const rows: Row[] = [];
  const bad: number[] = [];
  for (let start = 0; start < content.length;) {
    const newline = content.indexOf(10, start);
    const end = newline < 0 ? content.length : newline;
    const line = content.subarray(start, end).toString().replace(/\r$/, '');
    try {
      if (end - start > lineBytesMax) throw new Error('too long');
      if (line !== '') rows.push(JSON.parse(line) as Row);
    } catch {
      bad.push(start);
    }
    start = end + 1;
  }
  return { rows, bad };
}

const lineArbitrary = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.nat(), fc.string({ unit: 'grapheme', maxLength: 12 }))
      .map(([n, text]) => JSON.stringify({ n, text })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '{broken', 'x'.repeat(90), `{"n":1,"text":"${'y'.repeat(70)}"}`),
  },
);

test('property: any lines, any cut into splits, any restores: each line once, bad ones with their byte', async (t) => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'lines');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(lineArbitrary, fc.constantFrom('\n', '\r\n')), { maxLength: 25 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 200 }),
      stepsArbitrary,
      async (lines, endsWithNewline, splitBytes, steps) => {
        const text = lines.map(([line, end]) => line + end).join('');
        const content = Buffer.from(endsWithNewline ? text : text.replace(/\r?\n$/, ''));
        await writeFile(path, content);
        const source = fileSource({ path, format, splitBytes, lineBytesMax: 80 });
        const { records, deadLetters } = await drainSource(source, steps);
        const expected = reference(content, 80);
        const key = (r: Row): string => JSON.stringify(r);
        t.deepEqual(records.map(key).sort(), expected.rows.map(key).sort());
        t.deepEqual(
          deadLetters.map(({ position }) => position).sort((a, b) => a - b),
          expected.bad,
        );
      },
    ),
    { numRuns: 150 },
  );
  t.pass();
});

test('a reader restored at any record continues with the next one, for every size of split', async (t) => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'lines');
  const rows = rowsOf(8);
  const content = linesOf(rows).replaceAll('\n', '\r\n');
  await writeFile(path, content);
  for (let splitBytes = 1; splitBytes <= content.length + 1; splitBytes += 7) {
    const source = fileSource({ path, format, splitBytes });
    for (let cut = 0; cut <= rows.length; cut++) {
      const steps = [
        { recordsMax: Math.max(cut, 1), then: cut === 0 ? 'crash' : 'checkpoint', parallelism: 1 },
        { recordsMax: 1, then: 'crash', parallelism: 1 },
      ] as const;
      t.deepEqual((await drainSource(source, steps)).records, rows);
    }
  }
});

async function readSplit(
  source: ReturnType<typeof fileSource<Row>>,
  split: FileSplit,
  output = new RecordingOutput<Row>(),
): Promise<RecordingOutput<Row>> {
  const reader = source.createReader(contextFor(new ManualClock()));
  reader.addSplits([split]);
  reader.noMoreSplits();
  while (reader.poll(output, 100) !== 'end') await reader.available();
  await reader.close();
  return output;
}

test('every split shows where it starts before any is read: up to 64 KiB before it, or its first record', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  const rows = Array.from({ length: 6_000 }, (_, n) => row(n, 'z'.repeat(30)));
  await writeFile(path, `{bad\n${linesOf(rows)}`);
  const source = fileSource({ path, format, splitBytes: 100_000 });
  const splits = await source.discoverSplits(contextFor(new ManualClock()));
  t.is(splits.length, 4);
  const reader = source.createReader(contextFor(new ManualClock()));
  reader.addSplits(splits);
  reader.noMoreSplits();
  const output = new RecordingOutput<Row>();
  while (output.records.length === 0) {
    if (reader.poll(output, 1) === 'wait') await reader.available();
  }
  const [first = [], second = [], third = [], fourth = []] = splits.map(({ id }) =>
    output.observed.get(id),
  );
  t.deepEqual([first, output.deadLetters.length], [[row(0, 'z'.repeat(30))], 1]);
  for (const observed of [second, third, fourth]) {
    // Lines of about 50 bytes; the last may end behind the split's first byte.
    t.true(Math.abs(linesOf(observed).length - 65_536) < 60);
  }
  while (reader.poll(output, 1_000) !== 'end') await reader.available();
  await reader.close();
  for (const [observed, split] of [
    [second, splits[1]],
    [third, splits[2]],
    [fourth, splits[3]],
  ] as const) {
    const begins = output.recordsOf.get(split?.id ?? '')?.[0]?.n ?? NaN;
    t.is(observed.at(-1)?.n, begins - 1);
  }
  t.is(output.deadLetters.length, 1);
});

test("a split whose start is known, or is nobody's concern, is not looked at", async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  const rows = Array.from({ length: 4_000 }, (_, n) => row(n, 'z'.repeat(30)));
  await writeFile(path, linesOf(rows));
  const source = fileSource({ path, format, splitBytes: 100_000 });
  const second = (await source.discoverSplits(contextFor(new ManualClock())))[1];
  if (second === undefined) return t.fail();
  const next = 3_000;
  const position = linesOf(rows.slice(0, next)).length;
  const output = await readSplit(source, { ...second, position }, new RecordingOutput(false));
  t.is(output.records[0]?.n, next);
  t.is(output.observed.size, 0);
});

test('dead letters name file, byte and reason, with the raw line cut to 4,096 characters', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  const good = linesOf([row(1)]);
  const bad = ['{"n":1}', '{"n":"x","text":""}', 'nonsense', `"${'q'.repeat(9_000)}"`];
  await writeFile(
    path,
    Buffer.concat([Buffer.from(good + bad.join('\n') + '\n'), Buffer.from([0x22, 0xff, 0x22, 10])]),
  );
  const { records, deadLetters } = await drainSource(fileSource({ path, format }));
  t.deepEqual(records, [row(1)]);
  t.deepEqual(
    deadLetters.map(({ origin }) => origin),
    Array<string>(5).fill(path),
  );
  t.is(deadLetters[0]?.position, good.length);
  t.deepEqual(deadLetters[0]?.raw, bad[0]);
  t.regex(deadLetters[0]?.reason ?? '', /field 'text': expected a string, got nothing/);
  t.regex(deadLetters[1]?.reason ?? '', /field 'n': expected a number, got string "x"/);
  t.regex(deadLetters[2]?.reason ?? '', /^not JSON: /);
  t.is(deadLetters[3]?.raw.length, 4_096);
  t.is(deadLetters[4]?.reason, 'not UTF-8');
});

test('a line far longer than the limit is passed over in bounded memory, whatever the split', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  const long = `"${'l'.repeat(3_000_000)}"`;
  await writeFile(path, `${linesOf([row(1)])}${long}\n${linesOf([row(2)])}`);
  for (const splitBytes of [500_000, 8_000_000]) {
    const source = fileSource({ path, format, splitBytes, lineBytesMax: 100_000 });
    const { records, deadLetters } = await drainSource(source);
    t.deepEqual(records, [row(1), row(2)]);
    const [letter] = deadLetters as [DeadLetter];
    t.is(deadLetters.length, 1);
    t.like(letter, { position: linesOf([row(1)]).length, reason: 'longer than 100000 bytes' });
    t.is(letter.raw, long.slice(0, 4_096));
  }
});

test('a byte order mark is no part of the first line', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  await writeFile(path, `\uFEFF${linesOf([row(1), row(2)])}`);
  t.deepEqual((await drainSource(fileSource({ path, format }))).records, [row(1), row(2)]);
});

test('csv: every split knows the columns from the header', async (t) => {
  const path = join(await temporaryFolder(t), 'rows.csv');
  const rows = Array.from({ length: 50 }, (_, n) =>
    row(n, n % 5 === 0 ? `a, "b" ${String(n)}` : `é${String(n)}`),
  );
  const quote = (text: string): string =>
    text.includes(',') ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = rows.map(({ n, text }) => `${quote(text)};ignored;${String(n)}`);
  await writeFile(path, `\uFEFFtext;other;n\r\n${lines.join('\r\n')}\r\n"open;1;2\r\n1;2\r\n`);
  for (const splitBytes of [10, 100, 10_000]) {
    const source = fileSource({ path, format: csv(schema, { delimiter: ';' }), splitBytes });
    const { records, deadLetters } = await drainSource(source, [
      { recordsMax: 10, then: 'checkpoint', parallelism: 1 },
      { recordsMax: 10, then: 'crash', parallelism: 3 },
    ]);
    t.deepEqual(
      [...records].sort((a, b) => a.n - b.n),
      rows,
    );
    t.is(deadLetters.length, 2);
    t.regex(deadLetters.map(({ reason }) => reason).join(), /can't hold a line break/);
    t.regex(deadLetters.map(({ reason }) => reason).join(), /expected 3 values, got 2/);
  }
});

test('csv: a header without a needed column is refused by name; an empty file has no records', async (t) => {
  const directory = await temporaryFolder(t);
  await writeFile(join(directory, 'bad.csv'), 'text\nx\n');
  await writeFile(join(directory, 'empty.csv'), '');
  const read = (name: string): Promise<unknown> =>
    drainSource(fileSource({ path: join(directory, name), format: csv(schema) }));
  await t.throwsAsync(read('bad.csv'), {
    message: /^INPUT_INVALID: .*bad\.csv: the header lacks 'n'/,
  });
  t.deepEqual(await read('empty.csv'), { records: [], deadLetters: [] });
});

test('patterns choose by name, and only in the last part of a path', async (t) => {
  const directory = await temporaryFolder(t);
  for (const [name, n] of [
    ['a-1.ndjson', 1],
    ['a-22.ndjson', 2],
    ['b.ndjson', 3],
  ] as const) {
    await writeFile(join(directory, name), linesOf([row(n)]));
  }
  const read = async (pattern: string): Promise<number[]> =>
    (await drainSource(fileSource({ path: join(directory, pattern), format }))).records.map(
      ({ n }) => n,
    );
  t.deepEqual(await read('a-*'), [1, 2]);
  t.deepEqual(await read('?.ndjson'), [3]);
  t.throws(() => fileSource({ path: 'a*/b', format }), { message: /PARAM_INVALID/ });
});

test('nothing to read: INPUT_MISSING with the absolute path and a remedy', async (t) => {
  const directory = await temporaryFolder(t);
  const discover = (path: string): Promise<unknown> =>
    fileSource({ path, format }).discoverSplits(contextFor(new ManualClock()));
  await t.throwsAsync(discover('no/such/file'), {
    message: `INPUT_MISSING: no file at ${process.cwd()}/no/such/file; correct the path`,
  });
  await t.throwsAsync(discover(directory), {
    message: /^INPUT_MISSING: directory \/.* has no files/,
  });
  await t.throwsAsync(discover(join(directory, 'x*')), { message: /^INPUT_MISSING: pattern / });
});

/** Reads the first records of a file, lets `change` do something to it, and reads on. */
async function readAround(path: string, change: () => Promise<void>): Promise<void> {
  const source = fileSource({ path, format, splitBytes: 100_000_000 });
  const context = contextFor(new ManualClock());
  const reader = source.createReader(context);
  try {
    reader.addSplits(await source.discoverSplits(context));
    reader.noMoreSplits();
    const output = new RecordingOutput<Row>();
    while (output.records.length === 0) {
      reader.poll(output, 1);
      await reader.available();
    }
    await change();
    while (reader.poll(output, 10_000) !== 'end') await reader.available();
  } finally {
    await reader.close();
  }
}

test('a file that changes while it is read: INPUT_INVALID with file, position and size', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  const content = linesOf(Array.from({ length: 30_000 }, (_, n) => row(n, 'w'.repeat(60))));
  const cases: readonly (readonly [() => Promise<void>, RegExp])[] = [
    [
      () => truncate(path, 100),
      /^INPUT_INVALID: \/.*lines shrank from \d+ bytes to 100 while .* byte \d+\); put the original/,
    ],
    [() => rm(path), /^INPUT_INVALID: \/.*lines was removed while /],
    [
      async () => {
        await writeFile(`${path}.new`, content);
        await rename(`${path}.new`, path);
      },
      /^INPUT_INVALID: \/.*lines was replaced while /,
    ],
  ];
  for (const [change, message] of cases) {
    await writeFile(path, content);
    await t.throwsAsync(readAround(path, change), { message });
  }
});

test('a file that ends before a restored position, and state of other splits, are refused', async (t) => {
  const path = join(await temporaryFolder(t), 'lines');
  await writeFile(path, linesOf(rowsOf(10)));
  const source = fileSource({ path, format });
  const [split] = await source.discoverSplits(contextFor(new ManualClock()));
  if (split === undefined) return t.fail();
  await t.throwsAsync(readSplit(source, { ...split, position: 9_999 }), {
    message:
      /^INPUT_INVALID: .* shrank from 9999 bytes to \d+ while .* byte 9999\); put the original/,
  });
  const other = fileSource({ path, format, splitBytes: 100 });
  await t.throwsAsync(readSplit(other, split), {
    message: /^INPUT_INVALID: .*set splitBytes to 8388608/,
  });
});
