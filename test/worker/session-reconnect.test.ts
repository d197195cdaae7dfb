/** The session client against a coordinator over real gRPC: registering, losing it, finding it again. */
import { EventEmitter, once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { isMillraceError } from '../../core/errors.js';
import type { Clock } from '../../core/clock.js';
import { SessionClient } from '../../worker/session-client.js';
import { systemClock } from '../../process/system-clock.js';
import { ManualClock } from '../manual-clock.js';
import { ControlServer, registerOf } from './control-server.js';

/** Well past every pause between two tries. */
const PAUSE_MS = 1_100;

async function open(t: ExecutionContext, clock: Clock) {
  const server = new ControlServer();
  const coordinator = await server.listen();
  const events = new EventEmitter();
  const client = new SessionClient({
    coordinator,
    register: registerOf('w1'),
    clock,
    onRegistered: (registered) => events.emit('registered', registered),
    onCommand: (command) => events.emit('command', command),
    onRefused: (error) => events.emit('refused', error),
    onUnreachable: (reason) => events.emit('unreachable', reason),
    onDisconnected: (reason) => events.emit('disconnected', reason),
  });
  t.teardown(() => {
    client.close();
    server.close();
  });
  const next = async (event: string): Promise<unknown> => (await once(events, event))[0];
  /** Connects and is registered. */
  const register = async (heartbeatTimeoutMs = 5_000) => {
    client.connect();
    const session = await server.session();
    await session.receive();
    const registered = next('registered');
    session.register(heartbeatTimeoutMs);
    await registered;
    return session;
  };
  return { server, client, events, next, register };
}

test('a worker registers first, then reports and is commanded', async (t) => {
  const { server, client, next } = await open(t, new ManualClock());
  client.send({ $case: 'heartbeat', value: { sequence: 1, rssBytes: 0, freeSlots: 0 } });
  client.connect();
  const session = await server.session();
  t.deepEqual(await session.receive(), { $case: 'register', value: registerOf('w1') });
  t.false(client.isConnected);
  const registered = next('registered');
  session.register(5_000);
  t.like(await registered, { epoch: 3, clusterId: 'c1' });
  t.true(client.isConnected);
  client.send({ $case: 'heartbeat', value: { sequence: 2, rssBytes: 7, freeSlots: 1 } });
  t.like(await session.receive(), { $case: 'heartbeat', value: { sequence: 2 } });
  const command = next('command');
  session.send({ $case: 'cancelAttempt', value: { jobId: 'job', attempt: 2 } });
  t.deepEqual(await command, { $case: 'cancelAttempt', value: { jobId: 'job', attempt: 2 } });
});

test('a refusal is told with its code and message, and is final', async (t) => {
  const clock = new ManualClock();
  const { server, client, next, events } = await open(t, clock);
  client.connect();
  const session = await server.session();
  const refused = next('refused');
  session.send({
    $case: 'refused',
    value: { code: 'VERSION_MISMATCH', message: 'protocol 1 is not 2; upgrade the worker' },
  });
  const error = await refused;
  t.true(isMillraceError(error) && error.code === 'VERSION_MISMATCH');
  t.is((error as Error).message, 'VERSION_MISMATCH: protocol 1 is not 2; upgrade the worker');
  events.once('disconnected', () => t.fail('a refused worker has nothing to lose'));
  session.end();
  clock.advance(60_000);
  t.false(client.isConnected);
});

test('a refusal with a code of a newer coordinator is still told', async (t) => {
  const { server, client, next } = await open(t, new ManualClock());
  client.connect();
  const session = await server.session();
  const refused = next('refused');
  session.send({ $case: 'refused', value: { code: 'OF_TOMORROW', message: 'no' } });
  t.is(((await refused) as Error).message, 'INTERNAL: no');
});

test('a session that the coordinator ends is opened again after a pause', async (t) => {
  const clock = new ManualClock();
  const { server, client, next, register } = await open(t, clock);
  const first = await register();
  const disconnected = next('disconnected');
  first.end();
  t.is(await disconnected, 'the coordinator closed the session');
  t.false(client.isConnected);
  clock.advance(PAUSE_MS);
  const second = await server.session();
  t.like(await second.receive(), { $case: 'register' });
  const registered = next('registered');
  second.register(5_000);
  await registered;
  t.true(client.isConnected);
});

test('a stream that breaks is opened again, and the reason is told once', async (t) => {
  const clock = new ManualClock();
  const { server, events, next, register } = await open(t, clock);
  const reasons: unknown[] = [];
  events.on('disconnected', (reason) => reasons.push(reason));
  const first = await register();
  const disconnected = next('disconnected');
  first.break('the leader has changed');
  await disconnected;
  clock.advance(PAUSE_MS);
  const second = await server.session();
  t.like(await second.receive(), { $case: 'register' });
  t.deepEqual(reasons, ['the leader has changed']);
});

test('a registered coordinator that goes silent is left after its heartbeat timeout', async (t) => {
  const clock = new ManualClock();
  const { server, next, register } = await open(t, clock);
  const first = await register(500);
  clock.advance(499);
  const command = next('command');
  first.send({ $case: 'heartbeatRequest', value: { sequence: 1 } });
  await command;
  clock.advance(499);
  const disconnected = next('disconnected');
  clock.advance(1);
  t.is(await disconnected, 'no heartbeat from the coordinator for 500 ms');
  await first.canceled;
  clock.advance(PAUSE_MS);
  t.like(await (await server.session()).receive(), { $case: 'register' });
});

test('a coordinator that is not there is told, and tried again', async (t) => {
  const clock = new ManualClock();
  const { server, client, events, next } = await open(t, clock);
  events.once('disconnected', () => t.fail('there was no session to lose'));
  server.close();
  for (let attempt = 0; attempt < 2; attempt++) {
    const unreachable = next('unreachable');
    if (attempt === 0) client.connect();
    else clock.advance(PAUSE_MS);
    t.truthy(await unreachable);
  }
});

test('without a heartbeat timeout silence is no reason to leave', async (t) => {
  const clock = new ManualClock();
  const { client, register } = await open(t, clock);
  await register(0);
  clock.advance(3_600_000);
  t.true(client.isConnected);
});

test('a closed client opens no session any more', async (t) => {
  const clock = new ManualClock();
  const { client, register, events } = await open(t, clock);
  await register();
  events.once('disconnected', () => t.fail('it was closed and not lost'));
  client.close();
  client.connect();
  clock.advance(60_000);
  t.false(client.isConnected);
});

test('a bundle comes in parts and is put together', async (t) => {
  const { server, client } = await open(t, systemClock);
  server.bundles.set('b1', [Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)]);
  t.deepEqual([...(await client.fetchBundle('b1'))], [1, 2, 3]);
});

test('a bundle that cannot be had is an error that names it', async (t) => {
  const { client } = await open(t, systemClock);
  const error = await t.throwsAsync(client.fetchBundle('b2'), {
    message: /^CLUSTER_UNREACHABLE: the bundle b2 could not be fetched .*no such bundle/,
  });
  t.true(isMillraceError(error));
});
