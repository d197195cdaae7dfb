import path from 'node:path';
import test from 'ava';
import { compileModules } from '../../cli/bundle-compiler.js';
import { SourcePositions } from '../../cli/source-positions.js';
import { jobFolder } from './job-folder.js';

test('positions in compiled modules become those of the sources, wherever they stand', async (t) => {
  const folder = await jobFolder(t, {
    'job/job.ts': "import { fail } from '../lib/fail.js';\nexport default () => fail();\n",
    'lib/fail.ts':
      'type Unused = string;\nexport function fail(): never {\n  throw new Error("x");\n}\n',
  });
  const files = await compileModules({
    entries: [{ file: path.join(folder, 'job/job.ts'), output: 'job' }],
    jobFolder: path.join(folder, 'job'),
    displayRoot: folder,
  });
  const code = Buffer.from(files.get('job.mjs') ?? []).toString();
  const line = code.split('\n').findIndex((text) => text.includes('throw new Error'));
  const positions = new SourcePositions('/loaded/from', [
    { path: 'job.mjs', map: files.get('job.mjs.map') ?? new Uint8Array() },
  ]);
  const restore = (text: string): string => positions.restore(text, (source) => `job/${source}`);
  t.is(
    restore(
      `at fail (file:///loaded/from/job.mjs:${line + 1}:3) and /loaded/from/job.mjs:${line + 1}`,
    ),
    'at fail (job/../lib/fail.ts:3:3) and job/../lib/fail.ts:3',
  );
  t.is(restore('at /elsewhere/job.mjs:1:1, 12:30'), 'at /elsewhere/job.mjs:1:1, 12:30');
});
