import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { csv, fileSink, fileSource, jsonLines } from '../../../connectors/files/index.js';
import { outputError } from '../../../connectors/files/output-error.js';
import { sinkContext, sinkContract } from '../sink-contract.js';
import { drainSource } from '../source-contract.js';
import { temporaryFolder } from '../../temporary-folder.js';

const schema = types.record({ n: types.float64, text: types.string });
const record = (n: number): { n: number; text: string } => ({ n, text: `récord ${String(n)}` });
const run = promisify(execFile);

async function readNumbers(directory: string, format = jsonLines(schema)): Promise<number[]> {
  const names = await readdir(directory);
  if (!names.some((name) => name.startsWith('part-'))) return [];
  const { records, deadLetters } = await drainSource(fileSource({ path: directory, format }));
  if (deadLetters.length > 0) throw new Error(`half a line in ${directory}`);
  return records.map(({ n }) => n);
}

for (const rollBytes of [100, 1_000_000]) {
  for (const format of [jsonLines(schema), csv(schema)]) {
    sinkContract(test, `${format.name}, rolled at ${String(rollBytes)} bytes`, async () => {
      const directory = await mkdtemp(join(tmpdir(), 'millrace-sink-'));
      return {
        sink: fileSink({ path: directory, format, rollBytes }),
        record,
        read: () => readNumbers(directory, format),
        dispose: () => rm(directory, { recursive: true, force: true }),
      };
    });
  }
}

/** Writes records in one epoch and prepares it as checkpoint 1. */
async function prepare(directory: string, count: number, context = sinkContext(1)) {
  const sink = fileSink({ path: directory, format: jsonLines(schema) });
  const writer = await sink.createWriter(context);
  const committer = await sink.createCommitter(context);
  for (let n = 0; n < count; n++) writer.write(record(n), 0);
  return { writer, committer, committables: await writer.prepareCommit(1) };
}

test('names of committed files depend on nothing but what they hold; an empty epoch makes none', async (t) => {
  const directory = join(await temporaryFolder(t), 'new', 'out');
  const { writer, committer, committables } = await prepare(directory, 3);
  t.deepEqual(await writer.prepareCommit(2), []);
  await committer.commit(committables);
  const expected = [0, 1, 2].map((n) => `${JSON.stringify(record(n))}\n`).join('');
  t.is(await readFile(join(directory, 'part-out-0-1-0.ndjson'), 'utf8'), expected);
  t.deepEqual((await readdir(directory)).sort(), [
    '.out.owner.json',
    '.pending',
    'part-out-0-1-0.ndjson',
  ]);
  t.deepEqual(await readdir(join(directory, '.pending')), []);
});

test('closing removes what was not prepared, and keeps what was', async (t) => {
  const directory = await temporaryFolder(t);
  const { writer, committer, committables } = await prepare(directory, 3);
  for (let n = 0; n < 5_000; n++) writer.write(record(n), 0);
  await writer.close();
  t.is((await readdir(join(directory, '.pending'))).length, 1);
  await committer.commit(committables);
  t.is((await readNumbers(directory)).length, 3);
});

test('discarding removes what was prepared, if nobody did before', async (t) => {
  const directory = await temporaryFolder(t);
  const { committer, committables } = await prepare(directory, 3);
  t.is((await readdir(join(directory, '.pending'))).length, 1);
  await committer.discard?.(committables);
  t.deepEqual(await readdir(join(directory, '.pending')), []);
  await t.notThrowsAsync(async () => committer.discard?.(committables));
});

test('many records: the writer asks for a pause while the disk is behind', async (t) => {
  const directory = await temporaryFolder(t);
  const sink = fileSink({ path: directory, format: jsonLines() });
  const writer = await sink.createWriter(sinkContext(1));
  let pauses = 0;
  for (let n = 0; n < 100_000; n++) {
    writer.write(record(n), 0);
    const writable = writer.whenWritable();
    if (writable !== undefined) {
      pauses++;
      await writable;
      t.is(writer.whenWritable(), undefined);
    }
  }
  t.true(pauses > 0);
  const committer = await sink.createCommitter(sinkContext(1));
  await committer.commit(await writer.prepareCommit(1));
  t.is((await readNumbers(directory)).length, 100_000);
});

test('a file that is nowhere, damaged or in the way: OUTPUT_FAILED naming it, never a silent loss', async (t) => {
  const directory = await temporaryFolder(t);
  const { committer, committables } = await prepare(directory, 100);
  const [{ pending, final }] = committables as [(typeof committables)[number]];
  const pendingPath = join(directory, '.pending', pending);
  const finalPath = join(directory, final);
  const content = await readFile(pendingPath);

  await writeFile(finalPath, 'something else');
  await t.throwsAsync(committer.commit(committables), {
    message: new RegExp(`^OUTPUT_FAILED: ${finalPath} is there already and would be written over`),
  });
  await rm(finalPath);
  await truncate(pendingPath, 10);
  await t.throwsAsync(committer.commit(committables), {
    message: /^OUTPUT_FAILED: .* has 10 of \d+ bytes; /,
  });
  await rm(pendingPath);
  await t.throwsAsync(committer.commit(committables), {
    message: `OUTPUT_FAILED: neither ${pendingPath} nor ${finalPath} is there, so committed output is lost; bring either file back, or restore from an older checkpoint`,
  });
  await writeFile(finalPath, Buffer.alloc(content.length));
  await t.throwsAsync(committer.commit(committables), {
    message: /^OUTPUT_FAILED: .* is not what was written/,
  });
  await writeFile(finalPath, content);
  await t.notThrowsAsync(committer.commit(committables));
});

test('a second job is refused the directory of a first', async (t) => {
  const directory = await temporaryFolder(t);
  const { committer, committables } = await prepare(directory, 3);
  await committer.commit(committables);
  await t.throwsAsync(prepare(directory, 3, sinkContext(1, 'job-2')), {
    message:
      /^OUTPUT_CONFLICT: output of operator 'out' in .* belongs to job job-1, job job-2 can't write there; choose/,
  });
  t.is((await readNumbers(directory)).length, 3);
  await t.notThrowsAsync(prepare(directory, 3, { ...sinkContext(1, 'job-2'), operator: 'other' }));
});

test('a job that was refused a directory is refused again when it restarts, with or without a checkpoint', async (t) => {
  const directory = await temporaryFolder(t);
  const first = await prepare(directory, 3);
  const sink = fileSink({ path: directory, format: jsonLines(schema) });
  const fresh = sinkContext(2, 'job-2');
  for (const context of [
    fresh,
    { ...fresh, restoredJobId: 'job-2' },
    { ...fresh, restoredJobId: 'job-0' },
  ]) {
    const committer = await sink.createCommitter(context);
    await t.throwsAsync(committer.recover([]), {
      message: /^OUTPUT_CONFLICT: output of operator 'out' in .* belongs to job job-1/,
    });
  }
  await first.committer.commit(first.committables);
  t.is((await readNumbers(directory)).length, 3);
});

test('a job that restores takes the directory over, under names of its own; the first is then refused', async (t) => {
  const directory = await temporaryFolder(t);
  const first = await prepare(directory, 3);
  first.writer.write(record(99), 0);
  const sink = fileSink({ path: directory, format: jsonLines(schema) });
  const context = { ...sinkContext(1, 'job-2'), restoredJobId: 'job-1' };
  const committer = await sink.createCommitter(context);
  await committer.commit(first.committables);
  await committer.recover(first.committables);
  const second = await prepare(directory, 2, context);
  await second.committer.commit(second.committables);
  t.deepEqual((await readdir(directory)).filter((name) => !name.startsWith('.')).sort(), [
    'part-out-0-1-0-r1.ndjson',
    'part-out-0-1-0.ndjson',
  ]);
  await t.throwsAsync(first.writer.prepareCommit(2), {
    message: /^OUTPUT_CONFLICT: .* belongs to job job-2/,
  });
});

test('jobs restored from one that never wrote here come in one after the other', async (t) => {
  const directory = await temporaryFolder(t);
  const sink = fileSink({ path: directory, format: jsonLines(schema) });
  for (const job of ['job-2', 'job-3']) {
    const context = { ...sinkContext(1, job), restoredJobId: 'job-1' };
    await t.notThrowsAsync((await sink.createCommitter(context)).recover([]));
  }
});

test('recover leaves the files of other subtasks, operators and jobs alone', async (t) => {
  const directory = await temporaryFolder(t);
  const contexts = [
    sinkContext(1),
    sinkContext(1, 'job-1', 1),
    { ...sinkContext(1), operator: 'other' },
    sinkContext(2),
  ];
  for (const context of contexts) await prepare(directory, 1, context);
  const committer = await fileSink({ path: directory, format: jsonLines() }).createCommitter({
    ...sinkContext(2),
    parallelism: 2,
  });
  await committer.recover([]);
  t.deepEqual((await readdir(join(directory, '.pending'))).sort(), [
    'job-1~other~0~1~0',
    'job-1~out~0~2~0',
    'job-1~out~1~1~0',
  ]);
});

for (const [before, after] of [
  [5, 2],
  [3, 1],
  [2, 4],
] as const) {
  test(`of ${before} subtasks rescaled to ${after} nothing is left: committed or removed, once`, async (t) => {
    const directory = await temporaryFolder(t);
    const sink = fileSink({ path: directory, format: jsonLines(schema) });
    const subtasks = (parallelism: number): readonly number[] => [...Array(parallelism).keys()];
    // Each subtask has one epoch in the checkpoint that is restored, and one behind it.
    const restored = await Promise.all(
      subtasks(before).map(async (subtask) => {
        const context = { ...sinkContext(1, 'job-1', subtask), parallelism: before };
        const { writer, committables } = await prepare(directory, 3, context);
        writer.write(record(99), 0);
        await writer.prepareCommit(2);
        return committables;
      }),
    );
    for (const subtask of subtasks(after)) {
      const context = { ...sinkContext(2, 'job-1', subtask), parallelism: after };
      const pending = restored.filter((_, owner) => owner % after === subtask).flat();
      const committer = await sink.createCommitter({ ...context, restoredJobId: 'job-1' });
      await committer.commit(pending);
      await committer.recover(pending);
    }
    t.deepEqual(await readdir(join(directory, '.pending')), []);
    const committed = subtasks(before).flatMap(() => [0, 1, 2]);
    t.deepEqual((await readNumbers(directory)).sort(), committed.sort());
  });
}

test('a path that is a file, a damaged marker, options out of range', async (t) => {
  const directory = await temporaryFolder(t);
  await writeFile(join(directory, 'file'), '');
  await t.throwsAsync(prepare(join(directory, 'file'), 1), {
    message: /^OUTPUT_FAILED: can't create .*\/file\//,
  });
  await mkdir(join(directory, 'out'));
  await writeFile(join(directory, 'out', '.out.owner.json'), '{');
  await t.throwsAsync(prepare(join(directory, 'out'), 1), {
    message: /^OUTPUT_CONFLICT: .* is damaged/,
  });
  const format = jsonLines(schema);
  for (const options of [
    { partPrefix: '.x' },
    { partPrefix: 'a/b' },
    { rollBytes: 0 },
    { path: '' },
  ]) {
    t.throws(() => fileSink({ path: directory, format, ...options }), {
      message: /^PARAM_INVALID: fileSink/,
    });
  }
});

test('a record that the schema does not describe: SCHEMA_MISMATCH naming the field', async (t) => {
  const sink = fileSink({ path: await temporaryFolder(t), format: jsonLines(schema) });
  const writer = await sink.createWriter(sinkContext(1));
  const wrong = { n: 1 } as unknown as { n: number; text: string };
  t.throws(() => writer.write(wrong, 0), {
    message: /^SCHEMA_MISMATCH: .*field 'text': expected string/,
  });
});

test('system errors say what they mean', (t) => {
  const errorOf = (code: string): string =>
    outputError('rename', '/out/x', Object.assign(new Error(code), { code })).message;
  t.is(
    errorOf('ENOSPC'),
    "OUTPUT_FAILED: can't rename /out/x: no space left on the device; free some space",
  );
  t.regex(errorOf('EACCES'), /no permission; let the worker's user write there$/);
  t.regex(errorOf('EIO'), /EIO; check the file system$/);
});

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
(isRoot ? test : test.skip)(
  'a full disk: OUTPUT_FAILED, nothing half-committed, and on with space',
  async (t) => {
    const directory = await temporaryFolder(t);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]);
    try {
      const first = await prepare(directory, 1_000);
      await first.committer.commit(first.committables);
      const { writer } = first;
      const noSpace = {
        message: /^OUTPUT_FAILED: can't write .*: no space left on the device; free some/,
      };
      const fill = async (): Promise<void> => {
        for (let n = 0; n < 100_000; n++) {
          writer.write(record(n), 0);
          await writer.whenWritable();
        }
        await writer.prepareCommit(2);
      };
      await t.throwsAsync(fill(), noSpace);
      await t.throwsAsync(writer.prepareCommit(3), noSpace);
      await writer.close();
      t.deepEqual(
        (await readdir(directory)).filter((name) => name.startsWith('part')),
        ['part-out-0-1-0.ndjson'],
      );
      const committer = await fileSink({ path: directory, format: jsonLines() }).createCommitter(
        sinkContext(2),
      );
      await committer.commit(first.committables);
      await committer.recover(first.committables);
      const second = await prepare(directory, 0, sinkContext(2));
      second.writer.write(record(1_000), 0);
      await second.committer.commit(await second.writer.prepareCommit(2));
      t.is((await readNumbers(directory)).length, 1_001);
    } finally {
      await run('umount', [directory]);
    }
  },
);
