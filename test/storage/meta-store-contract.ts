/** What every MetaStore does, as tests that each implementation runs unchanged. */
import type { ExecutionContext, TestFn } from 'ava';
import fc from 'fast-check';
import type { MetaEvent, MetaStore, MetaTxn, MetaTxnResult } from '../../storage/meta-store.js';
import { LeaderEpoch } from '../../storage/leader-epoch.js';
import { runUntilKilled } from './killed-process.js';
import { openPatiently } from './patient-store.js';
import { systemClock } from '../../process/system-clock.js';
import { RecordedEvents } from './recorded-events.js';

/** Long enough that a busy machine renews in time: it is never waited for. */
const LEASE_TTL_MS = 60_000;
/** Of a lease whose end is waited for. */
const SHORT_TTL_MS = 3000;

/** @param freshSpec a spec under which nothing is stored yet, one that outlives a closed store */
export function testMetaStoreContract(
  test: TestFn,
  freshSpec: (t: ExecutionContext) => Promise<string>,
): void {
  const withStore = async (
    t: ExecutionContext,
    body: (store: MetaStore, spec: string) => Promise<void>,
  ): Promise<void> => {
    const spec = await freshSpec(t);
    const store = await openPatiently(spec);
    t.teardown(() => store.close());
    await body(store, spec);
  };

  test('a key is created once, replaced by revision, and read back', (t) =>
    withStore(t, async (store) => {
      t.is(await store.get('a'), undefined);
      const created = committed(t, await store.put('a', '1', { ifAbsent: true }));
      const expected = { key: 'a', value: '1', revision: created, createRevision: created };
      t.deepEqual(await store.get('a'), expected);
      const replaced = committed(t, await store.put('a', '2', { ifRevision: created }));
      t.true(replaced > created);
      t.deepEqual(await store.get('a'), { ...expected, value: '2', revision: replaced });
    }));

  test('a failed comparison changes nothing and names the key', (t) =>
    withStore(t, async (store) => {
      const revision = committed(t, await store.put('a', '1', { ifAbsent: true }));
      const conflict = { committed: false, conflicts: ['a'] };
      t.deepEqual(await store.put('a', '2', { ifAbsent: true }), conflict);
      t.deepEqual(await store.put('a', '2', { ifRevision: revision + 1 }), conflict);
      t.deepEqual(await store.delete('a', { ifRevision: revision - 1 }), conflict);
      t.deepEqual(await store.put('b', '2', { ifRevision: revision }), {
        committed: false,
        conflicts: ['b'],
      });
      t.is((await store.get('a'))?.revision, revision);
      t.is(await store.get('b'), undefined);
    }));

  test('a key that was deleted and created again has a later create revision', (t) =>
    withStore(t, async (store) => {
      const first = committed(t, await store.put('a', '1', { ifAbsent: true }));
      const gone = committed(t, await store.delete('a', { ifRevision: first }));
      t.true(gone > first);
      t.is(await store.get('a'), undefined);
      const second = committed(t, await store.put('a', '1', { ifAbsent: true }));
      t.true(second > gone);
      t.is((await store.get('a'))?.createRevision, second);
    }));

  test('of many racing writers exactly one creates a key', (t) =>
    withStore(t, async (store) => {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, writer) =>
          store.put('prize', `writer ${writer}`, { ifAbsent: true }),
        ),
      );
      const winners = results.flatMap((result, writer) => (result.committed ? [writer] : []));
      t.is(winners.length, 1);
      t.is((await store.get('prize'))?.value, `writer ${winners[0]}`);
    }));

  test('racing increments by compare-and-set lose none and repeat none', (t) =>
    withStore(t, async (store) => {
      const taken = await Promise.all(
        Array.from({ length: 10 }, async () => [
          await takeNextId(store),
          await takeNextId(store),
          await takeNextId(store),
        ]),
      );
      const ids = taken.flat().sort((left, right) => left - right);
      t.deepEqual(
        ids,
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
    }));

  test('a transaction writes all or nothing, under one revision', (t) =>
    withStore(t, async (store) => {
      const epoch = committed(t, await store.put('leader', 'me', { ifAbsent: true }));
      const writes = [
        { type: 'put', key: 'x', value: '1' },
        { type: 'put', key: 'y', value: '2' },
      ] as const;
      const wrong: MetaTxn = {
        guards: [
          { key: 'leader', createRevision: epoch + 1 },
          { key: 'x', absent: true },
          { key: 'y', revision: 7_000_000 },
        ],
        writes,
      };
      t.deepEqual(await store.txn(wrong), { committed: false, conflicts: ['leader', 'y'] });
      t.deepEqual(
        (await store.list('')).map(({ key }) => key),
        ['leader'],
      );
      const right: MetaTxn = { guards: [{ key: 'leader', createRevision: epoch }], writes };
      const revision = committed(t, await store.txn(right));
      t.is((await store.get('x'))?.revision, revision);
      t.is((await store.get('y'))?.revision, revision);
      // A later write to the election key keeps its create revision, so the guard still holds.
      await store.put('leader', 'me, still', { ifRevision: epoch });
      t.true((await store.txn(right)).committed);
    }));

  test('deleting an absent key commits and changes nothing', (t) =>
    withStore(t, async (store) => {
      const before = committed(t, await store.put('a', '1', { ifAbsent: true }));
      const writes = [{ type: 'delete', key: 'b' }] as const;
      t.true((await store.txn({ guards: [], writes })).committed);
      t.is((await store.get('a'))?.revision, before);
    }));

  test('a list holds exactly the keys with the prefix, in order', (t) =>
    withStore(t, async (store) => {
      const keys = ['job/é', 'job/2', 'job/10', 'job', 'job0', 'joc', 'ja', 'job/'];
      for (const key of keys) await store.put(key, key, { ifAbsent: true });
      const listed = async (prefix: string): Promise<readonly string[]> =>
        (await store.list(prefix)).map(({ key }) => key);
      t.deepEqual(await listed('job/'), ['job/', 'job/10', 'job/2', 'job/é']);
      t.deepEqual(await listed('job'), ['job', 'job/', 'job/10', 'job/2', 'job/é', 'job0']);
      t.is((await listed('')).length, keys.length);
      t.deepEqual(await listed('nothing'), []);
    }));

  test('values come back as they were put', (t) =>
    withStore(t, async (store) => {
      const values = ['', '\n', 'a\nb\n', '\u0000', 'Zürich 🜚', 'x'.repeat(1024 * 1024)];
      for (const [index, value] of values.entries()) {
        await store.put(`v${index}`, value, { ifAbsent: true });
        t.true((await store.get(`v${index}`))?.value === value);
      }
    }));

  test('any history of transactions gives what a plain map gives', (t) =>
    withStore(t, async (store) => {
      const key = fc.constantFrom('a', 'b', 'c');
      const operation = fc.record({
        key,
        other: key,
        put: fc.boolean(),
        guard: fc.constantFrom('absent', 'present', 'none'),
      });
      const histories = fc.array(operation, { minLength: 1, maxLength: 15 });
      let round = 0;
      const property = fc.asyncProperty(histories, async (history) => {
        round += 1;
        const model = new Map<string, string>();
        for (const [step, { key: name, other, put, guard }] of history.entries()) {
          const path = `${round}/${name}`;
          const guarded = `${round}/${other}`;
          const revision = (await store.get(guarded))?.revision ?? 7_000_000;
          const holds =
            guard === 'none' || (guard === 'absent' ? !model.has(guarded) : model.has(guarded));
          const result = await store.txn({
            guards:
              guard === 'none'
                ? []
                : [
                    guard === 'absent'
                      ? { key: guarded, absent: true }
                      : { key: guarded, revision },
                  ],
            writes: [
              put ? { type: 'put', key: path, value: String(step) } : { type: 'delete', key: path },
            ],
          });
          t.is(result.committed, holds);
          if (holds && put) model.set(path, String(step));
          if (holds && !put) model.delete(path);
        }
        t.deepEqual(
          (await store.list(`${round}/`)).map(({ key: path, value }) => [path, value]),
          [...model].sort(([left], [right]) => (left < right ? -1 : 1)),
        );
      });
      await fc.assert(property, { numRuns: 20 });
    }));

  test('a watch begins with what there is and then misses nothing, in order', (t) =>
    withStore(t, async (store) => {
      await store.put('w/old', '0', { ifAbsent: true });
      const events = new RecordedEvents();
      const watch = await store.watch('w/', events.listener);
      t.deepEqual(
        watch.snapshot.map(({ key, value }) => [key, value]),
        [['w/old', '0']],
      );
      await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          await store.put(`other/${index}`, 'unseen', { ifAbsent: true });
          const put = await store.put(`w/${index}`, String(index), { ifAbsent: true });
          if (put.committed && index % 2 === 0) {
            await store.delete(`w/${index}`, { ifRevision: put.revision });
          }
        }),
      );
      const seen = await events.first(90);
      const revisions = seen.map(revisionOf);
      t.deepEqual(
        revisions,
        [...revisions].sort((left, right) => left - right),
      );
      const alive = new Map(watch.snapshot.map((entry) => [entry.key, entry]));
      for (const event of seen) {
        if (event.type === 'put') alive.set(event.entry.key, event.entry);
        else alive.delete(event.key);
      }
      t.deepEqual(
        [...alive.values()].sort((left, right) => (left.key < right.key ? -1 : 1)),
        [...(await store.list('w/'))],
      );
      watch.close();
    }));

  test('writes of one transaction reach a watch in their order', (t) =>
    withStore(t, async (store) => {
      const events = new RecordedEvents();
      const watch = await store.watch('', events.listener);
      const keys = ['c', 'a', 'b'];
      const writes = keys.map((key) => ({ type: 'put' as const, key, value: key }));
      await store.txn({ guards: [], writes });
      t.deepEqual((await events.first(3)).map(keyOf), keys);
      watch.close();
    }));

  test('a closed watch delivers nothing more', (t) =>
    withStore(t, async (store) => {
      const [closed, open] = [new RecordedEvents(), new RecordedEvents()];
      const watch = await store.watch('k', closed.listener);
      const stillOpen = await store.watch('k', open.listener);
      await store.put('k1', '', { ifAbsent: true });
      await Promise.all([closed.first(1), open.first(1)]);
      watch.close();
      await store.put('k2', '', { ifAbsent: true });
      t.deepEqual((await open.first(2)).map(keyOf), ['k1', 'k2']);
      t.deepEqual((await closed.first(1)).map(keyOf), ['k1']);
      stillOpen.close();
    }));

  test('what was written is there after closing and opening, and revisions go on', (t) =>
    withStore(t, async (store, spec) => {
      const first = committed(t, await store.put('a', '1', { ifAbsent: true }));
      const last = committed(t, await store.put('b', '2', { ifAbsent: true }));
      await store.delete('b', { ifRevision: last });
      await store.close();
      const again = await openPatiently(spec);
      t.deepEqual(
        (await again.list('')).map(({ key, revision }) => [key, revision]),
        [['a', first]],
      );
      t.true(committed(t, await again.put('b', '3', { ifAbsent: true })) > last + 1);
      await again.close();
    }));

  test('a closed store refuses every call', (t) =>
    withStore(t, async (store) => {
      await store.close();
      await store.close();
      const unavailable = { code: 'STORAGE_UNAVAILABLE' };
      await t.throwsAsync(store.get('a'), unavailable);
      await t.throwsAsync(store.list(''), unavailable);
      await t.throwsAsync(store.put('a', '', { ifAbsent: true }), unavailable);
      await t.throwsAsync(store.lease('a', '', LEASE_TTL_MS), unavailable);
      await t.throwsAsync(
        store.watch('', () => undefined),
        unavailable,
      );
    }));

  test('a misformed key or transaction is refused before anything is written', (t) =>
    withStore(t, async (store) => {
      const broken = { code: 'INTERNAL' };
      const put = (key: string, value = ''): Promise<MetaTxnResult> =>
        store.txn({ guards: [], writes: [{ type: 'put', key, value }] });
      await t.throwsAsync(put(''), broken);
      await t.throwsAsync(put('a\nb'), broken);
      await t.throwsAsync(put('k'.repeat(513)), broken);
      await t.throwsAsync(put('k', 'v'.repeat(1024 * 1024 + 1)), broken);
      const twice = [
        { type: 'put', key: 'k', value: '' },
        { type: 'delete', key: 'k' },
      ] as const;
      await t.throwsAsync(store.txn({ guards: [], writes: twice }), broken);
      t.deepEqual(await store.list(''), []);
    }));

  test('a lease holds its key until it is revoked, and others see it go', (t) =>
    withStore(t, async (store) => {
      const events = new RecordedEvents();
      const watch = await store.watch('worker/', events.listener);
      const lease = await store.lease('worker/1', 'here', LEASE_TTL_MS);
      t.is((await store.get('worker/1'))?.createRevision, lease?.revision);
      t.is(await store.lease('worker/1', 'me too', LEASE_TTL_MS), undefined);
      await lease?.revoke();
      t.is(await store.get('worker/1'), undefined);
      t.deepEqual(
        (await events.first(2)).map(({ type }) => type),
        ['put', 'delete'],
      );
      watch.close();
    }));

  test('closing a store revokes its leases', (t) =>
    withStore(t, async (store, spec) => {
      await store.lease('worker/1', 'here', LEASE_TTL_MS);
      await store.close();
      const again = await openPatiently(spec);
      t.is(await again.get('worker/1'), undefined);
      await again.close();
    }));

  test('a plain put makes a leased key an ordinary one', (t) =>
    withStore(t, async (store) => {
      const lease = await store.lease('worker/1', 'here', LEASE_TTL_MS);
      if (lease === undefined) return t.fail('the key was free');
      committed(t, await store.put('worker/1', 'stays', { ifRevision: lease.revision }));
      await lease.revoke();
      t.is((await store.get('worker/1'))?.value, 'stays');
    }));

  test('the leases of a killed process vanish by themselves', async (t) => {
    const spec = await freshSpec(t);
    await runUntilKilled('lease-holder.js', [spec, String(SHORT_TTL_MS), 'worker/1', 'worker/2']);
    const store = await openPatiently(spec);
    t.teardown(() => store.close());
    const gone = new Set<string>();
    let allGone: () => void = () => undefined;
    const vanished = new Promise<void>((resolve) => (allGone = resolve));
    const watch = await store.watch('worker/', (event) => {
      if (event.type === 'delete') gone.add(event.key);
      if (gone.size === watch.snapshot.length) allGone();
    });
    if (watch.snapshot.length > 0) await vanished;
    t.deepEqual(await store.list('worker/'), []);
    watch.close();
  });

  test('each leader has a larger epoch than the one before', (t) =>
    withStore(t, async (store, spec) => {
      const options = { candidate: 'coordinator-1', clock: systemClock, ttlMs: LEASE_TTL_MS };
      const first = await LeaderEpoch.campaign(store, options);
      await first.resign();
      const second = await LeaderEpoch.campaign(store, options);
      t.true(second.epoch > first.epoch);
      await store.close();
      const again = await openPatiently(spec);
      const third = await LeaderEpoch.campaign(again, options);
      t.true(third.epoch > second.epoch);
      await again.close();
    }));

  test('a leader that was replaced can write nothing more', (t) =>
    withStore(t, async (store) => {
      const options = { candidate: 'coordinator-1', clock: systemClock, ttlMs: LEASE_TTL_MS };
      const old = await LeaderEpoch.campaign(store, options);
      const revision = committed(t, await old.put('checkpoint', '1', { ifAbsent: true }));
      t.deepEqual(await old.put('checkpoint', '2', { ifAbsent: true }), {
        committed: false,
        conflicts: ['checkpoint'],
      });
      // The same candidate, as after a crash: it need not wait for its own lease.
      const successor = await LeaderEpoch.campaign(store, options);
      await t.throwsAsync(old.put('checkpoint', '2', { ifRevision: revision }), {
        code: 'STALE_EPOCH',
      });
      await t.throwsAsync(old.delete('checkpoint', { ifRevision: revision }), {
        code: 'STALE_EPOCH',
      });
      committed(t, await successor.put('checkpoint', '3', { ifRevision: revision }));
    }));

  test('a second coordinator waits for the leader to go, and no longer than it was told', (t) =>
    withStore(t, async (store) => {
      const campaign = (candidate: string, timeoutMs: number): Promise<LeaderEpoch> =>
        LeaderEpoch.campaign(store, {
          candidate,
          clock: systemClock,
          ttlMs: LEASE_TTL_MS,
          timeoutMs,
        });
      const leader = await campaign('coordinator-1', 0);
      const refused = await t.throwsAsync(campaign('coordinator-2', 50), {
        code: 'STORAGE_LOCKED',
      });
      t.regex(refused.message, /coordinator-1 leads .*epoch \d+/);
      const waiting = campaign('coordinator-2', 20_000);
      await leader.resign();
      t.true((await waiting).epoch > leader.epoch);
    }));
}

function committed(t: ExecutionContext, result: MetaTxnResult): number {
  t.true(result.committed);
  return result.committed ? result.revision : Number.NaN;
}

async function takeNextId(store: MetaStore): Promise<number> {
  for (;;) {
    const entry = await store.get('next-id');
    const id = Number(entry?.value ?? 0) + 1;
    const condition =
      entry === undefined ? { ifAbsent: true as const } : { ifRevision: entry.revision };
    if ((await store.put('next-id', String(id), condition)).committed) return id;
  }
}

function revisionOf(event: MetaEvent): number {
  return event.type === 'put' ? event.entry.revision : event.revision;
}

function keyOf(event: MetaEvent): string {
  return event.type === 'put' ? event.entry.key : event.key;
}
