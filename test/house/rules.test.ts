/**
 * The rules themselves: the import rules are those of the table in docs/architecture.md and catch what
 * they forbid, lint bans clock and chance where it should, and the lockfile names no registry.
 */
import test from 'ava';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { read, ROOT } from './source-tree.js';

interface ImportRule {
  readonly name: string;
  readonly comment?: string;
}

const { forbidden } = createRequire(join(ROOT, 'package.json'))('./.dependency-cruiser.cjs') as {
  readonly forbidden: readonly ImportRule[];
};

test('the import rules are the table of docs/architecture.md', (t) => {
  const rows = read('docs/architecture.md')
    .split('\n')
    .map((line) => /^\| `([a-z]+)\/`\s*\|[^|]*\|([^|]*)\|$/.exec(line))
    .filter((match) => match !== null);
  const table = new Map(
    rows.map((row) => [row[1] ?? '', (row[2] ?? '').replaceAll('`', '').trim()]),
  );
  const rooms = [
    'core',
    'proto',
    'process',
    'storage',
    'api',
    'connectors',
    'coordinator',
    'worker',
    'cli',
  ];
  for (const room of rooms) {
    const rule = forbidden.find(({ name }) => name === `${room}-imports`);
    t.is(rule?.comment, `${room}/ may import ${table.get(room)}`);
  }
  t.is(table.get('jobs'), 'package names only');
});

/** What a house looks like that breaks one rule per file: file -> [text, rule]. */
const OFFENCES: Readonly<Record<string, readonly [text: string, rule: string]>> = {
  'core/upward.ts': ["import '../worker/plain.js';", 'core-imports'],
  'core/io.ts': ["import 'node:fs';", 'core-does-no-io'],
  'coordinator/sdk.ts': ["import '../api/plain.js';", 'coordinator-imports'],
  'coordinator/worker.ts': [
    "import type { P } from '../worker/plain.js';\nexport type Q = P;",
    'coordinator-imports',
  ],
  'worker/contract.ts': ["import '../cli/plain.js';", 'worker-imports'],
  'worker/network/up.ts': ["import '../task/plain.js';", 'worker-network-imports'],
  'worker/state/up.ts': ["import '../operators/plain.js';", 'worker-state-imports'],
  'worker/operators/value.ts': ["import '../state/plain.js';", 'worker-operators-interfaces'],
  'worker/operators/network.ts': ["import '../network/plain.js';", 'worker-operators-imports'],
  'jobs/one/relative.ts': ["import '../../api/plain.js';", 'jobs-by-package-name'],
  'cli/inside.ts': ["import '../coordinator/plain.js';", 'cli-imports'],
  'api/nowhere.ts': ["import './missing.js';", 'not-to-unresolvable'],
  // A circle is reported once.
  'core/circle-back.ts': ["import './circle.js';", 'no-circular'],
};

const PLAIN = [
  'core/plain.ts',
  'api/plain.ts',
  'cli/plain.ts',
  'coordinator/plain.ts',
  'worker/plain.ts',
  'worker/task/plain.ts',
  'worker/network/plain.ts',
  'worker/operators/plain.ts',
  'worker/state/plain.ts',
];

test('the import rules catch what they forbid, and nothing else', (t) => {
  const house = mkdtempSync(join(tmpdir(), 'millrace-rules-'));
  t.teardown(() => rmSync(house, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(house, path)), { recursive: true });
    writeFileSync(join(house, path), `${text}\n`);
  };
  for (const path of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
    write(path, read(path));
  }
  for (const path of PLAIN) write(path, 'export type P = number;');
  write('core/circle.ts', "import './circle-back.js';");
  write(
    'worker/operators/type.ts',
    "import type { P } from '../state/plain.js';\nexport type Q = P;",
  );
  for (const [path, [text]] of Object.entries(OFFENCES)) write(path, text);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      ...['--config', '.dependency-cruiser.cjs', '--no-progress', '--output-type', 'json', '.'],
    ],
    { cwd: house, encoding: 'utf8' },
  );
  t.is(stderr, '');
  const { summary } = JSON.parse(stdout) as {
    readonly summary: {
      readonly violations: readonly { readonly from: string; readonly rule: ImportRule }[];
    };
  };
  const found = new Set(summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`));
  const expected = Object.entries(OFFENCES).map(([path, [, rule]]) => `${path}: ${rule}`);
  t.deepEqual([...found].sort(), expected.sort());
});

interface Restriction {
  readonly object: string;
  readonly property: string;
}

/** What lint forbids in a file, as `object.property`. */
function restrictedIn(path: string): string[] {
  const config = JSON.parse(
    execFileSync(
      process.execPath,
      [join(ROOT, 'node_modules/eslint/bin/eslint.js'), '--print-config', path],
      {
        cwd: ROOT,
        encoding: 'utf8',
      },
    ),
  ) as { readonly rules: Readonly<Record<string, readonly unknown[]>> };
  const [, ...restrictions] = config.rules['no-restricted-properties'] ?? [];
  return (restrictions as readonly Restriction[]).map((one) => `${one.object}.${one.property}`);
}

test('lint bans clock, timers, chance and environment, but in adapters and mains', (t) => {
  const all = [
    'Date.now',
    'performance.now',
    'process.hrtime',
    'Math.random',
    'crypto.randomUUID',
    'crypto.getRandomValues',
    'process.env',
  ];
  const timers = [
    'AbortSignal.timeout',
    ...['globalThis', 'global'].flatMap((object) =>
      ['setTimeout', 'setInterval', 'setImmediate'].map((name) => `${object}.${name}`),
    ),
  ];
  t.deepEqual(restrictedIn('worker/task/stream-task.ts'), [
    ...all.slice(0, -1),
    ...timers,
    'process.env',
  ]);
  t.deepEqual(restrictedIn('worker/slot-thread.ts'), all);
  t.deepEqual(restrictedIn('process/system-clock.ts'), ['process.env']);
  t.deepEqual(restrictedIn('worker/main.ts'), []);
});

interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>;
};
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

test('the lockfile names no registry, and every package by its hash', (t) => {
  t.true(packages.length > 100);
  t.deepEqual(
    packages.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path),
    [],
  );
  t.deepEqual(
    packages.filter(([, entry]) => entry.integrity === undefined).map(([path]) => path),
    [],
  );
});

test('the lockfile has the binaries of every platform, without which npm ci refuses it', (t) => {
  const locked = new Set(
    packages.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13)),
  );
  const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !locked.has(name))
      .map((name) => `${name} of ${path}`),
  );
  t.deepEqual(missing, []);
});
