import test from 'ava';
import fc from 'fast-check';
import { t as types } from '../../../api/schema.js';
import { json } from '../../../connectors/formats/json.js';
import { ChangeReducer, type EncodedChange } from '../../../connectors/kafka/change-reducer.js';
import type { Change } from '../../../connectors/kafka/change.js';

type TextChange = Change<string, string>;

/** `key=value@timestamp`, without a value for a delete. */
type Written = string;

async function open(bytesMax: number) {
  const written: Written[] = [];
  const epochs: number[] = [];
  const text = json(types.string);
  const reducer = new ChangeReducer<string, string, number>({
    writer: {
      write: ({ key, value, headers }: EncodedChange, timestamp) => {
        if (key === undefined) throw new Error('no key');
        const shown = value === undefined ? '' : `=${Buffer.from(value).toString()}`;
        const names = headers.map((header) => header.key).join();
        written.push(`${Buffer.from(key).toString()}${shown}@${timestamp}${names}`);
      },
      whenWritable: () => undefined,
      prepareCommit: (checkpointId) => {
        epochs.push(written.length);
        return Promise.resolve([checkpointId]);
      },
      close: () => Promise.resolve(),
    },
    key: await text.createEncoder({ subject: 'key' }),
    value: await text.createEncoder({ subject: 'value' }),
    timestamp: undefined,
    headers: undefined,
    bytesMax,
  });
  return { reducer, written, epochs };
}

const upsert = (key: string, value: string): TextChange => ({ op: 'upsert', key, value });

test('of each key the last change of an epoch is written, with its time', async (t) => {
  const { reducer, written, epochs } = await open(4_096);
  reducer.write(upsert('a', 'x'), 1);
  reducer.write(upsert('b', 'y'), 2);
  reducer.write(upsert('ä', 'longer than the one before'), 3);
  reducer.write(upsert('a', 'the last one'), 4);
  reducer.write({ op: 'delete', key: 'b' }, 5);
  t.deepEqual(written, []);
  t.deepEqual(await reducer.prepareCommit(7), [7]);
  t.deepEqual(written, ['"a"="the last one"@4', '"b"@5', '"ä"="longer than the one before"@3']);
  reducer.write(upsert('b', 'again'), 6);
  await reducer.prepareCommit(8);
  t.deepEqual(epochs, [3, 4]);
  t.is(written.at(-1), '"b"="again"@6');
});

test('a change without a key is the writer’s to refuse, and what fails at the barrier rejects', async (t) => {
  const { reducer, written } = await open(4_096);
  t.throws(() => reducer.write({ op: 'delete', key: null as unknown as string }, 1), {
    message: 'no key',
  });
  reducer.write(upsert('a', 'x'), 1);
  Object.freeze(written);
  await t.throwsAsync(reducer.prepareCommit(1), { instanceOf: TypeError });
});

test('however little it may hold, the last changes are the same and those of a key in order', async (t) => {
  const change = fc.tuple(
    fc.constantFrom('a', 'b', 'c', 'ü', ''),
    fc.option(fc.string({ maxLength: 200 })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 60 }),
      fc.constantFrom(1, 64, 500, 100_000),
      async (changes, bytesMax) => {
        const { reducer, written } = await open(bytesMax);
        const last = new Map<string, string>();
        const all = new Map<string, Written[]>();
        changes.forEach(([key, value], at) => {
          reducer.write(value === null ? { op: 'delete', key } : upsert(key, value), at);
          const name = JSON.stringify(key);
          const shown = `${name}${value === null ? '' : `=${JSON.stringify(value)}`}@${at}`;
          last.set(name, shown);
          all.set(name, [...(all.get(name) ?? []), shown]);
        });
        await reducer.prepareCommit(1);
        for (const [name, expected] of last) {
          const own = written.filter((one) => one.startsWith(name));
          t.is(own.at(-1), expected);
          const order = own.map((one) => (all.get(name) ?? []).indexOf(one));
          t.deepEqual(
            order,
            [...order].sort((a, b) => a - b),
          );
          t.false(order.includes(-1));
        }
        if (bytesMax === 100_000) t.is(written.length, last.size);
      },
    ),
    { numRuns: 200 },
  );
});
