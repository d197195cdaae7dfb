import { join } from 'node:path';
import test from 'ava';
import { openMetaStore, parseMetaStoreSpec } from '../../storage/open-meta-store.js';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import { temporaryFolder } from '../temporary-folder.js';

test('a spec names a folder, or the members of an etcd and a prefix', (t) => {
  t.deepEqual(parseMetaStoreSpec('file:.millrace/meta'), {
    type: 'file',
    folder: '.millrace/meta',
  });
  t.deepEqual(parseMetaStoreSpec('file:/var/lib/m'), { type: 'file', folder: '/var/lib/m' });
  t.deepEqual(parseMetaStoreSpec('.millrace/meta'), { type: 'file', folder: '.millrace/meta' });
  t.deepEqual(parseMetaStoreSpec('etcd://localhost:2379'), {
    type: 'etcd',
    endpoints: ['localhost:2379'],
    prefix: '/millrace/',
  });
  t.deepEqual(parseMetaStoreSpec('etcd://e-0.etcd:2379,10.0.0.2:2380,[::1]:2379/team/blue/'), {
    type: 'etcd',
    endpoints: ['e-0.etcd:2379', '10.0.0.2:2380', '[::1]:2379'],
    prefix: '/team/blue/',
  });
});

for (const spec of [
  '',
  '  ',
  'file:',
  'file:///var/lib/m',
  'etcd:',
  'etcd://',
  'etcd://localhost',
  'etcd://localhost:',
  'etcd://localhost:0',
  'etcd://localhost:70000',
  'etcd://a:1,,b:2',
  'etcd://a:1,b',
  'etcd://user@a:1',
  'etcd://a:1/pre fix',
  'etcd://a:1//x',
  'etcd://a:1?x=y',
  'redis://localhost:6379',
  'zookeeper:a',
]) {
  test(`${JSON.stringify(spec)} is refused with what to write instead`, (t) => {
    const error = t.throws(() => parseMetaStoreSpec(spec), { code: 'USAGE' });
    t.true(error.message.includes(JSON.stringify(spec)));
    t.regex(error.message, /write file:DIR or etcd:\/\/HOST:PORT,HOST:PORT\[\/PREFIX\]$/);
  });
}

test('a plain folder opens as an embedded store', async (t) => {
  const folder = join(await temporaryFolder(t), 'meta');
  const store = await openMetaStore(folder, { clock: systemClock, random: systemRandom });
  t.true((await store.put('a', '1', { ifAbsent: true })).committed);
  await store.close();
  const again = await openMetaStore(`file:${folder}`, { clock: systemClock, random: systemRandom });
  t.is((await again.get('a'))?.value, '1');
  await again.close();
});
