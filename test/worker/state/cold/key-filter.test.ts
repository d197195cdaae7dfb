import test from 'ava';
import fc from 'fast-check';
import { murmur3Hash32 } from '../../../../core/murmur3.js';
import { FilterBudget, KeyFilter } from '../../../../worker/state/cold/key-filter.js';

const MIB = 1024 * 1024;

function hashesOf(prefix: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => murmur3Hash32(Buffer.from(`${prefix}${i}`)));
}

test('what was added is never denied', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 2000 }),
      fc.integer({ min: 0, max: 20_000 }),
      (hashes, bytesMax) => {
        const filter = new KeyFilter(new FilterBudget(bytesMax));
        for (const hash of hashes) filter.add(hash);
        return hashes.every((hash) => filter.mayHave(hash));
      },
    ),
  );
  t.pass();
});

for (const count of [500, 20_000, 100_000]) {
  test(`of ${count} keys, few others seem to be there, in few bytes`, (t) => {
    const budget = new FilterBudget(16 * MIB);
    const filter = new KeyFilter(budget);
    for (const hash of hashesOf('in', count)) filter.add(hash);
    for (const hash of hashesOf('in', count)) filter.add(hash);
    t.true(filter.count <= count && filter.count > count * 0.95);
    const passed = hashesOf('out', 20_000).filter((hash) => filter.mayHave(hash)).length;
    t.true(passed < 20_000 * 0.04, `${passed} of 20000`);
    t.true(16 * MIB - budget.leftBytes < Math.max(4096, count * 8));
    filter.clear();
    t.is(budget.leftBytes, 16 * MIB);
    t.is(filter.count, 0);
  });
}

test('without memory it says that anything may be there', (t) => {
  const filter = new KeyFilter(new FilterBudget(100));
  t.false(filter.mayHave(1));
  filter.add(2);
  t.true(filter.blind);
  t.true(filter.mayHave(1));
  t.true(filter.mayHave(2));
});

test('with memory for one layer only it goes on in that one', (t) => {
  const filter = new KeyFilter(new FilterBudget(1500));
  const hashes = hashesOf('in', 3000);
  for (const hash of hashes) filter.add(hash);
  t.false(filter.blind);
  t.true(hashes.every((hash) => filter.mayHave(hash)));
});
