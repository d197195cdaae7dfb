import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { FileMetaStore, type FileMetaStoreOptions } from '../../storage/file-meta-store.js';
import { encodeFrame, openLogFile, readFrames, type LogFile } from '../../storage/meta-log.js';
import type { MetaStore } from '../../storage/meta-store.js';
import { runUntilKilled } from './killed-process.js';
import { testMetaStoreContract } from './meta-store-contract.js';
import { systemClock } from '../../process/system-clock.js';
import { smallTmpfs, tmpfsAvailability } from './small-tmpfs.js';
import { temporaryFolder } from '../temporary-folder.js';

testMetaStoreContract(test, async (t) => `file:${join(await temporaryFolder(t), 'meta')}`);

const open = (
  folder: string,
  options: Partial<FileMetaStoreOptions> = {},
): Promise<FileMetaStore> => FileMetaStore.open(folder, { clock: systemClock, ...options });

const put = (store: MetaStore, key: string, value = ''): Promise<{ committed: boolean }> =>
  store.txn({ guards: [], writes: [{ type: 'put', key, value }] });

/** A closed store whose keys `1`..`count` were written one after the other. */
async function writtenLog(
  t: ExecutionContext,
  count: number,
): Promise<{ folder: string; log: Buffer }> {
  const folder = await temporaryFolder(t);
  const store = await open(folder);
  for (let key = 1; key <= count; key += 1) await put(store, String(key), 'v'.repeat(20));
  await store.close();
  return { folder, log: await readFile(join(folder, 'meta.log')) };
}

async function keysOf(folder: string): Promise<string> {
  const store = await open(folder);
  const entries = await store.list('');
  await store.close();
  return entries.map(({ key }) => key).join(' ');
}

test('a log cut at any byte of its last record loses that record and nothing else', async (t) => {
  const { folder, log } = await writtenLog(t, 3);
  const { frames } = readFrames(log, 'meta.log');
  const [lastStart, end] = [frames.at(-2)?.endOffset ?? 0, frames.at(-1)?.endOffset ?? 0];
  t.is(end, log.length);
  for (let length = lastStart; length < end; length += 1) {
    await writeFile(join(folder, 'meta.log'), log.subarray(0, length));
    const store = await open(folder);
    t.is(store.cutBytes, length - lastStart);
    t.is((await store.list('')).map(({ key }) => key).join(' '), '1 2');
    await put(store, 'after');
    await store.close();
    t.is(await keysOf(folder), '1 2 after');
  }
});

test('a sector that was never written counts as an unfinished write', async (t) => {
  const { folder } = await writtenLog(t, 1);
  const store = await open(folder);
  const before = (await stat(join(folder, 'meta.log'))).size;
  await put(store, 'large', 'v'.repeat(3000));
  await store.close();
  const log = await readFile(join(folder, 'meta.log'));
  for (let sector = Math.ceil(before / 512) * 512; sector < log.length; sector += 512) {
    const torn = Buffer.from(log);
    torn.fill(0, sector, Math.min(log.length, sector + 512));
    await writeFile(join(folder, 'meta.log'), torn);
    t.is(await keysOf(folder), '1');
  }
  const unwritten = Buffer.concat([log.subarray(0, before), Buffer.alloc(2000)]);
  await writeFile(join(folder, 'meta.log'), unwritten);
  t.is(await keysOf(folder), '1');
});

test('a flipped byte anywhere is refused, with the file and the offset', async (t) => {
  const { folder, log } = await writtenLog(t, 3);
  const { frames } = readFrames(log, 'meta.log');
  const starts = [0, ...frames.map(({ endOffset }) => endOffset)];
  for (let position = 0; position < log.length; position += 1) {
    const flipped = Buffer.from(log);
    flipped[position] = (flipped[position] ?? 0) ^ 0x01;
    await writeFile(join(folder, 'meta.log'), flipped);
    const start = starts.filter((offset) => offset <= position).at(-1);
    const error = await t.throwsAsync(open(folder), { code: 'STORAGE_CORRUPT' });
    t.true(error.message.includes(`${join(folder, 'meta.log')} is damaged at byte ${start}:`));
  }
  // A refusal changes nothing and leaves the folder free.
  await writeFile(join(folder, 'meta.log'), log);
  t.is(await keysOf(folder), '1 2 3');
});

test('an emptied log and one of another format are refused', async (t) => {
  const { folder, log } = await writtenLog(t, 1);
  await writeFile(join(folder, 'meta.log'), '');
  await t.throwsAsync(open(folder), {
    code: 'STORAGE_CORRUPT',
    message: /first record is missing/,
  });
  const foreign = encodeFrame(JSON.stringify({ format: 2 }));
  await writeFile(join(folder, 'meta.log'), foreign);
  await t.throwsAsync(open(folder), { code: 'VERSION_MISMATCH', message: /has format 2/ });
  await writeFile(join(folder, 'meta.log'), log);
  t.is(await keysOf(folder), '1');
});

test('a second store on the folder is refused while the first lives', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await open(folder);
  const error = await t.throwsAsync(open(folder), { code: 'STORAGE_LOCKED' });
  t.true(error.message.includes(folder));
  t.true(error.message.includes(`process ${process.pid};`));
  await put(store, 'a');
  await store.close();
  t.is(await keysOf(folder), 'a');
});

test('of stores opened on one folder at once, one is opened', async (t) => {
  const folder = await temporaryFolder(t);
  const opened = await Promise.allSettled(Array.from({ length: 8 }, () => open(folder)));
  const stores = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  t.is(stores.length, 1);
  await stores[0]?.close();
});

test('the folder of a killed process is taken over, with all that was acknowledged', async (t) => {
  const folder = await temporaryFolder(t);
  const pid = await runUntilKilled('meta-writer.js', [folder]);
  t.true((await readdir(folder)).some((name) => name.startsWith(`lock-${pid}_`)));
  const store = await open(folder);
  const written = (await store.list('')).map(({ key }) => Number(key)).sort((a, b) => a - b);
  t.true(written.length >= 50);
  t.deepEqual(
    written,
    written.map((_, index) => index + 1),
  );
  await store.close();
  t.deepEqual(await readdir(folder), ['meta.log']);
});

test('a reused pid does not hold the folder, a process elsewhere may', async (t) => {
  const folder = await temporaryFolder(t);
  // The pid lives, but it is not the process that wrote this.
  await writeFile(join(folder, `lock-${process.pid}_123babc_${await ownHost(t)}`), '');
  await (await open(folder)).close();
  const elsewhere = join(folder, 'lock-1_123babc_some-other-host');
  await writeFile(elsewhere, '');
  const error = await t.throwsAsync(open(folder), { code: 'STORAGE_LOCKED' });
  t.regex(error.message, /process 1 on some-other-host; if that machine is gone for good, delete/);
});

test('a write without room changes nothing, and later ones work', async (t) => {
  const folder = await temporaryFolder(t);
  const faults = new FaultyLog();
  const store = await open(folder, { openLog: faults.open });
  await put(store, 'a');
  faults.next = { operation: 'write', code: 'ENOSPC', afterBytes: 600 };
  const error = await t.throwsAsync(put(store, 'b', 'v'.repeat(1000)), {
    code: 'STORAGE_UNAVAILABLE',
  });
  t.regex(error.message, /meta\.log: no space left on the device \(ENOSPC\); free some space/);
  t.is(await store.get('b'), undefined);
  await put(store, 'c');
  await store.close();
  t.is(await keysOf(folder), 'a c');
});

const tmpfs = tmpfsAvailability();
if (tmpfs.available) {
  test('on a full disk writes fail until there is room again, and nothing is lost', async (t) => {
    const folder = smallTmpfs(t, 256 * 1024);
    const store = await open(folder);
    await put(store, 'a', 'kept');
    await writeFile(join(folder, 'filler'), Buffer.alloc(200 * 1024));
    const error = await t.throwsAsync(put(store, 'b', 'v'.repeat(100 * 1024)), {
      code: 'STORAGE_UNAVAILABLE',
    });
    t.regex(error.message, /no space left on the device \(ENOSPC\)/);
    await rm(join(folder, 'filler'));
    await put(store, 'c', 'v'.repeat(100 * 1024));
    await store.close();
    t.is(await keysOf(folder), 'a c');
  });
} else {
  test.skip(`full disk under the meta store: ${tmpfs.reason}`, (t) => t.pass());
}

test('after a failed sync nothing more is acknowledged until it is opened again', async (t) => {
  const folder = await temporaryFolder(t);
  const faults = new FaultyLog();
  const store = await open(folder, { openLog: faults.open });
  const lease = await store.lease('worker/1', '');
  await put(store, 'a');
  faults.next = { operation: 'sync', code: 'EIO', afterBytes: 0 };
  await t.throwsAsync(put(store, 'b'), { code: 'STORAGE_UNAVAILABLE', message: /EIO/ });
  await t.throwsAsync(put(store, 'c'), { code: 'STORAGE_UNAVAILABLE', message: /EIO/ });
  await t.throwsAsync(store.get('a'), { code: 'STORAGE_UNAVAILABLE' });
  t.regex((await lease?.lost) ?? '', /EIO/);
  await store.close();
  t.regex(await keysOf(folder), /^a( b)?$/);
});

test('writers that wait for one sync share the next', async (t) => {
  const folder = await temporaryFolder(t);
  const faults = new FaultyLog();
  const store = await open(folder, { openLog: faults.open });
  const before = faults.syncs;
  await Promise.all(Array.from({ length: 100 }, (_, index) => put(store, String(index))));
  t.true(faults.syncs - before <= 2);
  await store.close();
});

test('a disk that does not answer ends the wait, a full queue is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const faults = new FaultyLog();
  const store = await open(folder, { openLog: faults.open, commitTimeoutMs: 20 });
  const release = faults.holdSyncs();
  await t.throwsAsync(put(store, 'a'), {
    code: 'STORAGE_UNAVAILABLE',
    message: /did not answer within 20 ms/,
  });
  const waiting = Array.from({ length: 1024 }, (_, index) =>
    put(store, String(index)).catch(() => undefined),
  );
  await t.throwsAsync(put(store, 'b'), {
    code: 'STORAGE_UNAVAILABLE',
    message: /1024 writes wait/,
  });
  release();
  await Promise.all(waiting);
  await store.close();
});

test('a long log is rewritten with what it holds, also when that fails at first', async (t) => {
  const folder = await temporaryFolder(t);
  const faults = new FaultyLog();
  const store = await open(folder, { openLog: faults.open, compactAfterBytes: 2000 });
  faults.failOpens = 1;
  for (let value = 0; value < 200; value += 1) await put(store, 'k', `value ${value}`);
  t.is(faults.failOpens, 0);
  const { revision } = (await store.get('k')) ?? {};
  t.true((await stat(join(folder, 'meta.log'))).size < 4000);
  await store.close();
  const again = await open(folder);
  t.like(await again.get('k'), { value: 'value 199', revision });
  await again.close();
  t.deepEqual(await readdir(folder), ['meta.log']);
});

test('a rewritten log that never got its name is ignored', async (t) => {
  const { folder } = await writtenLog(t, 2);
  await copyFile(join(folder, 'meta.log'), join(folder, 'meta.log.new'));
  t.is(await keysOf(folder), '1 2');
});

test('a folder that is a file is refused in words', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), '');
  await t.throwsAsync(open(join(folder, 'file')), { code: 'STORAGE_UNAVAILABLE' });
  await t.throwsAsync(open(join(folder, 'file', 'meta')), { code: 'STORAGE_UNAVAILABLE' });
  await mkdir(join(folder, 'taken', 'meta.log'), { recursive: true });
  await t.throwsAsync(open(join(folder, 'taken')), { code: 'STORAGE_UNAVAILABLE' });
});

/** The host name as lock files hold it. */
async function ownHost(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t);
  const store = await open(folder);
  const name = (await readdir(folder)).find((file) => file.startsWith('lock-')) ?? '';
  await store.close();
  return name.split('_').slice(2).join('_');
}

/** The file system's log, except that operations fail or wait when told so. */
class FaultyLog {
  next: { operation: 'write' | 'sync'; code: string; afterBytes: number } | undefined;
  failOpens = 0;
  syncs = 0;
  #held: Promise<void> = Promise.resolve();

  readonly open = async (path: string): Promise<LogFile> => {
    if (this.failOpens > 0 && path.endsWith('.new')) {
      this.failOpens -= 1;
      throw failure('ENOSPC');
    }
    const file = await openLogFile(path);
    return {
      write: async (bytes, position) => {
        const fault = this.#take('write');
        if (fault === undefined) return file.write(bytes, position);
        await file.write(bytes.subarray(0, fault.afterBytes), position);
        throw failure(fault.code);
      },
      sync: async () => {
        this.syncs += 1;
        await this.#held;
        const fault = this.#take('sync');
        if (fault !== undefined) throw failure(fault.code);
        await file.sync();
      },
      truncate: (lengthBytes) => file.truncate(lengthBytes),
      close: () => file.close(),
    };
  };

  /** Lets no sync return until the returned function is called. */
  holdSyncs(): () => void {
    let release: () => void = () => undefined;
    this.#held = new Promise((resolve) => (release = resolve));
    return release;
  }

  #take(operation: 'write' | 'sync'): FaultyLog['next'] {
    const fault = this.next?.operation === operation ? this.next : undefined;
    if (fault !== undefined) this.next = undefined;
    return fault;
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
