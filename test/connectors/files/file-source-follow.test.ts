import { appendFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { t as types } from '../../../api/schema.js';
import type { SourceReader } from '../../../api/source.js';
import { csv, fileSource, jsonLines, type FileSplit } from '../../../connectors/files/index.js';
import { ManualClock } from '../../manual-clock.js';
import { RecordingOutput } from '../recording-output.js';
import { contextFor } from '../source-contract.js';
import { temporaryFolder } from '../../temporary-folder.js';

const schema = types.record({ n: types.float64 });
type Row = { n: number };
const format = jsonLines(schema);
const line = (n: number): string => `${JSON.stringify({ n })}\n`;

class Following {
  readonly output = new RecordingOutput<Row>();
  readonly clock: ManualClock;
  readonly reader: SourceReader<Row, FileSplit>;

  constructor(
    t: ExecutionContext,
    readonly source: ReturnType<typeof fileSource<Row>>,
    clock = new ManualClock(),
  ) {
    this.clock = clock;
    this.reader = source.createReader(contextFor(clock));
    t.teardown(() => this.reader.close());
  }

  get numbers(): number[] {
    return this.output.records.map(({ n }) => n);
  }

  async discover(): Promise<void> {
    const known = this.reader.snapshot().map(({ id }) => id);
    const splits = await this.source.discoverSplits(contextFor(this.clock));
    this.reader.addSplits(splits.filter(({ id }) => !known.includes(id)));
  }

  /** Polls until there are `count` records. */
  async read(count: number): Promise<void> {
    while (this.output.records.length < count) {
      const result = this.reader.poll(this.output, 2);
      if (result === 'wait' && this.output.records.length < count) await this.reader.available();
    }
  }
}

test('what is appended to a followed file comes at once, a line once it is whole', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  await writeFile(path, line(1) + '{"n":');
  const source = fileSource({ path, format, follow: true });
  t.false(source.bounded);
  t.is(source.discoveryIntervalMs, 1_000);
  const following = new Following(t, source);
  await following.discover();
  following.reader.noMoreSplits();
  await following.read(1);
  await appendFile(path, '2}\n{"n"');
  await following.read(2);
  t.is(following.reader.snapshot()[0]?.position, (line(1) + line(2)).length);
  await appendFile(path, ':3}\n');
  await following.read(3);
  t.deepEqual(following.numbers, [1, 2, 3]);
  t.deepEqual(following.output.deadLetters, []);
});

test('a followed file that grows over the ends of splits: each line once, ended splits finished', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  await writeFile(path, '');
  const following = new Following(t, fileSource({ path, format, follow: true, splitBytes: 20 }));
  for (let n = 0; n < 30; n++) {
    const text = line(n);
    await appendFile(path, text.slice(0, n % 8));
    await following.discover();
    await appendFile(path, text.slice(n % 8));
    await following.discover();
    await following.read(n + 1);
  }
  t.deepEqual(following.numbers, [...Array(30).keys()]);
  const splits = following.reader.snapshot();
  t.true(splits.length > 10);
  t.true(splits.slice(0, -2).every(({ finished }) => finished));
});

test('a restored reader goes on where the snapshot was taken', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  await writeFile(path, [1, 2, 3].map(line).join(''));
  const source = fileSource({ path, format, follow: true });
  const first = new Following(t, source);
  await first.discover();
  await first.read(2);
  const second = new Following(t, source);
  second.reader.addSplits(first.reader.snapshot());
  await appendFile(path, line(4));
  await second.read(2);
  t.deepEqual(second.numbers, [3, 4]);
});

test('a file that was read to its end once can be followed from there', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  await writeFile(path, line(1));
  const bounded = new Following(t, fileSource({ path, format }));
  await bounded.discover();
  bounded.reader.noMoreSplits();
  while (bounded.reader.poll(bounded.output, 9) !== 'end') await bounded.reader.available();
  const following = new Following(t, fileSource({ path, format, follow: true }));
  following.reader.addSplits(bounded.reader.snapshot());
  await appendFile(path, line(2));
  await following.read(1);
  t.deepEqual([...bounded.numbers, ...following.numbers], [1, 2]);
});

test('a directory may be empty at first; files that come later are read, and none waits for another', async (t) => {
  const directory = await temporaryFolder(t);
  const following = new Following(t, fileSource({ path: directory, format, follow: true }));
  await following.discover();
  await writeFile(join(directory, 'b'), line(1));
  await following.discover();
  await following.read(1);
  await writeFile(join(directory, 'a'), line(2));
  await following.discover();
  await following.read(2);
  await appendFile(join(directory, 'b'), line(3));
  await following.read(3);
  await appendFile(join(directory, 'a'), line(4));
  await following.read(4);
  t.deepEqual(following.numbers, [1, 2, 3, 4]);
});

test('growth that no event tells of is found by looking', async (t) => {
  const directory = await temporaryFolder(t);
  const path = join(directory, 'log');
  await writeFile(path, line(1));
  const following = new Following(
    t,
    fileSource({ path, format, follow: true, pollIntervalMs: 250 }),
  );
  await following.discover();
  await following.read(1);
  while (following.clock.nextDueMs === undefined) {
    if (
      following.reader.poll(following.output, 2) === 'wait' &&
      following.clock.nextDueMs === undefined
    ) {
      await following.reader.available();
    }
  }
  t.is(following.clock.nextDueMs, 250);
  following.clock.advance(250);
  t.is(following.clock.nextDueMs, 500);
  await following.reader.close();
  t.true(following.clock.nextDueMs === undefined);
});

test('a followed file that shrinks or is replaced: INPUT_INVALID', async (t) => {
  const path = join(await temporaryFolder(t), 'log');
  await writeFile(path, line(1) + line(2));
  const following = new Following(t, fileSource({ path, format, follow: true }));
  await following.discover();
  await following.read(2);
  await truncate(path, 3);
  await t.throwsAsync(following.read(3), {
    message:
      /^INPUT_INVALID: .*log shrank from 16 bytes to 3 while it was read \(up to byte 16\); /,
  });
});

test('csv: a followed file may get its header late', async (t) => {
  const directory = await temporaryFolder(t);
  await mkdir(join(directory, 'in'));
  const path = join(directory, 'in', 'log.csv');
  await writeFile(path, '');
  const following = new Following(t, fileSource({ path, format: csv(schema), follow: true }));
  await following.discover();
  t.is(following.reader.poll(following.output, 1), 'wait');
  await appendFile(path, 'n');
  await appendFile(path, '\n7\n');
  await following.read(1);
  t.deepEqual(following.numbers, [7]);
});
