/**
 * What the documents say about the code, held against the code: files they name, commands they show,
 * codes and metrics they list. A document that has fallen behind fails here.
 */
import test from 'ava';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { runProgram } from '../../cli/program.js';
import { ROUTES } from '../../api/rest/contract.js';
import { ERROR_CODES, MillraceError } from '../../core/errors.js';
import { filesBelow, read, ROOT, sourceFiles } from './source-tree.js';

const documents = ['README.md', 'CHANGELOG.md', ...filesBelow('docs')].filter((path) =>
  path.endsWith('.md'),
);

/** Cells of the rows of every table in a document, headings left out. */
function tableRows(path: string): string[][] {
  return read(path)
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** The text without the marks of code. */
function plain(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '');
}

test('every file that a document names exists', (t) => {
  const pattern =
    /`((?:core|proto|process|storage|api|connectors|coordinator|worker|cli|jobs|bench|test|docs)\/[A-Za-z0-9._/-]+\.[a-z]+)`/g;
  const missing = documents.flatMap((path) =>
    [...read(path).matchAll(pattern)]
      .map((match) => match[1] ?? '')
      .filter((file) => !existsSync(join(ROOT, file)))
      .map((file) => `${path}: ${file}`),
  );
  t.deepEqual(missing, []);
});

test('every link within the documents leads somewhere', (t) => {
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(ROOT, normalize(join(dirname(path), target)))))
      .map((target) => `${path}: ${target}`),
  );
  t.deepEqual(broken, []);
});

test('the glossary has a file for every term, each term once, in order', (t) => {
  const rows = tableRows('docs/glossary.md').slice(1);
  t.true(rows.length > 40);
  t.deepEqual(
    rows.filter((row) => !existsSync(join(ROOT, plain(row[2])))).map((row) => row[0]),
    [],
  );
  const terms = rows.map((row) => (row[0] ?? '').toLowerCase());
  t.deepEqual(
    terms,
    [...new Set(terms)].sort((a, b) => (a < b ? -1 : 1)),
  );
});

test('README and architecture have their drawings', (t) => {
  for (const path of ['README.md', 'docs/architecture.md']) {
    t.regex(read(path), /```mermaid\nflowchart/, path);
  }
});

test('every decision is numbered, and says context, decision and consequences', (t) => {
  const decisions = filesBelow('docs/adr');
  t.deepEqual(
    decisions.map((path) => path.slice('docs/adr/'.length, 'docs/adr/'.length + 4)),
    decisions.map((_, index) => String(index + 1).padStart(4, '0')),
  );
  for (const path of decisions) {
    const text = read(path);
    t.regex(text, new RegExp(`^# ${Number(path.slice(9, 13))}\\. `), path);
    for (const part of ['Context', 'Decision', 'Consequences']) {
      t.true(text.includes(`**${part}.**`), `${path} lacks its ${part}`);
    }
  }
});

test('docs/errors.md lists every code with its domain and retry', (t) => {
  const listed = tableRows('docs/errors.md')
    .filter((row) => row[0] !== 'code')
    .map((row) => [plain(row[0]), [row[1], row[2]]] as const);
  t.deepEqual(
    Object.fromEntries(listed),
    Object.fromEntries(Object.entries(ERROR_CODES)) as object,
  );
  t.is(listed.length, Object.keys(ERROR_CODES).length);
});

test('docs/metrics.md lists every metric that the code registers', (t) => {
  const registered = new Set<string>();
  for (const path of sourceFiles().filter((file) =>
    /^(coordinator|worker)\/.*metrics/.test(file),
  )) {
    for (const match of read(path).matchAll(/['`](millrace_[a-z_]+(?:\$\{name\}[a-z_]+)?)['`]/g)) {
      registered.add(match[1] ?? '');
    }
  }
  for (const path of sourceFiles().filter((file) =>
    /^(connectors|worker\/operators)\//.test(file),
  )) {
    for (const [, kind, name] of read(path).matchAll(
      /\.(counter|gauge|histogram)\(\s*'([a-z_]+)'/g,
    )) {
      registered.add(`millrace_operator_${name}${kind === 'counter' ? '_total' : ''}`);
    }
  }
  const times = ['busy', 'idle', 'back_pressured'];
  const names = [...registered].flatMap((name) =>
    name.includes('$') ? times.map((time) => name.replace('${name}', time)) : [name],
  );
  const listed = tableRows('docs/metrics.md').map((row) => plain(row[0]));
  t.deepEqual(listed.filter((name) => name !== 'metric').sort(), names.sort());
});

test('docs/submitting-a-job.md lists every route of the REST API', (t) => {
  const listed = tableRows('docs/submitting-a-job.md')
    .map((row) => plain(row[0]))
    .filter((cell) => /^(GET|POST) /.test(cell));
  const routes = Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`);
  t.deepEqual(listed.sort(), routes.sort());
});

test('every command that a document shows is one, with flags that it takes', async (t) => {
  const shown = documents.flatMap((path) =>
    [...read(path).matchAll(/^(?:npx )?millrace ([a-z].*)$/gm)].map((match) => ({
      path,
      line: match[1] ?? '',
    })),
  );
  t.true(shown.length > 20);
  for (const { path, line } of shown) {
    const [command = '', ...words] = line.replace(/\s+#.*$/, '').split(/\s+/);
    const help = await helpOf(command);
    t.regex(
      help,
      new RegExp(`^Usage: millrace ${command}\\b|^Usage: millrace\\b`),
      `${path}: ${line}`,
    );
    for (const flag of words.filter((word) => word.startsWith('--'))) {
      t.true(help.includes(flag), `${path}: "millrace ${command}" takes no ${flag}`);
    }
  }
});

test('every flag of npm start that the README shows is one of the demo', async (t) => {
  const help = await helpOf('demo');
  const flags = [...read('README.md').matchAll(/npm start -- (--[a-z-]+)/g)].map(
    (match) => match[1] ?? '',
  );
  t.true(flags.length > 2);
  t.deepEqual(
    flags.filter((flag) => !help.includes(flag)),
    [],
  );
});

/** The help of a command; for the two that are doors of their own, the source of the door. */
async function helpOf(command: string): Promise<string> {
  if (command === 'coordinator' || command === 'worker') {
    return `Usage: millrace ${command}\n${read(`${command}/main.ts`)}`;
  }
  let text = '';
  const print = (part: string): void => {
    text += part;
  };
  const code = await runProgram([command, '--help'], {
    workingFolder: ROOT,
    defaultCluster: undefined,
    environment: {},
    terminal: undefined,
    color: false,
    clock: {
      now: () => 0,
      monotonic: () => 0,
      setTimer: () => {
        throw new MillraceError('INTERNAL', 'help waits for nothing');
      },
    },
    interrupted: new AbortController().signal,
    print,
    note: print,
  });
  return code === 0 ? text : `exit code ${code} for ${command}: ${text}`;
}
