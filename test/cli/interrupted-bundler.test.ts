import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { compileModules } from '../../cli/bundle-compiler.js';
import { temporaryFolder } from '../temporary-folder.js';

/** The bundler's own process lives as long as this one. */
async function bundlerPid(): Promise<number | undefined> {
  const listed = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  for (const pid of listed.split(' ').filter((one) => one !== '')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    if (command.includes('esbuild')) return Number(pid);
  }
  return undefined;
}

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux('a bundler that ends by Ctrl-C was interrupted, and else has failed', async (t) => {
  const jobFolder = await temporaryFolder(t);
  const file = join(jobFolder, 'job.ts');
  await writeFile(file, 'export default 1;\n');
  const options = { entries: [{ file, output: 'job' }], jobFolder, displayRoot: jobFolder };
  await compileModules(options);
  const pid = await bundlerPid();
  if (pid === undefined) return t.fail('the bundler has no process');
  const compiled = compileModules({ ...options, signal: AbortSignal.abort() });
  process.kill(pid, 'SIGKILL');
  await t.throwsAsync(compiled, { message: 'CANCELED: interrupted; nothing was changed' });
  // It does not come back in this process.
  await t.throwsAsync(compileModules(options), {
    message: 'INTERNAL: the bundler failed; run with --verbose to see where',
  });
});
