/**
 * A database in its thread against the model: what is read is what was written, however reads, writes,
 * deletions of ranges, pages and walks are mixed and however many are under way.
 */
import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { successorOf } from '../../../../worker/state/cold/byte-order.js';
import type {
  ByteRange,
  ColdDatabase,
  PendingWalk,
  WalkOptions,
} from '../../../../worker/state/cold/cold-database.js';
import { withHeader } from '../../../../worker/state/cold/row-header.js';
import { DatabaseModel } from './database-model.js';
import { startDatabase } from './open-database.js';

const { client, runner } = startDatabase();
test.after.always(() => runner.end());

/** Few and short, so that operations meet. */
const key = fc.uint8Array({ maxLength: 2 }).map((bytes) => bytes.map((byte) => byte % 4));
const keys = fc.array(key, { maxLength: 8 });
const range = fc.tuple(key, key).map(([a, b]): ByteRange => {
  return Buffer.compare(a, b) <= 0 ? { from: a, to: b } : { from: b, to: a };
});
const value = fc
  .tuple(fc.uint8Array({ maxLength: 40 }), fc.option(fc.integer({ min: 1, max: 9 })))
  .map(([contents, second]) =>
    withHeader(contents, second === null ? undefined : second * 1000, 1),
  );
const rowsMax = fc.integer({ min: 1, max: 5 });
const walkOptions = fc.record<WalkOptions>({
  rowsMax,
  nowSeconds: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  hashes: fc.boolean(),
});
const keepingWalk = walkOptions.map((options) => ({ ...options, nowSeconds: undefined }));

/** Does the same with any database; what it returns is asked for when all operations were begun. */
type Operation = (database: ColdDatabase) => (() => unknown) | undefined;

function operations(prefix: Uint8Array): fc.Arbitrary<Operation[]> {
  const at = (bytes: Uint8Array): Uint8Array => Buffer.concat([prefix, bytes]);
  const within = ({ from, to }: ByteRange): ByteRange => ({ from: at(from), to: at(to) });
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(key, value).map(([k, v]): Operation => (database) => {
        database.put(at(k), v);
        return undefined;
      }),
    },
    {
      weight: 2,
      arbitrary: key.map((k): Operation => (database) => {
        database.delete(at(k));
        return undefined;
      }),
    },
    {
      weight: 4,
      arbitrary: keys.map((ks): Operation => (database) => {
        const read = database.beginRead(ks.map(at));
        return () => read.values().map((one) => one && [...one]);
      }),
    },
    fc.constant<Operation>((database) => {
      database.flush();
      return undefined;
    }),
    fc.tuple(range, fc.option(rowsMax)).map(([r, max]): Operation => (database) => {
      database.deleteRange(within(r), max ?? undefined);
      return undefined;
    }),
    fc.tuple(range, rowsMax).map(([r, max]): Operation => (database) => {
      const { rows, more } = database.page(within(r), max);
      const read = rows.map((row) => [[...row.key], [...row.value]]);
      return () => ({ rows: read, more });
    }),
    // Reads may overtake what a walk removes, so such a walk is waited for.
    fc.tuple(range, walkOptions).map(([r, options]): Operation => (database) => {
      const page = walked(database.walk(within(r), options), database);
      return () => page;
    }),
    fc.tuple(range, keepingWalk).map(([r, options]): Operation => (database) => {
      const walk = database.walk(within(r), options);
      return () => walked(walk, database);
    }),
  );
  return fc.array(operation, { maxLength: 60 });
}

/** Pages see all writes before them, so one after a write comes after a walk before that. */
function walked(walk: PendingWalk, database: ColdDatabase): unknown {
  let page = walk.result();
  while (page === undefined) {
    database.put(Buffer.from('after'), Buffer.from('the walk'));
    database.page({ from: Buffer.from('after'), to: Buffer.from('b') }, 1);
    page = walk.result();
  }
  const { next, removed, hashes } = page;
  return { next: next && [...next], removed, hashes: [...hashes] };
}

test('reads, pages and walks see all that was written before them and nothing else', (t) => {
  let runs = 0;
  fc.assert(
    fc.property(
      fc.constant(undefined).chain(() => operations(Buffer.from(`run ${runs++} `))),
      (all) => {
        const model = new DatabaseModel();
        const [real, expected] = [client, model].map((database) =>
          all.map((operation) => operation(database)).map((result) => result?.()),
        );
        deepStrictEqual(real, expected);
      },
    ),
    { numRuns: 150 },
  );
  t.pass();
});

test('a read sees writes that are gathered, on their way, and done', (t) => {
  const value = Buffer.alloc(1000, 7);
  for (let i = 0; i < 5000; i++) {
    client.put(Buffer.from(`seen ${i}`), value);
    const last = client.beginRead([Buffer.from(`seen ${i}`)]);
    if (i % 100 === 0) t.deepEqual(last.values()[0]?.length, 1000);
    else if (i % 10 === 0) t.is(last.values().length, 1);
    else last.values();
  }
});

test('rows of megabytes come back whole, in pages that end early', (t) => {
  const rows = [1, 2, 3].map((n) => ({
    key: Buffer.from(`large ${n}`),
    value: Buffer.alloc(3_000_000, n),
  }));
  for (const { key, value } of rows) client.put(key, value);
  const range = { from: Buffer.from('large'), to: Buffer.from('largf') };
  const first = client.page(range, 10);
  t.is(first.rows.length, 1);
  t.true(first.more);
  const rest = client.page({ ...range, from: successorOf(first.rows[0]?.key ?? range.to) }, 10);
  t.is(rest.rows.length, 1);
  t.true(Buffer.from(rest.rows[0]?.value ?? []).equals(Buffer.alloc(3_000_000, 2)));
  t.true(client.approximateBytes(range) >= 0);
  t.true(client.statistics().writeBufferBytes > 0);
});

test('a walk removes no row that was written anew after it began', (t) => {
  const [old, fresh] = [
    withHeader(Buffer.from('old'), 1000, 1),
    withHeader(Buffer.from('new'), 9000, 1),
  ];
  const keys = Array.from({ length: 100 }, (_, i) => Buffer.from(`walk ${i}`));
  for (const one of keys) client.put(one, old);
  const range = { from: Buffer.from('walk '), to: Buffer.from('walk!') };
  const walk = client.walk(range, { rowsMax: 1000, nowSeconds: 5, hashes: true });
  for (const one of keys.slice(50)) client.put(one, fresh);
  t.deepEqual(walked(walk, client), { next: undefined, removed: 100, hashes: [] });
  t.deepEqual(
    client.getMany(keys).map((one) => one !== undefined),
    keys.map((_, i) => i >= 50),
  );
});

test('no keys are no values', (t) => {
  t.deepEqual(client.getMany([]), []);
});
