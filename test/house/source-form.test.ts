/**
 * The form of the code, where no tool checks it: what a file is called, how it opens, how long it is,
 * and words that must not stand in it. Each failure lists every file at fault.
 */
import test from 'ava';
import { read, sourceFiles } from './source-tree.js';

const LINES_MAX = 450;
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|types|d))?\.ts$/;
/** Names that say nothing of what is inside. */
const VAGUE = /^(.*-)?(utils?|helpers?|managers?|common|misc)(\.test)?\.ts$/;
/** Barrels are for the doors that package.json exports. */
const BARREL = 'index.ts';
const BANNED = new RegExp(
  [`TO${'DO'}\\b`, `FIX${'ME'}\\b`, `@ts-${'ignore'}`, `@ts-${'nocheck'}`, `eslint-${'disable'}`]
    .map((word) => `(${word})`)
    .join('|'),
);

const files = sourceFiles();

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

test('there are files to look at', (t) => {
  t.true(files.length > 100);
});

test('every file opens with a comment that says what it is', (t) => {
  // A test says by its name whose test it is.
  const silent = files.filter((path) => {
    if (path.endsWith('.test.ts')) return false;
    const text = read(path).replace(/^#!.*\n/, '');
    return !text.startsWith('/**');
  });
  t.deepEqual(silent, []);
});

test(`no file has more than ${LINES_MAX} lines`, (t) => {
  const long = files
    .map((path) => ({ path, lines: read(path).split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  t.deepEqual(long, []);
});

test('file names are kebab-case', (t) => {
  t.deepEqual(
    files.filter((path) => !KEBAB_CASE.test(nameOf(path))),
    [],
  );
});

test('no file is called by a word that says nothing', (t) => {
  t.deepEqual(
    files.filter((path) => VAGUE.test(nameOf(path))),
    [],
  );
});

test('barrels stand only at the doors of package.json', (t) => {
  const { exports } = JSON.parse(read('package.json')) as {
    readonly exports: Readonly<Record<string, string>>;
  };
  const doors = Object.values(exports).map((door) =>
    door.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts'),
  );
  t.deepEqual(
    files.filter((path) => nameOf(path) === BARREL && !doors.includes(path)),
    [],
  );
});

test('nothing is left for later, and no check is switched off', (t) => {
  const marked = files.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) =>
        BANNED.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
  t.deepEqual(marked, []);
});
