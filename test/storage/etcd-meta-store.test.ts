import type { ExecutionContext } from 'ava';
import test from 'ava';
import { Etcd3 } from 'etcd3';
import { isMillraceError } from '../../core/errors.js';
import { EtcdMetaStore } from '../../storage/etcd-meta-store.js';
import type { MetaTxnResult } from '../../storage/meta-store.js';
import { openMetaStore } from '../../storage/open-meta-store.js';
import { AnswerDroppingProxy } from './answer-dropping-proxy.js';
import { EtcdService, etcdAvailability } from '../services/etcd.js';
import { testMetaStoreContract } from './meta-store-contract.js';
import { openPatiently } from './patient-store.js';
import { RecordedEvents } from './recorded-events.js';
import { systemClock, systemRandom } from '../../process/system-clock.js';

const availability = etcdAvailability();
/** A call that nobody answers has ended by then: seconds, and what a busy machine may add. */
const GIVEN_UP_MS = 30_000;

if (availability.available) {
  testWithEtcd();
} else {
  test.skip(`etcd tests did not run: ${availability.reason}`, (t) => t.pass());
}

function testWithEtcd(): void {
  let shared: EtcdService;
  let prefixes = 0;
  test.before(async () => {
    shared = await EtcdService.start();
  });
  test.after.always(() => shared.stop());

  testMetaStoreContract(test, () => {
    prefixes += 1;
    return Promise.resolve(`etcd://${shared.endpoint}/contract-${prefixes}`);
  });

  /** Teardowns run last first: stores close while their etcd still answers. */
  const ownEtcd = async (t: ExecutionContext): Promise<EtcdService> => {
    const etcd = await EtcdService.start();
    t.teardown(() => etcd.stop());
    return etcd;
  };

  /** Its calls give up soon and are tried again for long: an etcd may start again. */
  const open = (endpoint: string, prefix = '/millrace/'): Promise<EtcdMetaStore> =>
    EtcdMetaStore.open({
      endpoints: [endpoint],
      prefix,
      clock: systemClock,
      random: systemRandom,
      operationTimeoutMs: 90_000,
    });

  /** One that gives up for good; what it does before, it does as often as a busy machine needs. */
  const openShort = async (endpoint: string): Promise<EtcdMetaStore> => {
    for (;;) {
      try {
        return await EtcdMetaStore.open({
          endpoints: [endpoint],
          clock: systemClock,
          random: systemRandom,
        });
      } catch (error) {
        if (!isMillraceError(error)) throw error;
      }
    }
  };

  test('two clients see one store, and two prefixes are two stores', async (t) => {
    const [one, two, other] = [
      await open(shared.endpoint, '/one/'),
      await open(shared.endpoint, '/one/'),
      await open(shared.endpoint, '/other/'),
    ];
    const results = await Promise.all(
      [one, two, one, two, one, two].map((store) => store.put('k', 'v', { ifAbsent: true })),
    );
    t.is(results.filter((result) => result.committed).length, 1);
    t.is((await two.get('k'))?.value, 'v');
    t.deepEqual(await other.list(''), []);
    await Promise.all([one.close(), two.close(), other.close()]);
  });

  test('an etcd that is not there is refused within seconds, by name', async (t) => {
    const etcd = await EtcdService.start();
    await etcd.stop();
    const began = performance.now();
    const spec = `etcd://${etcd.endpoint}`;
    const error = await t.throwsAsync(
      openMetaStore(spec, { clock: systemClock, random: systemRandom }),
      {
        code: 'STORAGE_UNAVAILABLE',
      },
    );
    t.true(error.message.includes(etcd.endpoint));
    t.regex(error.message, /check that etcd runs/);
    t.true(performance.now() - began < GIVEN_UP_MS);
  });

  test('etcd killed in the middle of compare-and-sets: an error, never a lie', async (t) => {
    const etcd = await ownEtcd(t);
    const store = await openShort(etcd.endpoint);
    t.teardown(() => store.close());
    const acknowledged: string[] = [];
    const unknown: string[] = [];
    let enough: () => void = () => undefined;
    const busy = new Promise<void>((resolve) => (enough = resolve));
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let step = 0; step < 10_000; step += 1) {
        const key = `${writer}/${step}`;
        try {
          // Each key is new: were a conflict reported, it would be a lie.
          const result = await store.put(key, key, { ifAbsent: true });
          if (!result.committed) return `${key} conflicts`;
          acknowledged.push(key);
          if (acknowledged.length === 100) enough();
        } catch {
          unknown.push(key);
          return undefined;
        }
      }
      return `writer ${writer} was never stopped`;
    });
    await busy;
    await etcd.kill();
    t.deepEqual(
      (await Promise.all(writers)).filter((lie) => lie !== undefined),
      [],
    );
    await etcd.restart();
    const reader = await open(etcd.endpoint);
    t.teardown(() => reader.close());
    const stored = new Set((await reader.list('')).map(({ key }) => key));
    t.deepEqual(
      acknowledged.filter((key) => !stored.has(key)),
      [],
    );
    const possible = new Set([...acknowledged, ...unknown]);
    t.true([...stored].every((key) => possible.has(key)));
  });

  test('etcd that comes back in time: the write is done once, and acknowledged', async (t) => {
    const etcd = await ownEtcd(t);
    const store = await open(etcd.endpoint);
    t.teardown(() => store.close());
    await etcd.kill();
    const writing = store.put('k', 'v', { ifAbsent: true });
    await etcd.restart();
    t.true((await writing).committed);
    t.is((await store.get('k'))?.value, 'v');
  });

  test('a frozen etcd: calls end by their deadline, a lost answer is recognised', async (t) => {
    const etcd = await ownEtcd(t);
    const store = await openShort(etcd.endpoint);
    t.teardown(() => store.close());
    t.teardown(() => {
      etcd.thaw();
    });
    const lease = await store.lease('worker/1', '', 2000);
    etcd.freeze();
    const began = performance.now();
    await Promise.all([
      t.throwsAsync(store.get('k'), { code: 'STORAGE_UNAVAILABLE' }),
      t.throwsAsync(store.put('k', 'v', { ifAbsent: true }), { code: 'STORAGE_UNAVAILABLE' }),
    ]);
    t.true(performance.now() - began < GIVEN_UP_MS);
    // By our own clock, without a word from etcd.
    t.regex((await lease?.lost) ?? '', /did not renew/);
    t.true(performance.now() - began < GIVEN_UP_MS);
  });

  test('a write whose answer was lost is found to be our own', async (t) => {
    const proxy = await AnswerDroppingProxy.start(shared.endpoint);
    t.teardown(() => proxy.stop());
    const [store, direct] = [
      await open(proxy.endpoint, '/lost-answer/'),
      await openPatiently(`etcd://${shared.endpoint}/lost-answer`),
    ];
    t.teardown(() => Promise.all([store.close(), direct.close()]));
    const events = new RecordedEvents();
    await direct.watch('', events.listener);

    proxy.dropAnswers();
    const creating = store.put('k', 'first', { ifAbsent: true });
    const [landed] = await events.first(1);
    proxy.passAnswers();
    const revision = landed?.type === 'put' ? landed.entry.revision : 0;
    t.deepEqual(await creating, { committed: true, revision });

    // Ours, then another's: that can't be told from never ours, so it is no conflict but an error.
    proxy.dropAnswers();
    const replacing = store.put('k', 'second', { ifRevision: revision });
    const [, second] = await events.first(2);
    const ours = second?.type === 'put' ? second.entry.revision : 0;
    t.true((await direct.put('k', 'third', { ifRevision: ours })).committed);
    proxy.passAnswers();
    await t.throwsAsync(replacing, { code: 'STORAGE_UNAVAILABLE', message: /another writer/ });

    // A write that doesn't compare what it writes is not repeated.
    proxy.dropAnswers();
    const blind = store.txn({ guards: [], writes: [{ type: 'put', key: 'b', value: '' }] });
    const failed = t.throwsAsync(blind, { code: 'STORAGE_UNAVAILABLE' });
    await events.first(4);
    proxy.passAnswers();
    await failed;
    t.is(events.seen.length, 4);
  });

  test('a watch that missed a compaction is told how things stand', async (t) => {
    const etcd = await ownEtcd(t);
    const proxy = await AnswerDroppingProxy.start(etcd.endpoint);
    t.teardown(() => proxy.stop());
    const [store, direct] = [
      await open(proxy.endpoint),
      await openPatiently(`etcd://${etcd.endpoint}`),
    ];
    t.teardown(() => Promise.all([store.close(), direct.close()]));
    const putAll = (...keys: readonly string[]): Promise<MetaTxnResult> =>
      direct.txn({
        guards: [],
        writes: keys.map((key) => ({ type: 'put', key, value: '' })),
      });
    await putAll('deleted', 'changed', 'untouched');
    const events = new RecordedEvents();
    await store.watch('', events.listener);
    await putAll('last seen');
    await events.first(1);

    proxy.dropAnswers();
    await putAll('changed', 'came and went');
    const { revision } = (await direct.get('came and went')) ?? { revision: 0 };
    await direct.delete('came and went', { ifRevision: revision });
    await direct.txn({ guards: [], writes: [{ type: 'delete', key: 'deleted' }] });
    await putAll('new');
    const { revision: latest } = (await direct.get('new')) ?? { revision: 0 };
    const client = new Etcd3({ hosts: `http://${etcd.endpoint}` });
    await client.kv.compact({ revision: latest });
    client.close();
    proxy.passAnswers();
    const missed = (await events.first(4)).slice(1);
    await putAll('after');
    const after = (await events.first(5)).slice(4);
    t.deepEqual(
      [...missed, ...after].map((event) => [
        event.type,
        event.type === 'put' ? event.entry.key : event.key,
      ]),
      [
        ['delete', 'deleted'],
        ['put', 'changed'],
        ['put', 'new'],
        ['put', 'after'],
      ],
    );
  });

  test('a watch goes on after etcd was killed, and misses nothing', async (t) => {
    const etcd = await ownEtcd(t);
    const store = await open(etcd.endpoint);
    t.teardown(() => store.close());
    const events = new RecordedEvents();
    await store.watch('', events.listener);
    await store.put('1', '', { ifAbsent: true });
    await events.first(1);
    await etcd.kill();
    await etcd.restart();
    const put = async (key: string): Promise<boolean> =>
      (await store.put(key, '', { ifAbsent: true })).committed;
    t.true((await put('2')) && (await put('3')));
    const seen = await events.first(3);
    t.deepEqual(
      seen.map((event) => (event.type === 'put' ? event.entry.key : '')),
      ['1', '2', '3'],
    );
  });
}
