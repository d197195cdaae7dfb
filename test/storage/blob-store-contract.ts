/** What every BlobStore does, as tests that each implementation runs unchanged. */
import { createHash } from 'node:crypto';
import type { ExecutionContext, TestFn } from 'ava';
import type { BlobHandle, BlobStore } from '../../storage/blob-store.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** @param openEmpty a store with nothing in it */
export function testBlobStoreContract(
  test: TestFn,
  openEmpty: (t: ExecutionContext) => Promise<BlobStore>,
): void {
  test('a blob comes back as it was put, with its length and SHA-256', async (t) => {
    const store = await openEmpty(t);
    const content = bytes('state of key group 7');
    const handle = await store.put('job/chk-1/state', content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    t.deepEqual(handle, { key: 'job/chk-1/state', lengthBytes: content.length, sha256 });
    t.deepEqual(Buffer.from(await store.get(handle.key, handle)), Buffer.from(content));
    t.deepEqual(Buffer.from(await store.get(handle.key)), Buffer.from(content));
  });

  test('a blob may be empty, and larger than a piece', async (t) => {
    const store = await openEmpty(t);
    const large = Buffer.alloc(3_000_001, 'abcdefg');
    const empty = await store.put('empty', Buffer.alloc(0));
    const handle = await store.put('large', large);
    t.is((await store.get('empty', empty)).length, 0);
    t.true(large.equals(await store.get('large', handle)));
  });

  test('a blob may be put in pieces', async (t) => {
    const store = await openEmpty(t);
    const handle = await store.put('pieces', piecesOf(['one ', '', 'two ', 'three']));
    t.is(Buffer.from(await store.get('pieces', handle)).toString(), 'one two three');
  });

  test('pieces that end in an error leave nothing, or what was there', async (t) => {
    const store = await openEmpty(t);
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes('half of');
      await Promise.resolve();
      throw new Error('the snapshot failed');
    };
    await t.throwsAsync(store.put('a', failing()), { message: 'the snapshot failed' });
    await t.throwsAsync(store.get('a'), { code: 'BLOB_NOT_FOUND' });
    await store.put('a', bytes('whole'));
    await t.throwsAsync(store.put('a', failing()), { message: 'the snapshot failed' });
    t.is(Buffer.from(await store.get('a')).toString(), 'whole');
    t.deepEqual(await keysOf(store, ''), ['a']);
  });

  test('a put replaces, unless the key must be absent', async (t) => {
    const store = await openEmpty(t);
    await store.put('a', bytes('1'));
    await store.put('a', bytes('22'));
    const error = await t.throwsAsync(store.put('a', bytes('3'), { ifAbsent: true }), {
      code: 'STORAGE_CONFLICT',
    });
    t.regex(error.message, /exists already/);
    t.is(Buffer.from(await store.get('a')).toString(), '22');
    t.deepEqual(await keysOf(store, ''), ['a']);
  });

  test('of racing puts that need an absent key one succeeds, whole', async (t) => {
    const store = await openEmpty(t);
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, writer) =>
        store.put('prize', bytes(`writer ${writer}`.repeat(1000)), { ifAbsent: true }),
      ),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    t.is(won.length, 1);
    await t.notThrowsAsync(store.get('prize', won[0]));
  });

  test('racing puts of one key leave one of them, whole', async (t) => {
    const store = await openEmpty(t);
    const handles = await Promise.all(
      Array.from({ length: 12 }, (_, writer) => store.put('a', bytes(`${writer} `.repeat(999)))),
    );
    const stored = createHash('sha256')
      .update(await store.get('a'))
      .digest('hex');
    t.true(handles.some(({ sha256 }) => sha256 === stored));
  });

  test('a blob that differs from its handle is refused by name, with the difference', async (t) => {
    const store = await openEmpty(t);
    const handle = await store.put('job/state', bytes('right'));
    await store.put('job/state', bytes('wrong'));
    const changed = await t.throwsAsync(store.get('job/state', handle), {
      code: 'STORAGE_CORRUPT',
    });
    t.regex(
      changed.message,
      new RegExp(`job/state is damaged: its SHA-256 is .* not ${handle.sha256}`),
    );
    await store.put('job/state', bytes('righ'));
    const shorter = await t.throwsAsync(store.get('job/state', handle), {
      code: 'STORAGE_CORRUPT',
    });
    t.regex(shorter.message, /job\/state is damaged: it has 4 bytes, not 5/);
  });

  test('a blob that is not there is missed by name', async (t) => {
    const store = await openEmpty(t);
    await store.put('job/state', bytes('x'));
    for (const key of ['missing', 'job', 'job/missing', 'none/at/all']) {
      const error = await t.throwsAsync(store.get(key), { code: 'BLOB_NOT_FOUND' });
      t.true(error.message.includes(key));
    }
  });

  test('a list holds the keys with the prefix, in order, with their lengths', async (t) => {
    const store = await openEmpty(t);
    const keys = ['job/chk-1/b', 'job/chk-1/a', 'job/chk-10/a', 'job.txt', 'job-2/a', 'joc'];
    for (const [index, key] of keys.entries()) await store.put(key, Buffer.alloc(index));
    t.deepEqual(await keysOf(store, ''), [...keys].sort());
    t.deepEqual(await keysOf(store, 'job/chk-1'), ['job/chk-1/a', 'job/chk-1/b', 'job/chk-10/a']);
    t.deepEqual(await keysOf(store, 'job/chk-1/'), ['job/chk-1/a', 'job/chk-1/b']);
    t.deepEqual(await keysOf(store, 'job/chk-1/a'), ['job/chk-1/a']);
    t.deepEqual(await keysOf(store, 'nothing/'), []);
    const listed = [];
    for await (const listing of store.list('jo')) listed.push(listing);
    t.is(listed.find(({ key }) => key === 'joc')?.lengthBytes, 5);
  });

  test('a deleted blob is gone; deleting it again is no error', async (t) => {
    const store = await openEmpty(t);
    await store.put('job/chk-1/a', bytes('1'));
    await store.put('job/chk-2/a', bytes('2'));
    await store.delete('job/chk-1/a');
    await store.delete('job/chk-1/a');
    await store.delete('never/was');
    t.deepEqual(await keysOf(store, ''), ['job/chk-2/a']);
    await store.put('job/chk-1/a', bytes('again'));
    t.deepEqual(await keysOf(store, ''), ['job/chk-1/a', 'job/chk-2/a']);
  });

  test('many are deleted at once, those that are not there among them', async (t) => {
    const store = await openEmpty(t);
    for (const key of ['job/a', 'job/b', 'job/deep/c', 'kept']) await store.put(key, bytes(key));
    await store.deleteAll(['job/a', 'never/was', 'job/deep/c']);
    t.deepEqual(await keysOf(store, ''), ['job/b', 'kept']);
    await store.deleteAll(listed(store, 'job/'));
    await store.deleteAll([]);
    t.deepEqual(await keysOf(store, ''), ['kept']);
  });

  test('removing what was never finished leaves what was', async (t) => {
    const store = await openEmpty(t);
    const handle = await store.put('job/a', bytes('whole'));
    await store.removeUnfinished('');
    await store.removeUnfinished('job/', 0);
    t.is(Buffer.from(await store.get('job/a', handle)).toString(), 'whole');
  });

  test('puts and deletes in one folder do not disturb each other', async (t) => {
    const store = await openEmpty(t);
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await store.put(`shared/folder/${index}`, bytes(String(index)));
        if (index % 3 !== 0) await store.delete(`shared/folder/${index}`);
      }),
    );
    t.is((await keysOf(store, '')).length, 10);
  });

  test('a key that could leave the store is refused', async (t) => {
    const store = await openEmpty(t);
    const bad = ['', '/etc/passwd', '..', 'a/../b', 'a//b', 'a/', './a', 'a\\b', '.tmp/x', 'a b'];
    for (const key of [...bad, 'a\0', 'é', 'a'.repeat(201), 'a/'.repeat(600) + 'a']) {
      await t.throwsAsync(store.put(key, bytes('x')), { code: 'INTERNAL' }, key);
      await t.throwsAsync(store.get(key), { code: 'INTERNAL' }, key);
      await t.throwsAsync(store.delete(key), { code: 'INTERNAL' }, key);
      await t.throwsAsync(store.deleteAll([key]), { code: 'INTERNAL' }, key);
    }
    t.deepEqual(await keysOf(store, ''), []);
  });

  test('a handle outlives a trip through JSON', async (t) => {
    const store = await openEmpty(t);
    const handle = await store.put('a', bytes('x'));
    const back = JSON.parse(JSON.stringify(handle)) as BlobHandle;
    t.is((await store.get(back.key, back)).length, 1);
  });
}

async function* piecesOf(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield await Promise.resolve(bytes(text));
}

async function keysOf(store: BlobStore, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function* listed(store: BlobStore, prefix: string): AsyncGenerator<string> {
  for await (const { key } of store.list(prefix)) yield key;
}
