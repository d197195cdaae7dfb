/**
 * Lint of all TypeScript here: typescript-eslint's type-checked rules, and the house's own bans. Clock,
 * timers, randomness and environment are injected, so that the same code runs under a seeded
 * simulation; only the places named in ADAPTERS, MAINS and TIMER_EXEMPT may reach for the real ones.
 */
import tseslint from 'typescript-eslint';

/** Files that give the rest a real clock and real randomness. */
const ADAPTERS = ['process/system-clock.ts'];

/** Files that are run as a program: they wire objects together and read the environment. */
const MAINS = ['**/main.ts', '**/*-main.ts'];

/**
 * Files that may set timers of the machine: what they wait for is outside every simulation.
 * - api/rest/client.ts: the deadline of a request over the real network
 * - cli/graph-generator.ts: the deadline of a child process that runs user code
 * - cli/orphan-watch.ts: a thread's entry, which looks whether its parent process is there
 * - worker/slot-thread.ts, worker/local/run-job.ts: doors that wire a slot to its thread's event loop
 */
const TIMER_EXEMPT = [
  'api/rest/client.ts',
  'cli/graph-generator.ts',
  'cli/orphan-watch.ts',
  'worker/slot-thread.ts',
  'worker/local/run-job.ts',
];

/** Files that read the environment because a job may only name a variable of it: secrets. */
const ENVIRONMENT_EXEMPT = ['connectors/secret.ts'];

/** Code that measures or tests; it runs against the real machine by design. */
const OUTSIDE = ['bench/**', 'test/**'];

const INJECT = 'take a Clock, Random or id generator as a parameter (core/clock.ts)';

const NO_RANDOM_IMPORTS = {
  paths: [
    {
      name: 'node:crypto',
      importNames: [
        'randomUUID',
        'randomBytes',
        'randomInt',
        'randomFillSync',
        'getRandomValues',
        'webcrypto',
      ],
      message: `Randomness is injected: ${INJECT}.`,
    },
    {
      name: 'node:perf_hooks',
      importNames: ['performance'],
      message: `Time is injected: ${INJECT}.`,
    },
    { name: 'node:timers', message: `Timers are injected: ${INJECT}.` },
    { name: 'node:timers/promises', message: `Timers are injected: ${INJECT}.` },
    { name: 'node:process', message: 'Use the global process, so that the bans below see it.' },
  ],
};

const REAL_CLOCK_AND_CHANCE = [
  { object: 'Date', property: 'now', message: `Time is injected: ${INJECT}.` },
  { object: 'performance', property: 'now', message: `Time is injected: ${INJECT}.` },
  { object: 'process', property: 'hrtime', message: `Time is injected: ${INJECT}.` },
  { object: 'Math', property: 'random', message: `Randomness is injected: ${INJECT}.` },
  { object: 'crypto', property: 'randomUUID', message: `Ids are injected: ${INJECT}.` },
  { object: 'crypto', property: 'getRandomValues', message: `Randomness is injected: ${INJECT}.` },
];

const REAL_TIMERS = [
  { object: 'AbortSignal', property: 'timeout', message: `Timers are injected: ${INJECT}.` },
  ...['globalThis', 'global'].flatMap((object) =>
    ['setTimeout', 'setInterval', 'setImmediate'].map((property) => ({
      object,
      property,
      message: `Timers are injected: ${INJECT}.`,
    })),
  ),
];

const TIMER_GLOBALS = ['setTimeout', 'setInterval', 'setImmediate'].map((name) => ({
  name,
  message: `Timers are injected: ${INJECT}.`,
}));

const ENVIRONMENT = {
  object: 'process',
  property: 'env',
  message: 'Only main.ts files read the environment; pass what you need as a parameter.',
};

const CURRENT_DATE = [
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: `new Date() reads the wall clock: ${INJECT}.`,
  },
  {
    selector: "CallExpression[callee.name='Date']",
    message: `Date() reads the wall clock: ${INJECT}.`,
  },
];

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'node_modules/',
      'proto/gen/',
      'test/fixtures/',
      '.millrace/',
      'bench/peers/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error', noInlineConfig: true } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports', disallowTypeAnnotations: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNever: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      // A line that holds no record is expected in the field: what tells of it carries no stack.
      '@typescript-eslint/only-throw-error': [
        'error',
        { allow: [{ from: 'file', name: 'LineError' }], allowThrowingUnknown: true },
      ],
      eqeqeq: 'error',
      'no-console': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    ignores: [...ADAPTERS, ...MAINS, ...OUTSIDE],
    rules: {
      'no-restricted-imports': ['error', NO_RANDOM_IMPORTS],
      'no-restricted-properties': ['error', ...REAL_CLOCK_AND_CHANCE, ...REAL_TIMERS, ENVIRONMENT],
      'no-restricted-globals': ['error', ...TIMER_GLOBALS],
      'no-restricted-syntax': ['error', ...CURRENT_DATE],
    },
  },
  {
    files: TIMER_EXEMPT,
    rules: {
      'no-restricted-properties': ['error', ...REAL_CLOCK_AND_CHANCE, ENVIRONMENT],
      'no-restricted-globals': 'off',
    },
  },
  {
    files: ADAPTERS,
    rules: { 'no-restricted-properties': ['error', ENVIRONMENT] },
  },
  {
    files: ENVIRONMENT_EXEMPT,
    rules: { 'no-restricted-properties': ['error', ...REAL_CLOCK_AND_CHANCE, ...REAL_TIMERS] },
  },
  {
    // What a type test refuses has no type to be safe with.
    files: ['test/types/**'],
    rules: {
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    files: OUTSIDE,
    rules: { 'no-console': 'off' },
  },
);
