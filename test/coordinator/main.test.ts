import test, { type ExecutionContext } from 'ava';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { RestClient } from '../../api/rest/client.js';
import { readDiscovery } from '../../coordinator/discovery-file.js';
import { temporaryFolder } from '../temporary-folder.js';

const MAIN = fileURLToPath(new URL('../../coordinator/main.js', import.meta.url));

interface Announcement {
  readonly ready?: {
    readonly role: string;
    readonly pid: number;
    readonly rest: string;
    readonly rpc: string;
  };
  readonly failed?: { readonly code: string; readonly message: string };
}

interface Started {
  readonly child: ChildProcess;
  readonly announced: Announcement;
  readonly exit: Promise<readonly [number | null, string | null]>;
}

/** Starts the real process and waits for its one line. */
async function start(t: ExecutionContext, ...flags: string[]): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, announced: JSON.parse(line) as Announcement, exit };
}

const anyPorts = ['--rest-port', '0', '--rpc-port', '0'];

test('the process announces itself, answers, and ends cleanly on SIGTERM', async (t) => {
  const folder = await temporaryFolder(t);
  const { child, announced, exit } = await start(t, '--data', folder, ...anyPorts);
  t.like(announced.ready, { role: 'coordinator', pid: child.pid });
  const { rest = '', rpc } = announced.ready ?? {};
  t.like(await readDiscovery(folder), { rest, rpc, pid: child.pid });
  t.is((await new RestClient({ address: rest }).cluster()).workers, 0);
  child.kill('SIGTERM');
  t.deepEqual(await exit, [0, null]);
  t.is(await readDiscovery(folder), undefined);
});

test('it ends with its standard input when asked to', async (t) => {
  const flags = ['--data', await temporaryFolder(t), '--exit-with-stdin', ...anyPorts];
  const { child, exit } = await start(t, ...flags);
  child.stdin?.end();
  t.deepEqual(await exit, [0, null]);
});

test('after kill -9 the next one takes over at once, under a higher epoch', async (t) => {
  const folder = await temporaryFolder(t);
  const first = await start(t, '--data', folder, ...anyPorts);
  const before = await readDiscovery(folder);
  first.child.kill('SIGKILL');
  await first.exit;
  const second = await start(t, '--data', folder, ...anyPorts);
  t.truthy(second.announced.ready);
  t.true(((await readDiscovery(folder))?.epoch ?? 0) > (before?.epoch ?? Infinity));
});

test('two coordinators on one folder, a port in use, wrong flags: one message each', async (t) => {
  const folder = await temporaryFolder(t);
  const { announced } = await start(t, '--data', folder, ...anyPorts);
  const locked = await start(t, '--data', folder, ...anyPorts);
  t.is(locked.announced.failed?.code, 'STORAGE_LOCKED');
  t.deepEqual(await locked.exit, [1, null]);
  const port = announced.ready?.rest.split(':')[1] ?? '';
  const other = await temporaryFolder(t);
  const taken = await start(t, '--data', other, '--rest-port', port, '--rpc-port', '0');
  t.is(taken.announced.failed?.code, 'PORT_IN_USE');
  t.deepEqual(await taken.exit, [1, null]);
  const secret = 's3://key:hush-hush@bucket/prefix';
  const leaky = await start(t, '--data', other, '--checkpoint-storage', secret, ...anyPorts);
  t.is(leaky.announced.failed?.code, 'USAGE');
  t.false(JSON.stringify(leaky.announced).includes('hush-hush'));
  t.deepEqual(await leaky.exit, [2, null]);
  const unreachable = 's3://bucket/prefix?endpoint=http://127.0.0.1:1&region=us-east-1';
  const alone = await start(t, '--data', other, '--checkpoint-storage', unreachable, ...anyPorts);
  t.is(alone.announced.failed?.code, 'STORAGE_UNAVAILABLE');
  t.deepEqual(await alone.exit, [1, null]);
  const exposed = await start(t, '--data', other, '--host', '0.0.0.0', ...anyPorts);
  t.is(exposed.announced.failed?.code, 'USAGE');
  t.deepEqual(await exposed.exit, [2, null]);
});
