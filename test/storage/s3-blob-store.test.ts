import { PutObjectCommand } from '@aws-sdk/client-s3';
import test from 'ava';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import { openBlobStore } from '../../storage/open-blob-store.js';
import { PART_BYTES } from '../../storage/s3-upload.js';
import { VersitygwService, versitygwAvailability } from '../services/versitygw.js';
import { testBlobStoreContract } from './blob-store-contract.js';
import { keysOf, S3Fixture } from './s3-fixture.js';

/** Above the size of a page, and of a batch of deletes. */
const MANY = 1_003;

function testOnVersitygw(): void {
  let service: VersitygwService;
  test.before(async () => {
    service = await VersitygwService.start();
  });
  test.after.always(() => service.stop());

  testBlobStoreContract(test, async () => (await S3Fixture.open(service)).store);

  test('a location as users write it opens a store with its own prefix', async (t) => {
    const options = { clock: systemClock, random: systemRandom };
    const one = await openBlobStore(service.location('team/one'), options);
    const other = await openBlobStore(service.location('team/other'), options);
    const team = await openBlobStore(service.location('team'), options);
    await one.put('jobs/1/a', Buffer.from('x'));
    t.deepEqual(await keysOf(other), []);
    t.deepEqual(await keysOf(team), ['one/jobs/1/a']);
  });

  for (const lengthBytes of [PART_BYTES, 2 * PART_BYTES + 1]) {
    test(`${lengthBytes} bytes go up whole or in pieces, and leave no parts`, async (t) => {
      const { store, ...fixture } = await openWithUploads();
      const content = Buffer.alloc(lengthBytes, 'the state of a key group; ');
      const whole = await store.put('whole', content);
      const pieces = await store.put('pieces', piecesOf(content, 1_234_567));
      t.deepEqual({ ...pieces, key: 'whole' }, whole);
      t.is(whole.lengthBytes, lengthBytes);
      t.true(content.equals(await store.get('pieces', pieces)));
      t.true(content.equals(await store.get('pieces')));
      await t.throwsAsync(store.put('whole', content, { ifAbsent: true }), {
        code: 'STORAGE_CONFLICT',
      });
      t.deepEqual(await fixture.unfinishedUploads(), []);
    });
  }

  test('of racing puts in parts that need an absent key one succeeds, whole', async (t) => {
    const { store, unfinishedUploads } = await openWithUploads();
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, (_, writer) =>
        store.put('prize', Buffer.alloc(PART_BYTES + 1, String(writer)), { ifAbsent: true }),
      ),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    t.is(won.length, 1);
    await t.notThrowsAsync(store.get('prize', won[0]));
    t.deepEqual(await unfinishedUploads(), []);
  });

  test('pieces that end in an error leave no parts behind', async (t) => {
    const { store, unfinishedUploads } = await openWithUploads();
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      for (let part = 0; part < 3; part += 1) yield Buffer.alloc(PART_BYTES);
      t.deepEqual((await unfinishedUploads()).length, 1);
      throw new Error('the snapshot failed');
    };
    await t.throwsAsync(store.put('a', failing()), { message: 'the snapshot failed' });
    t.deepEqual(await keysOf(store), []);
    t.deepEqual(await unfinishedUploads(), []);
  });

  test('what a dead writer left is removed below its prefix, or once it is old', async (t) => {
    const fixture = await S3Fixture.open(service);
    const uploads = ['jobs/1/chk-1/a', 'jobs/1/chk-1/b', 'jobs/1/chk-2/a'];
    for (const key of uploads) await fixture.beginUpload(key);
    await fixture.store.removeUnfinished('jobs/1/chk-1/');
    t.deepEqual(await fixture.unfinishedUploads(), [`${fixture.prefix}/jobs/1/chk-2/a`]);
    const day = 24 * 3_600_000;
    await fixture.store.removeUnfinished('', systemClock.now() - day);
    t.is((await fixture.unfinishedUploads()).length, 1);
    await fixture.store.removeUnfinished('', systemClock.now() + day);
    t.deepEqual(await fixture.unfinishedUploads(), []);
  });

  test('lists of several pages and deletes of several batches are complete', async (t) => {
    const { store, prefix } = await S3Fixture.open(service);
    const keys = Array.from({ length: MANY }, (_, index) => `jobs/${1_000 + index}`);
    await service.plant(keys.map((key) => `${prefix}/${key}`));
    t.deepEqual(await keysOf(store), keys);
    await store.deleteAll(keys);
    t.deepEqual(await keysOf(store), []);
  });

  test('objects that are no blobs are not listed', async (t) => {
    const { store, prefix } = await S3Fixture.open(service);
    const { client, bucket: Bucket } = service;
    for (const name of ['jobs/', 'a b', '.hidden']) {
      const object = { Bucket, Key: `${prefix}/${name}`, ContentLength: 0 };
      await client.send(new PutObjectCommand(object));
    }
    await store.put('jobs/1', Buffer.from('x'));
    t.deepEqual(await keysOf(store), ['jobs/1']);
  });

  async function openWithUploads(): Promise<{
    readonly store: S3Fixture['store'];
    readonly unfinishedUploads: () => Promise<readonly string[]>;
  }> {
    const fixture = await S3Fixture.open(service);
    return { store: fixture.store, unfinishedUploads: () => fixture.unfinishedUploads() };
  }
}

async function* piecesOf(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) {
    yield await Promise.resolve(content.subarray(at, at + bytes));
  }
}

const availability = versitygwAvailability();
if (availability.available) testOnVersitygw();
else test.skip(`blob store on S3: ${availability.reason}`, (t) => t.pass());
