import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createBundle, type BundleOptions } from '../../cli/bundler.js';
import { BUNDLE_LIMITS } from '../../core/bundle.js';
import type { MillraceError } from '../../core/errors.js';
import { openBundleArchive } from '../../storage/bundle-archive.js';
import { copyOfJob, FIXTURE_JOBS, jobFolder } from './job-folder.js';

const CLICKS = path.join(FIXTURE_JOBS, 'clicks');
const PARAMS = { site: 'example.org' };

const SOURCE = `
const source = {
  description: 'test',
  schema: t.string,
  splitSchema: t.record({ id: t.string, ordinal: t.int32 }),
  bounded: true,
} as never;
`;

async function refusal(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  options: Partial<BundleOptions> = {},
): Promise<MillraceError> {
  const workingFolder = await jobFolder(t, files);
  const error = await t.throwsAsync<MillraceError>(
    createBundle({ file: 'job.ts', params: {}, workingFolder, ...options }),
  );
  t.false(error.message.includes('millrace-graph-'), 'no temporary path is shown');
  return error;
}

test('a job with a library, a scoring module and assets becomes one verified bundle', async (t) => {
  const bundle = await createBundle({ file: 'job.ts', params: PARAMS, workingFolder: CLICKS });
  const { manifest } = await openBundleArchive(bundle.archive);
  t.is(manifest.jobName, 'clicks');
  t.deepEqual(manifest.params, PARAMS);
  t.deepEqual(
    manifest.files.map((file) => file.path),
    ['assets/model.json', 'job.mjs', 'job.mjs.map', 'modules/0.mjs', 'modules/0.mjs.map'],
  );
  const score = manifest.streamGraph.nodes.find((node) => node.name === 'score');
  t.is(score?.module, './score.ts');
  t.regex(score?.declaredAt ?? '', /^job\.ts:\d+:\d+$/);
});

test('the same sources in another folder make the same bundle', async (t) => {
  const elsewhere = await copyOfJob(t, 'clicks');
  const here = await createBundle({ file: 'job.ts', params: PARAMS, workingFolder: CLICKS });
  const there = await createBundle({
    file: path.join(path.basename(elsewhere), 'job.ts'),
    params: PARAMS,
    workingFolder: path.dirname(elsewhere),
  });
  t.is(there.id, here.id);
});

test('a builder sees no environment, the checks of its sources and sinks do', async (t) => {
  const workingFolder = await jobFolder(t, {
    'job.ts': `import { job, t } from 'millrace';
${SOURCE}
const seen = process.env['SECRET'] ?? 'nothing';
export default job('asking', {}, (env) => {
  env.source('rows', {
    ...(source as object),
    check: () => Promise.reject(new Error(seen + ' and ' + process.env['SECRET'])),
  } as never).sinkTo('rest', { description: 'none', committableSchema: t.string } as never);
});
`,
  });
  const job = { file: 'job.ts', params: {}, workingFolder };
  await t.notThrowsAsync(createBundle(job));
  const checkIn = { SECRET: 'hidden', UNSET: undefined };
  await t.throwsAsync(createBundle({ ...job, checkIn }), { message: /nothing and hidden/ });
});

test('other parameters make another bundle', async (t) => {
  const one = await createBundle({ file: 'job.ts', params: PARAMS, workingFolder: CLICKS });
  const two = await createBundle({
    file: 'job.ts',
    params: { ...PARAMS, burst: '9' },
    workingFolder: CLICKS,
  });
  t.not(one.id, two.id);
});

test('npm dependencies travel in the bundle, also CommonJS ones that use modules of Node', async (t) => {
  const workingFolder = await jobFolder(t, {
    'node_modules/old-school/package.json': '{"name":"old-school","main":"index.js"}',
    'node_modules/old-school/index.js':
      "const { posix } = require('path');\nmodule.exports = posix.join(require('./more.js'), 'clicks');\n",
    'node_modules/old-school/more.js': "module.exports = '..';\n",
    'job.ts': `import { job, t } from 'millrace';
import more from 'old-school';${SOURCE}
export default job('dependent', {}, (env) => {
  env.source(more.replace('../', ''), source).sinkTo('out', { description: '', committableSchema: t.string } as never);
});\n`,
  });
  const { manifest } = await createBundle({ file: 'job.ts', params: {}, workingFolder });
  t.is(manifest.streamGraph.nodes[0]?.name, 'clicks');
});

test('a syntax error shows file, line, column and the line of code', async (t) => {
  const error = await refusal(t, { 'job.ts': 'const fine = 1;\nconst a foo = 1;\n' });
  t.is(error.code, 'BUNDLE_INVALID');
  t.is(
    error.message,
    [
      'BUNDLE_INVALID: job.ts:2:9: Expected ";" but found "foo"',
      '  2 | const a foo = 1;',
      '    |         ^',
      '  correct the line and try again',
    ].join('\n'),
  );
});

test('a missing import names the import and what to do', async (t) => {
  const error = await refusal(t, {
    'job.ts':
      "import { a } from './lib/nope.js';\nimport b from 'no-such-package';\nexport default [a, b];\n",
  });
  t.is(error.code, 'BUNDLE_INVALID');
  t.true(error.message.includes('job.ts:1:19: nothing is found for the import "./lib/nope.js"'));
  t.true(error.message.includes('npm install no-such-package'));
});

test('an export that millrace does not have is named with its line', async (t) => {
  const error = await refusal(t, {
    'job.ts': "import { nothing } from 'millrace';\nexport default nothing;\n",
  });
  t.is(error.code, 'BUNDLE_INVALID');
  t.regex(error.message, /job\.ts:1: .*'nothing'/);
  const subpath = await refusal(t, { 'job.ts': "export * from 'millrace/nope';\n" });
  t.true(subpath.message.includes('"millrace/nope"'));
});

test('a native module is refused with its package and the chain of imports', async (t) => {
  const error = await refusal(t, {
    'node_modules/fast-db/package.json': '{"name":"fast-db","main":"index.js"}',
    'node_modules/fast-db/index.js': "module.exports = require('./build/fast.node');\n",
    'job.ts': "import { db } from './lib/db.js';\nexport default db;\n",
    'lib/db.ts': "import db from 'fast-db';\nexport { db };\n",
  });
  t.is(error.code, 'BUNDLE_INVALID');
  t.true(error.message.includes('package "fast-db" is a native module'));
  t.true(error.message.includes('job.ts -> lib/db.ts -> fast-db -> ./build/fast.node'));
});

test('two operators with one name show both lines of the user', async (t) => {
  const error = await refusal(t, {
    'job.ts': `import { job, t } from 'millrace';${SOURCE}export default job('twice', {}, (env) => {
  env.source('clicks', source);
  env.source('clicks', source);
});\n`,
  });
  t.is(error.code, 'OPERATOR_NAME_DUPLICATE');
  t.true(error.message.includes('at job.ts:9:7 and at job.ts:10:7'));
});

test('a builder that throws shows the line that threw', async (t) => {
  const error = await refusal(t, {
    'job.ts': `import { job } from 'millrace';
import { region } from './region.js';
export default job('throws', {}, () => {
  region('north');
});\n`,
    'region.ts': `export function region(name: string): never {
  throw new Error('no region ' + name);
}\n`,
  });
  t.is(error.code, 'USER_CODE_FAILED');
  t.true(error.message.includes('no region north'));
  t.regex(error.stack ?? '', /at region \(region\.ts:2:9\)\n\s+at job\.ts:4:3/);
});

test('code that throws while it is loaded shows its line', async (t) => {
  const error = await refusal(t, { 'job.ts': "JSON.parse('{');\nexport default 1;\n" });
  t.not(error.code, 'INTERNAL');
  t.regex(error.stack ?? '', /job\.ts:1:6/);
});

test('a file that exports no job is told how to', async (t) => {
  const error = await refusal(t, { 'job.ts': 'export default 3;\n' });
  t.is(error.code, 'JOB_INVALID');
  t.true(error.message.includes('export default job('));
});

test('a builder that never ends is ended', async (t) => {
  const error = await refusal(
    t,
    {
      'job.ts':
        "import { job } from 'millrace';\nexport default job('x', {}, () => { for (;;); });\n",
    },
    { graphTimeoutMs: 500 },
  );
  t.is(error.code, 'JOB_INVALID');
  t.true(error.message.includes('was not done after 0.5 s'));
});

test('a builder that eats all memory takes only its own process', async (t) => {
  const error = await refusal(
    t,
    {
      'job.ts': `import { job } from 'millrace';
const kept: number[][] = [];
export default job('x', {}, () => { for (;;) kept.push(new Array<number>(10_000).fill(1.5)); });\n`,
    },
    { heapMbMax: 32 },
  );
  t.is(error.code, 'JOB_INVALID');
  t.true(error.message.includes('ran out of memory (32 MB)'));
});

test('a builder that ends its process is reported', async (t) => {
  const error = await refusal(t, {
    'job.ts':
      "import { job } from 'millrace';\nexport default job('x', {}, () => process.exit(0));\n",
  });
  t.is(error.code, 'JOB_INVALID');
  t.true(error.message.includes('ended its process'));
});

test('a scoring module must exist and export score', async (t) => {
  const score = (module: string): string => `import { job, t } from 'millrace';${SOURCE}
export default job('scored', {}, (env) => {
  env.source('in', source)
    .score('score', { module: '${module}', input: t.string, result: t.string, select: String, combine: String })
    .sinkTo('out', { description: '', committableSchema: t.string } as never);
});\n`;
  const absent = await refusal(t, { 'job.ts': score('./absent.ts') });
  t.is(absent.code, 'BUNDLE_INVALID');
  t.regex(absent.message, /"score" \(job\.ts:\d+:\d+\) names the scoring module "\.\/absent\.ts"/);
  const wrong = await refusal(t, {
    'job.ts': score('./wrong.ts'),
    'wrong.ts': 'export const scores = 1;\n',
  });
  t.is(wrong.code, 'JOB_INVALID');
  t.true(wrong.message.includes('wrong.ts has no function "score"'));
});

test('assets over the limit are refused', async (t) => {
  const error = await t.throwsAsync<MillraceError>(
    createBundle({
      file: 'job.ts',
      params: PARAMS,
      workingFolder: CLICKS,
      limits: { ...BUNDLE_LIMITS, contentBytesMax: 10 },
    }),
  );
  t.is(error.code, 'BUNDLE_TOO_LARGE');
});

test('what a builder prints is handed on', async (t) => {
  const workingFolder = await jobFolder(t, {
    'job.ts': `import { job, t } from 'millrace';${SOURCE}
export default job('chatty', {}, (env) => {
  console.log('building');
  env.source('in', source).sinkTo('out', { description: '', committableSchema: t.string } as never);
});\n`,
  });
  let output = '';
  await createBundle({
    file: 'job.ts',
    params: {},
    workingFolder,
    onOutput: (text) => (output += text),
  });
  t.is(output, 'building\n');
});

test('an interruption ends the builder', async (t) => {
  const controller = new AbortController();
  controller.abort();
  const error = await refusal(
    t,
    {
      'job.ts':
        "import { job } from 'millrace';\nexport default job('x', {}, () => { for (;;); });\n",
    },
    { signal: controller.signal },
  );
  t.is(error.code, 'CANCELED');
});
