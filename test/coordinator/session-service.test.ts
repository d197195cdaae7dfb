import test, { type ExecutionContext } from 'ava';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import pino from 'pino';
import { BundleStore } from '../../coordinator/bundle-store.js';
import { SessionService } from '../../coordinator/session-service.js';
import { WorkerRegistry, type WorkerListener } from '../../coordinator/worker-registry.js';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { bundleIdOf } from '../../storage/bundle-archive.js';
import { FileBlobStore } from '../../storage/file-blob-store.js';
import { exampleArchive } from '../bundle-fixture.js';
import { systemClock } from '../../process/system-clock.js';
import { temporaryFolder } from '../temporary-folder.js';
import { FakeWorker } from './fake-worker.js';

interface Fixture {
  readonly address: string;
  readonly registry: WorkerRegistry;
  readonly bundles: BundleStore;
  /** Emits 'registered', 'ready', 'lost', 'message' with what the listener was told. */
  readonly events: EventEmitter;
}

async function start(
  t: ExecutionContext,
  heartbeat = { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 60_000 },
): Promise<Fixture> {
  const events = new EventEmitter();
  const listener: WorkerListener = {
    workerRegistered: (worker) => events.emit('registered', worker.workerId),
    workerReady: (worker, freeSlots) => events.emit('ready', worker.workerId, freeSlots),
    workerLost: (worker, reason) => events.emit('lost', worker.workerId, reason),
    workerMessage: (worker, message) => events.emit('message', worker.workerId, message),
  };
  const registry = new WorkerRegistry({ clock: systemClock, ...heartbeat }, listener);
  const bundles = new BundleStore(
    await FileBlobStore.open(join(await temporaryFolder(t), 'blobs')),
  );
  const { service, address } = await SessionService.listen(
    { host: '127.0.0.1', port: 0 },
    {
      registry,
      bundles,
      clock: systemClock,
      log: pino({ enabled: false }),
      clusterId: 'c1',
      epoch: 7,
      ...heartbeat,
    },
  );
  t.teardown(() => {
    registry.close(new MillraceError('CANCELED', 'the test is over'));
    service.close();
  });
  return { address, registry, bundles, events };
}

test('a worker registers, learns the epoch, and is ready at its first heartbeat', async (t) => {
  const { address, registry, events } = await start(t);
  const ready = once(events, 'ready');
  const worker = new FakeWorker(address, 'w1');
  worker.freeSlots = 1;
  t.deepEqual(await worker.join(), {
    epoch: 7,
    heartbeatIntervalMs: 20,
    heartbeatTimeoutMs: 60_000,
    clusterId: 'c1',
  });
  t.deepEqual(await ready, ['w1', 1]);
  const [known] = registry.workers();
  t.is(known?.slots, 2);
  t.is(known?.reportedFreeSlots, 1);
});

test('a broken connection takes the worker out at once', async (t) => {
  const { address, registry, events } = await start(t);
  const worker = new FakeWorker(address, 'w1');
  await worker.join();
  const lost = once(events, 'lost');
  worker.kill();
  const [workerId, reason] = (await lost) as [string, string];
  t.is(workerId, 'w1');
  t.regex(reason, /session has ended|connection is broken/);
  t.deepEqual(registry.workers(), []);
});

test('a worker without heartbeats is given up and told so', async (t) => {
  const { address, events } = await start(t, { heartbeatIntervalMs: 10, heartbeatTimeoutMs: 50 });
  const worker = new FakeWorker(address, 'w1');
  worker.answersHeartbeats = false;
  const lost = once(events, 'lost');
  await worker.join();
  const [, reason] = (await lost) as [string, string];
  t.regex(reason, /no heartbeat for \d+ ms/);
  t.regex(await worker.ended, /WORKER_LOST.*register again/);
});

test('a worker that comes back under its id replaces its old session', async (t) => {
  const { address, registry, events } = await start(t);
  const first = new FakeWorker(address, 'w1');
  await first.join();
  const lost = once(events, 'lost');
  const second = new FakeWorker(address, 'w1');
  await second.join();
  t.regex(((await lost) as [string, string])[1], /another session/);
  await first.ended;
  t.is(registry.workers().length, 1);
  t.true(registry.send('w1', { $case: 'cancelAttempt', value: { jobId: 'j', attempt: 1 } }));
  t.deepEqual(await second.next('cancelAttempt'), { jobId: 'j', attempt: 1 });
});

test('messages arrive with their worker, in order', async (t) => {
  const { address, events } = await start(t);
  const worker = new FakeWorker(address, 'w1');
  await worker.join();
  const seen: number[] = [];
  const done = new Promise<void>((resolve) => {
    events.on('message', (_id: string, message: { value: { slice: number } }) => {
      seen.push(message.value.slice);
      if (seen.length === 100) resolve();
    });
  });
  for (let slice = 0; slice < 100; slice++) {
    const attempt = { jobId: 'j', attempt: 1, epoch: 7 };
    worker.send({ $case: 'slotState', value: { attempt, slice, released: true } });
  }
  await done;
  t.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, slice) => slice),
  );
});

const refusals: readonly [string, Partial<FakeWorker['register']>, RegExp][] = [
  ['another protocol', { protocolVersion: 2 }, /protocol 2.*start a worker of the coordinator's/],
  ['another engine', { engineVersion: '9.0.0' }, /millrace 9\.0\.0/],
  ['no slots', { slots: 0 }, /give --slots 1 to/],
  ['an odd id', { workerId: '../w' }, /no usable id/],
];
for (const [what, register, message] of refusals) {
  test(`a worker with ${what} is refused in words`, async (t) => {
    const { address, registry } = await start(t);
    const worker = new FakeWorker(address, 'w1', register);
    worker.send({ $case: 'register', value: worker.register });
    const refused = await worker.next('refused');
    t.regex(refused.message, message);
    t.is(await worker.ended, 'end');
    t.deepEqual(registry.workers(), []);
  });
}

test('a stream that does not begin with Register is ended', async (t) => {
  const { address } = await start(t);
  const worker = new FakeWorker(address, 'w1');
  worker.send({ $case: 'heartbeat', value: { sequence: 1, rssBytes: 1, freeSlots: 1 } });
  t.regex(await worker.ended, /heartbeat came before Register/);
});

async function fetchBundle(worker: FakeWorker, bundleId: string): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  const stream = worker.client.fetchBundle({ bundleId });
  for await (const part of stream as AsyncIterable<{ data: Buffer }>) parts.push(part.data);
  return Buffer.concat(parts);
}

test('a bundle is fetched whole, an unknown one is an error', async (t) => {
  const { address, bundles } = await start(t);
  const archive = await exampleArchive();
  const { bundleId } = await bundles.put(archive);
  const worker = new FakeWorker(address, 'w1');
  await worker.join();
  t.is(bundleIdOf(await fetchBundle(worker, bundleId)), bundleId);
  await t.throwsAsync(fetchBundle(worker, 'f'.repeat(64)), {
    message: /BUNDLE_INVALID: there is no/,
  });
  await t.throwsAsync(fetchBundle(worker, '../x'), { message: /names no bundle/ });
});

test('a port in use is named, with the remedy', async (t) => {
  const { address, registry, bundles } = await start(t);
  const port = Number(address.split(':')[1]);
  const error: unknown = await SessionService.listen(
    { host: '127.0.0.1', port },
    {
      registry,
      bundles,
      clock: systemClock,
      log: pino({ enabled: false }),
      clusterId: 'c1',
      epoch: 7,
      heartbeatIntervalMs: 20,
      heartbeatTimeoutMs: 60_000,
    },
  ).catch((caught: unknown) => caught);
  t.true(isMillraceError(error) && error.code === 'PORT_IN_USE');
});
