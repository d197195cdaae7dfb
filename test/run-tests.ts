/**
 * The test command: compiles, checks import rules, lint and format, runs every test, and ends with the
 * line `N passed, N failed` (and `, N skipped`). It is bundled by itself before it runs, so that it
 * can tell of code that does not compile. Exit code 1 when anything failed.
 */
import { join } from 'node:path';
import { runCheck, type CheckPlan } from './runner/check-run.js';
import { removeStaleOutput } from './runner/stale-output.js';
import { INSTALL_APICURIO } from './services/install-apicurio.js';
import { installKafka } from './services/install-kafka.js';
import { INSTALL_VERSITYGW } from './services/install-versitygw.js';

const STEP_TIMEOUT_MS = 8 * 60_000;
const PROGRAMS_TIMEOUT_MS = 8 * 60_000;
const TESTS_TIMEOUT_MS = 45 * 60_000;

/** What tsconfig.json compiles, folder by folder. */
const COMPILED_FOLDERS = [
  'core',
  'proto',
  'process',
  'storage',
  'api',
  'connectors',
  'coordinator',
  'worker',
  'cli',
  'jobs',
  'bench',
  'test',
];

function tool(name: string, path: string, ...args: string[]): CheckPlan['tests'] {
  const command = ['node', join('node_modules', path), ...args] as const;
  return { name, command, timeoutMs: STEP_TIMEOUT_MS };
}

const plan: CheckPlan = {
  programs: [
    {
      name: 'versitygw, an S3 server',
      command: INSTALL_VERSITYGW,
      timeoutMs: PROGRAMS_TIMEOUT_MS,
    },
    {
      name: 'Apicurio, a schema registry',
      command: INSTALL_APICURIO,
      timeoutMs: PROGRAMS_TIMEOUT_MS,
    },
    { name: 'Kafka brokers', command: installKafka(), timeoutMs: PROGRAMS_TIMEOUT_MS },
  ],
  build: [
    tool('generate the wire code', '@bufbuild/buf/bin/buf', 'generate'),
    tool('compile', 'typescript/bin/tsc'),
  ],
  rules: [
    tool(
      'import rules',
      'dependency-cruiser/bin/dependency-cruise.mjs',
      ...['--config', '.dependency-cruiser.cjs', '--no-progress', '.'],
    ),
    tool('lint', 'eslint/bin/eslint.js', '.'),
    tool('format', 'prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'),
  ],
  tests: { ...tool('tests', 'ava/entrypoints/cli.mjs'), timeoutMs: TESTS_TIMEOUT_MS },
};

for (const folder of COMPILED_FOLDERS) removeStaleOutput('.', 'dist', folder);
const { failed } = await runCheck(plan, (line) => process.stdout.write(`${line}\n`));
process.exitCode = failed === 0 ? 0 : 1;
