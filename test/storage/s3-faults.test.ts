import test, { type ExecutionContext } from 'ava';
import type { MillraceError } from '../../core/errors.js';
import { S3_TIMEOUTS, type S3Timeouts } from '../../storage/s3-connection.js';
import { PART_BYTES } from '../../storage/s3-upload.js';
import { randomOf, SEED } from '../integration/seed.js';
import {
  FaultyProxy,
  type Fault,
  type FaultPlan,
  type ProxiedRequest,
} from '../services/faulty-proxy.js';
import { VersitygwService, versitygwAvailability } from '../services/versitygw.js';
import { keysOf, S3Fixture } from './s3-fixture.js';

const FOREVER = Infinity;
const CONTENT = Buffer.alloc(300_000, 'the state of a key group; ');
const REFUSED: Fault = { kind: 'refused', status: 500, code: 'InternalError' };
const SLOW_DOWN: Fault = { kind: 'refused', status: 503, code: 'SlowDown' };

const RESET: Fault = { kind: 'reset' };
const LOST: Fault = { kind: 'answerLost' };
/**
 * For what never answers. Everywhere else there is time enough that no attempt is given up, on however
 * busy a machine, and lands behind a later one.
 */
const IMPATIENT: S3Timeouts = { ...S3_TIMEOUTS, attemptMs: 3_000, silenceMs: 3_000, callMs: 6_000 };

const isPut = ({ method }: ProxiedRequest): boolean => method === 'PUT';
const isGet = ({ method }: ProxiedRequest): boolean => method === 'GET';
const isComplete = ({ method, path }: ProxiedRequest): boolean =>
  method === 'POST' && path.includes('uploadId=');
const isPart = ({ method, path }: ProxiedRequest): boolean =>
  method === 'PUT' && path.includes('partNumber=');

async function assertUnavailable(
  t: ExecutionContext,
  { store, prefix }: S3Fixture,
  reason: RegExp,
): Promise<void> {
  await Promise.all(
    [
      [() => store.put('jobs/1/a', CONTENT), 'jobs/1/a'] as const,
      [() => store.get('jobs/1/b'), 'jobs/1/b'] as const,
      [() => keysOf(store, 'jobs/'), 'jobs/'] as const,
    ].map(async ([call, key]) => {
      const error = await t.throwsAsync(call(), { code: 'STORAGE_UNAVAILABLE', message: reason });
      t.true(error.message.includes(`s3://checkpoints/${prefix}/${key} at http://127.0.0.1:`));
    }),
  );
}

function testFaults(): void {
  let service: VersitygwService;
  test.before(async () => {
    service = await VersitygwService.start();
  });
  test.after.always(() => service.stop());

  const open = async (
    t: ExecutionContext,
    timeouts = S3_TIMEOUTS,
  ): Promise<{ readonly proxy: FaultyProxy; readonly fixture: S3Fixture }> => {
    const proxy = await FaultyProxy.start(service.endpoint);
    t.teardown(() => proxy.stop());
    const fixture = await S3Fixture.open(service, { endpoint: proxy.endpoint, timeouts });
    return { proxy, fixture };
  };

  for (const fault of [REFUSED, SLOW_DOWN, RESET, LOST] satisfies readonly Fault[]) {
    const name = `${fault.kind} ${'code' in fault ? fault.code : ''}`.trim();

    test.serial(`${name}, once: each call does what it should`, async (t) => {
      const { proxy, fixture } = await open(t);
      const { store } = fixture;
      const once = (): void => proxy.spoil(1, () => true, fault);
      once();
      const handle = await store.put('a', CONTENT);
      once();
      await store.put('b', CONTENT, { ifAbsent: true });
      once();
      t.true(CONTENT.equals(await store.get('a', handle)));
      once();
      t.deepEqual(await keysOf(store), ['a', 'b']);
      once();
      await store.deleteAll(['a']);
      once();
      await store.delete('b');
      once();
      await store.removeUnfinished('');
      t.is(proxy.faults, 7);
      t.deepEqual(await keysOf(store), []);
    });

    test.serial(`${name}, at the end of parts: the blob is whole, once`, async (t) => {
      const { proxy, fixture } = await open(t);
      const content = Buffer.alloc(PART_BYTES + 1, 'x');
      for (const ifAbsent of [false, true]) {
        proxy.spoil(1, isComplete, fault);
        const key = `absent-${ifAbsent}`;
        const handle = await fixture.store.put(key, content, { ifAbsent });
        await t.notThrowsAsync(fixture.store.get(key, handle));
      }
      t.is(proxy.faults, 2);
      t.deepEqual(await fixture.unfinishedUploads(), []);
    });

    test(`${name}, for good: one clear error`, async (t) => {
      const { proxy, fixture } = await open(t);
      proxy.spoil(FOREVER, () => true, fault);
      await assertUnavailable(
        t,
        fixture,
        'code' in fault
          ? /\(.*, HTTP 50[03].*\); (look at|the service is overloaded)/
          : /connection was/,
      );
    });
  }

  test('silence, once: the call is made again', async (t) => {
    const { proxy, fixture } = await open(t, IMPATIENT);
    proxy.spoil(1, isPut, { kind: 'silent' });
    const handle = await fixture.store.put('a', CONTENT, { ifAbsent: true });
    proxy.spoil(1, isGet, { kind: 'silent' });
    t.true(CONTENT.equals(await fixture.store.get('a', handle)));
    t.is(proxy.faults, 2);
  });

  test('silence for good: one clear error, by the deadline', async (t) => {
    const { proxy, fixture } = await open(t, IMPATIENT);
    proxy.spoil(FOREVER, () => true, { kind: 'silent' });
    await assertUnavailable(t, fixture, /no answer in time/);
  });

  test.serial('a part that never arrives: the put fails, and its parts are removed', async (t) => {
    const { proxy, fixture } = await open(t);
    proxy.spoil(FOREVER, isPart, REFUSED);
    await t.throwsAsync(fixture.store.put('a', Buffer.alloc(3 * PART_BYTES)), {
      code: 'STORAGE_UNAVAILABLE',
    });
    t.deepEqual(await fixture.unfinishedUploads(), []);
    t.deepEqual(await keysOf(fixture.store), []);
  });

  test.serial(
    'a put that was carried out unseen is told from one that came too late',
    async (t) => {
      const { proxy, fixture } = await open(t);
      const { store } = fixture;
      proxy.spoil(1, isPut, { kind: 'answerLost' });
      const handle = await store.put('a', CONTENT, { ifAbsent: true });
      await t.notThrowsAsync(store.get('a', handle));
      // The same content, and still not the same put.
      proxy.spoil(1, isPut, { kind: 'reset' });
      await t.throwsAsync(store.put('a', CONTENT, { ifAbsent: true }), {
        code: 'STORAGE_CONFLICT',
      });
    },
  );

  test.serial('ten racing puts of an absent key whose answers are lost: one wins', async (t) => {
    const { proxy, fixture } = await open(t);
    proxy.spoil(10, isPut, { kind: 'answerLost' });
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => fixture.store.put('prize', CONTENT, { ifAbsent: true })),
    );
    t.is(results.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      t.is((result.reason as MillraceError).code, 'STORAGE_CONFLICT');
    }
  });

  for (const kind of ['answerCut', 'answerStalls'] as const) {
    test(`${kind}: the body is taken up where it stopped`, async (t) => {
      const { proxy, fixture } = await open(t, IMPATIENT);
      const handle = await fixture.store.put('a', CONTENT);
      proxy.spoil(2, isGet, { kind });
      t.true(CONTENT.equals(await fixture.store.get('a', handle)));
      t.is(proxy.faults, 2);
    });
  }

  test.serial('a blob that is replaced while it is read is never a mixture', async (t) => {
    const { proxy, fixture } = await open(t);
    const { store } = fixture;
    await store.put('a', CONTENT);
    proxy.spoil(1, isGet, { kind: 'answerCut' });
    await t.throwsAsync(
      async () => {
        let pieces = 0;
        for await (const piece of store.read('a')) {
          t.true(piece.length > 0);
          if (pieces === 0) await store.put('a', Buffer.alloc(CONTENT.length, 'another'));
          pieces += 1;
        }
      },
      { code: 'STORAGE_CORRUPT', message: /was replaced while it was read/ },
    );
  });

  for (const kind of ['answerFlipped', 'answerShortened'] as const) {
    test.serial(`${kind}: read again once, then refused with the difference`, async (t) => {
      const { proxy, fixture } = await open(t);
      const { store } = fixture;
      const handle = await store.put('a', CONTENT);
      proxy.spoil(1, isGet, { kind });
      t.true(CONTENT.equals(await store.get('a', handle)));
      for (const expected of [handle, undefined]) {
        proxy.spoil(FOREVER, isGet, { kind });
        await t.throwsAsync(store.get('a', expected), {
          code: 'STORAGE_CORRUPT',
          message: /\/a is damaged: its SHA-256 is|\/a is damaged: it has 150000 bytes/,
        });
      }
    });
  }

  test.serial('a body that arrives spoiled at the server is not stored', async (t) => {
    const { proxy, fixture } = await open(t);
    for (const content of [CONTENT, Buffer.alloc(PART_BYTES + 1)]) {
      proxy.spoil(FOREVER, ({ headers }) => Number(headers['content-length']) >= CONTENT.length, {
        kind: 'requestFlipped',
      });
      await t.throwsAsync(fixture.store.put('a', content), {
        code: 'STORAGE_UNAVAILABLE',
        message: /what arrived there is not what was sent/,
      });
    }
    t.deepEqual(await keysOf(fixture.store), []);
    t.deepEqual(await fixture.unfinishedUploads(), []);
  });

  test.serial('what answers is no S3 at all: refused in words', async (t) => {
    const { proxy, fixture } = await open(t);
    proxy.plan = () => ({ kind: 'otherAnswer' });
    for (const call of [
      () => keysOf(fixture.store),
      () => fixture.store.get('a'),
      () => fixture.store.put('a', CONTENT),
      () => fixture.store.put('a', Buffer.alloc(PART_BYTES + 1)),
      () => fixture.store.removeUnfinished(''),
    ]) {
      await t.throwsAsync(call(), {
        code: 'STORAGE_UNAVAILABLE',
        message: /checkpoints.*(not that of an S3 API|Unexpected|Deserialization)/,
      });
    }
  });

  test.serial(`whatever is spoiled, never a wrong result (MILLRACE_SEED=${SEED})`, async (t) => {
    const random = randomOf('a lying S3');
    const { proxy, fixture } = await open(t);
    const { store } = fixture;
    const ofBodies: readonly Fault['kind'][] = ['answerFlipped', 'answerCut', 'answerShortened'];
    const plan: FaultPlan = ({ method, path }) => {
      if (!random.chance(0.3)) return undefined;
      if (method === 'GET' && !path.includes('list-type') && random.chance(0.5)) {
        return { kind: random.pick(ofBodies) } as Fault;
      }
      return random.pick([REFUSED, SLOW_DOWN, RESET, LOST]);
    };
    proxy.plan = plan;
    // What may be stored under a key: more than one thing after a put whose outcome is not known.
    const possible = new Map<string, Set<string>>();
    const keys = ['a', 'b', 'c'];
    const ABSENT = '';
    let known = 0;
    for (let step = 0; step < 60; step += 1) {
      const key = random.pick(keys);
      const before = possible.get(key) ?? new Set([ABSENT]);
      const content = `step ${step} `.repeat(random.whole(1, 2_000));
      try {
        switch (random.pick(['put', 'putAbsent', 'get', 'delete'] as const)) {
          case 'put':
            possible.set(key, new Set([...before, content]));
            await store.put(key, Buffer.from(content));
            possible.set(key, new Set([content]));
            break;
          case 'putAbsent':
            possible.set(key, new Set([...before, ...(before.has(ABSENT) ? [content] : [])]));
            await store.put(key, Buffer.from(content), { ifAbsent: true });
            t.true(before.has(ABSENT), 'an absent key was written');
            possible.set(key, new Set([content]));
            break;
          case 'get': {
            const found = Buffer.from(await store.get(key)).toString();
            t.true(before.has(found), `${key} holds what was put there`);
            possible.set(key, new Set([found]));
            break;
          }
          case 'delete':
            possible.set(key, new Set([...before, ABSENT]));
            await store.delete(key);
            possible.set(key, new Set([ABSENT]));
        }
        known += 1;
      } catch (error) {
        const { code } = error as MillraceError;
        if (code === 'BLOB_NOT_FOUND') t.true(before.has(ABSENT), `${key} may be absent`);
        else if (code === 'STORAGE_CONFLICT') t.true(before.size > 1 || !before.has(ABSENT));
        else t.regex(String(code), /^STORAGE_(UNAVAILABLE|CORRUPT)$/);
      }
    }
    proxy.plan = () => undefined;
    for (const key of keys) {
      const found = (await keysOf(store, key)).length === 0 ? ABSENT : await store.get(key);
      t.true(possible.get(key)?.has(Buffer.from(found).toString()) ?? found === ABSENT);
    }
    t.true(proxy.faults > 20 && known > 10, `${proxy.faults} faults, ${known} outcomes known`);
  });
}

const availability = versitygwAvailability();
if (availability.available) testFaults();
else test.skip(`a lying S3: ${availability.reason}`, (t) => t.pass());
