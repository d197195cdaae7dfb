/** The session client against a coordinator that goes silent. */
import { once } from 'node:events';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import test from 'ava';
import { ControlService, type ControlServer } from '../../proto/gen/millrace/v1/control.js';
import { SessionClient } from '../../worker/session-client.js';
import { ManualClock } from '../manual-clock.js';

test('a coordinator that takes the session and never answers is tried again', async (t) => {
  const sessions = new EventTarget();
  const server = new Server();
  const handlers: ControlServer = {
    session: (stream) => {
      stream.on('error', () => undefined);
      stream.once('data', () => sessions.dispatchEvent(new Event('register')));
    },
    fetchBundle: (call) => call.end(),
  };
  server.addService(ControlService, handlers);
  t.teardown(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const clock = new ManualClock();
  const client = new SessionClient({
    coordinator: `127.0.0.1:${port}`,
    register: {
      protocolVersion: 1,
      engineVersion: '0',
      workerId: 'w1',
      slots: 1,
      dataAddress: '127.0.0.1:1',
      httpAddress: '127.0.0.1:2',
      pid: 1,
      host: 'test',
    },
    clock,
    onRegistered: () => t.fail(),
    onCommand: () => t.fail(),
    onRefused: () => t.fail(),
    onUnreachable: () => undefined,
    onDisconnected: () => t.fail(),
  });
  t.teardown(() => client.close());
  const first = once(sessions, 'register');
  client.connect();
  await first;
  const second = once(sessions, 'register');
  clock.advance(11_000);
  await second;
  t.false(client.isConnected);
});
