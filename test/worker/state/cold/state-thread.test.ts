/**
 * What goes wrong around a database: a thread that dies or hangs, a folder that is full, read-only or
 * left over from a crash. Each ends the call with one error that says where and what to do.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { isMillraceError, type MillraceError } from '../../../../core/errors.js';
import { systemClock } from '../../../../process/system-clock.js';
import { DatabaseClient } from '../../../../worker/state/cold/database-client.js';
import { DatabaseSignals } from '../../../../worker/state/cold/database-signals.js';
import { StateThreadRunner } from '../../../../worker/state/cold/state-thread-runner.js';
import { STATE_MEMORY_BYTES_MIN } from '../../../../core/stream-graph.js';
import { smallTmpfs, tmpfsAvailability } from '../../../storage/small-tmpfs.js';
import { newFolder, openDatabase } from './open-database.js';

const KEY = Buffer.from('key');

function failureOf(t: ExecutionContext, call: () => unknown): MillraceError {
  const error = t.throws(call, { any: true });
  if (!isMillraceError(error)) throw error;
  t.is(error.code, 'STORAGE_UNAVAILABLE');
  return error;
}

test.serial('a folder that a crash left, locked and torn, is emptied', async (t) => {
  const folder = newFolder();
  const first = openDatabase(t, folder);
  first.client.put(KEY, Buffer.from('of an earlier life'));
  t.truthy(first.client.getMany([KEY])[0]);
  await first.runner.end();
  t.false(existsSync(folder));
  mkdirSync(folder, { recursive: true });
  for (const name of ['LOCK', 'CURRENT', 'MANIFEST-000004', '000009.sst', 'OPTIONS-000007']) {
    writeFileSync(join(folder, name), 'torn');
  }
  const { client } = openDatabase(t, folder);
  t.deepEqual(client.getMany([KEY]), [undefined]);
  client.put(KEY, Buffer.from('now'));
  t.is(Buffer.from(client.getMany([KEY])[0] ?? []).toString(), 'now');
  t.false(readdirSync(folder).includes('000009.sst'));
});

test.serial('a folder that cannot be made is named', (t) => {
  const folder = newFolder();
  mkdirSync(join(folder, '..'), { recursive: true });
  writeFileSync(folder, 'a file');
  const { client } = openDatabase(t, join(folder, 'state'));
  const { message } = failureOf(t, () => client.getMany([KEY]));
  t.true(message.includes(folder));
  t.regex(message, /not a folder.*; choose another folder/);
  t.throws(() => client.put(KEY, Buffer.alloc(100_000)), { message });
});

const tmpfs = tmpfsAvailability();
if (tmpfs.available) {
  test.serial('a full disk fails the next call, which names the folder and the remedy', (t) => {
    const folder = join(smallTmpfs(t, 12 * 1024 * 1024), 'state');
    const { client } = openDatabase(t, folder);
    const fill = (): void => {
      for (let i = 0; i < 1000; i++) client.put(Buffer.from(`${i}`), randomBytes(64 * 1024));
      client.getMany([KEY]);
    };
    const { message } = failureOf(t, fill);
    t.true(message.includes(folder));
    t.regex(message, /no space left on the device .*; free some space/);
    t.throws(() => client.getMany([KEY]), { message });
    t.throws(() => client.flush(), { message });
  });

  test.serial('a read-only file system is named', (t) => {
    const folder = smallTmpfs(t, 4 * 1024 * 1024);
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const { client } = openDatabase(t, join(folder, 'state'));
    const { message } = failureOf(t, () => client.getMany([KEY]));
    t.true(message.includes(folder));
    t.regex(message, /the file system is read-only .*; choose a folder that can be written/);
  });
} else {
  test.skip(`a full disk fails the next call: ${tmpfs.reason}`, () => undefined);
}

test.serial('a state thread that does not answer is given up', (t) => {
  const { port1, port2 } = new MessageChannel();
  const client = new DatabaseClient(
    { port: port2, signals: new DatabaseSignals().memory, folder: '/data/state' },
    { monotonic: () => systemClock.monotonic(), timeoutMs: 20 },
  );
  const { message } = failureOf(t, () => client.getMany([KEY]));
  t.regex(message, /\/data\/state: no answer .* within 20 ms; check whether the disk hangs/);
  t.throws(() => client.statistics(), { message });
  port1.close();
});

test.serial('writes that are never done are given up', (t) => {
  const { port1, port2 } = new MessageChannel();
  const client = new DatabaseClient(
    { port: port2, signals: new DatabaseSignals().memory, folder: '/data/state' },
    { monotonic: () => systemClock.monotonic(), timeoutMs: 20 },
  );
  const { message } = failureOf(t, () => {
    for (let i = 0; i < 100; i++) client.put(KEY, Buffer.alloc(64 * 1024));
  });
  t.regex(message, /no write .* within 20 ms/);
  port1.close();
});

/** A thread that waits for a database whose owner is this thread. */
const WAITING = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.module).then(({ DatabaseClient }) => {
    const client = new DatabaseClient(workerData.connection, {
      monotonic: () => performance.now(),
    });
    client.getMany([Buffer.from('key')]);
    parentPort.postMessage('reading');
    try {
      for (;;) client.getMany([Buffer.from('key')]);
    } catch (error) {
      parentPort.postMessage(error.message);
    }
  });
`;

test.serial('a state thread that ends wakes the slot that waits for it', async (t) => {
  const folder = newFolder();
  const lost: MillraceError[] = [];
  const runner = new StateThreadRunner({
    folder,
    memoryBytesMax: STATE_MEMORY_BYTES_MIN,
    clock: systemClock,
    onLost: (error) => lost.push(error),
  });
  const slot = new Worker(WAITING, {
    eval: true,
    workerData: {
      module: new URL('../../../../worker/state/cold/database-client.js', import.meta.url).href,
      connection: runner.connection,
    },
    transferList: [runner.connection.port],
  });
  const messages: string[] = [];
  await new Promise<void>((resolve) => {
    slot.on('message', (message: string) => {
      messages.push(message);
      if (message === 'reading') void runner.end();
    });
    slot.once('exit', () => resolve());
  });
  t.is(messages.length, 2);
  t.regex(messages[1] ?? '', /state thread of .* ended by itself/);
  t.true(messages[1]?.includes(folder));
  t.deepEqual(lost, []);
});

test.serial('a state thread that ends by itself says so to its owner', async (t) => {
  const error = await new Promise<MillraceError>((resolve) => {
    const runner = new StateThreadRunner({
      folder: newFolder(),
      memoryBytesMax: STATE_MEMORY_BYTES_MIN,
      clock: systemClock,
      onLost: resolve,
    });
    // No request has this form: what the thread throws ends it.
    runner.connection.port.postMessage(undefined);
  });
  t.is(error.code, 'STORAGE_UNAVAILABLE');
  t.regex(error.message, /ended by itself \(.+\); the job goes on from its latest checkpoint/);
});

test.serial('a state thread outlives the slot that it serves', async (t) => {
  const lost: MillraceError[] = [];
  const options = { memoryBytesMax: STATE_MEMORY_BYTES_MIN, clock: systemClock };
  const runner = new StateThreadRunner({
    ...options,
    folder: newFolder(),
    onLost: (error) => lost.push(error),
  });
  t.teardown(() => runner.end());
  const client = new DatabaseClient(runner.connection, {
    monotonic: () => systemClock.monotonic(),
  });
  client.put(KEY, Buffer.from('value'));
  client.flush();
  t.truthy(client.getMany([KEY])[0]);
  runner.connection.port.close();
  // One that ends for lack of a slot is gone before another has started and ended.
  await new Promise<void>((resolve) => {
    const other = new StateThreadRunner({
      ...options,
      folder: newFolder(),
      onLost: () => resolve(),
    });
    other.connection.port.postMessage(undefined);
  });
  t.deepEqual(lost, []);
});
