/**
 * Who may import whom: the table of docs/architecture.md as rules. Imports run downwards only and
 * never in a circle; types count as imports, because a type ties two rooms together as well.
 * Relative imports are used inside the package, so that no import slips past.
 */

/** Rooms of the table, each with all that it may import beside itself and npm packages. */
const MAY_IMPORT = {
  core: [],
  proto: ['core'],
  process: ['core'],
  storage: ['core'],
  api: ['core'],
  connectors: ['api', 'core'],
  coordinator: ['core', 'proto', 'process', 'storage', 'api/rest'],
  worker: ['core', 'proto', 'process', 'storage', 'api'],
  // The CLI writes the bundle that coordinator and workers read: the archive's format has one home. It
  // asks Kafka brokers for a job's lag, and shows what the demo writes to a topic.
  cli: [
    'api',
    'core',
    'process',
    'storage/bundle-archive',
    'storage/create-folder',
    'coordinator/main',
    'worker/main',
    'connectors/formats',
    'connectors/kafka',
  ],
};

/** The layers inside worker/, each with all of worker/ that it may import beside itself. */
const MAY_IMPORT_IN_WORKER = {
  network: [],
  state: [],
  compute: [],
  operators: [],
  task: ['operators', 'network', 'state', 'compute'],
};

/** Anything of ours; `dist/` is how a job meets the package by its name. */
const OURS =
  '^(core|proto|process|storage|api|connectors|coordinator|worker|cli|dashboard|jobs|bench|test|dist)/';

function oneOf(paths) {
  return paths.map((path) => `^${path}(/|\\.ts$)`);
}

const rooms = Object.entries(MAY_IMPORT).map(([room, allowed]) => ({
  name: `${room}-imports`,
  comment: `${room}/ may import ${allowed.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^${room}/` },
  to: { path: OURS, pathNot: oneOf([room, ...allowed]) },
}));

const workerLayers = Object.entries(MAY_IMPORT_IN_WORKER).map(([layer, allowed]) => ({
  name: `worker-${layer}-imports`,
  comment: `worker/${layer}/ may import ${allowed.join(', ') || 'nothing'} of worker/`,
  severity: 'error',
  from: { path: `^worker/${layer}/` },
  to: {
    path: '^worker/',
    pathNot: [
      ...oneOf([`worker/${layer}`, ...allowed.map((other) => `worker/${other}`)]),
      // Operators see the interfaces of state and compute; worker-operators-interfaces holds them to that.
      ...(layer === 'operators' ? oneOf(['worker/state', 'worker/compute']) : []),
    ],
  },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'imports never form a circle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'not-to-unresolvable',
      comment: 'an import leads somewhere',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'declared-packages-only',
      comment: 'what runs imports only packages that package.json lists as dependencies',
      severity: 'error',
      from: { path: '^(core|proto|process|storage|api|connectors|coordinator|worker|cli|jobs)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    ...rooms,
    {
      name: 'api-sdk-not-rest',
      comment: 'the job SDK knows nothing of the REST contract, nor the contract of the SDK',
      severity: 'error',
      from: { path: '^api/[^/]+\\.ts$' },
      to: { path: '^api/rest/' },
    },
    {
      name: 'api-rest-not-sdk',
      severity: 'error',
      from: { path: '^api/rest/' },
      to: { path: '^api/[^/]+\\.ts$' },
    },
    {
      name: 'core-does-no-io',
      comment: 'core holds vocabulary and pure decisions: no I/O, no clock, no randomness',
      severity: 'error',
      from: { path: '^core/' },
      // vm compiles the generated codecs; it reaches nothing outside the process.
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?vm$' },
    },
    {
      name: 'jobs-by-package-name',
      comment: 'a job is written as a user would write it: package names, and files of jobs',
      severity: 'error',
      from: { path: '^jobs/' },
      to: { path: OURS, pathNot: ['^jobs/', '^dist/(api|connectors)/'] },
    },
    {
      name: 'jobs-not-relative-into-dist',
      comment: 'the package is met by its name, never by a path into it',
      severity: 'error',
      from: { path: '^jobs/' },
      to: { path: '^dist/', dependencyTypes: ['local'] },
    },
    {
      name: 'nobody-imports-jobs-or-dist',
      comment: 'jobs and build output are nobody’s library',
      severity: 'error',
      from: { pathNot: '^(jobs|test|bench)/' },
      to: { path: '^(jobs|dist|test|bench)/' },
    },
    ...workerLayers,
    {
      name: 'worker-operators-interfaces',
      comment: 'operators see only the interfaces (types) of state and compute',
      severity: 'error',
      from: { path: '^worker/operators/' },
      to: { path: '^worker/(state|compute)/', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    doNotFollow: { path: ['node_modules', '^dist/', '^proto/gen/'] },
    exclude: { path: ['^test/fixtures/', '^bench/peers/', '^\\.millrace/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.d.ts', '.js', '.json'],
    },
  },
};
