/** Which processes of this machine have a folder of a test on their command line. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** @param folder names a test's own folder, so that no other process is meant */
export async function processesNaming(folder: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,args=']);
  return stdout
    .split('\n')
    .filter((line) => line.includes(folder))
    .map((line) => Number.parseInt(line, 10));
}
