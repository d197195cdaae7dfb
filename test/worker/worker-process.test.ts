import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const MAIN = fileURLToPath(new URL('../../worker/main.js', import.meta.url));

/** Runs a worker to its end. */
async function run(
  flags: readonly string[],
): Promise<{ readonly code: number; readonly stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, stderr };
}

/** A port at which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('a worker without a coordinator’s address is used wrongly', async (t) => {
  const { code, stderr } = await run([]);
  t.is(code, 2);
  t.regex(stderr, /required option '--coordinator <host:port>'/);
});

test('an address that is none is told at once', async (t) => {
  const { code, stderr } = await run(['--coordinator', 'nonsense']);
  t.is(code, 2);
  t.regex(stderr, /give HOST:PORT/);
});

test('a coordinator that is not there is told, and given up after the connect timeout', async (t) => {
  const address = `127.0.0.1:${await freePort()}`;
  const { code, stderr } = await run(['--coordinator', address, '--connect-timeout-ms', '500']);
  t.is(code, 3);
  t.regex(
    stderr,
    new RegExp(`CLUSTER_UNREACHABLE: no coordinator answered at ${address} within 500 ms`),
  );
  t.regex(stderr, /millrace coordinator/);
});
