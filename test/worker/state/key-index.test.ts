import test from 'ava';
import fc from 'fast-check';
import { keyHash } from '../../../core/key-codec.js';
import { KeyBatch } from '../../../worker/state/key-batch.js';
import { KeyEntry } from '../../../worker/state/key-entry.js';
import { KeyIndex } from '../../../worker/state/key-index.js';

const entryOf = (key: string, hash = keyHash(key) | 0): KeyEntry =>
  new KeyEntry(key, key, hash, 0, []);

type Step =
  | { readonly kind: 'add' | 'delete' | 'find'; readonly key: number }
  | { readonly kind: 'begin' }
  | { readonly kind: 'step' };

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: stepOn('add') },
    { weight: 5, arbitrary: stepOn('delete') },
    { weight: 4, arbitrary: stepOn('find') },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'begin' }) },
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'step' }) },
  ),
  { maxLength: 400 },
);

function stepOn(kind: 'add' | 'delete' | 'find'): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant(kind), key: fc.integer({ min: 0, max: 60 }) });
}

test('random keys that come and go, few hashes among many: always what a Map has, in its order', (t) => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 40 }), (script, hashes) => {
      const index = new KeyIndex();
      const model = new Map<string, KeyEntry>();
      let walk = index.walk();
      let modelWalk = model.values();
      const check = (): void => {
        t.is(index.size, model.size);
        t.deepEqual([...index.walk()], [...model.values()]);
      };
      for (const step of script) {
        if (step.kind === 'begin') {
          walk = index.walk();
          modelWalk = model.values();
        } else if (step.kind === 'step') {
          t.is(walk.next().value, modelWalk.next().value);
        } else {
          const key = `key-${String(step.key)}`;
          const hash = (step.key % hashes) - 3;
          const known = model.get(key);
          t.is(index.find(key, hash), known);
          if (step.kind === 'add' && known === undefined) {
            const entry = entryOf(key, hash);
            index.add(entry);
            model.set(key, entry);
          } else if (step.kind === 'delete' && known !== undefined) {
            index.delete(known);
            model.delete(key);
          }
        }
      }
      check();
    }),
    { numRuns: 300 },
  );
});

test('a hundred thousand keys are found, and their places given up when they go', (t) => {
  const index = new KeyIndex();
  const entries = Array.from({ length: 100_000 }, (_, i) => entryOf(`user-${String(i)}`));
  for (const entry of entries) index.add(entry);
  const walk = index.walk();
  const met = new Set<KeyEntry>();
  for (let i = 0; i < 50_000; i++) met.add(walk.next().value as KeyEntry);
  // In the midst of the walk all positions change, more than once.
  entries.forEach((entry, i) => {
    if (i % 10 !== 0) index.delete(entry);
  });
  for (const entry of walk) met.add(entry);
  entries.forEach((entry, i) => {
    const kept = i % 10 === 0;
    if (index.find(entry.identity, entry.hash) !== (kept ? entry : undefined)) t.fail(String(i));
    if (kept && !met.has(entry)) t.fail(`${String(i)} was not met`);
  });
  t.is(index.size, 10_000);
});

test('a batch gives each key its own entry, or none when that is gone, new or not known by text', (t) => {
  const index = new KeyIndex();
  const batch = new KeyBatch(index);
  const known = ['a', 'b', 'c'].map((key) => entryOf(key));
  const [a, b, c] = known;
  for (const entry of known) index.add(entry);
  t.deepEqual(batch.lookUp(['a', 'new', 'b', 'a', 'c']), [a, undefined, b, a, c]);
  t.is(batch.next('a'), a);
  t.is(batch.next('new'), undefined);
  // Whoever asks for another key than the next does not upset the order.
  t.is(batch.next('c'), undefined);
  if (b !== undefined) index.delete(b);
  t.is(batch.next('b'), undefined);
  t.is(batch.next('a'), a);
  t.is(batch.next('c'), c);
  t.is(batch.next('c'), undefined);
  batch.lookUp(['a', 1, 'c']);
  t.is(batch.next('a'), undefined);
});

test('a batch never gives the entry of another key with the same hash', (t) => {
  const index = new KeyIndex();
  index.add(entryOf('other', keyHash('key') | 0));
  const batch = new KeyBatch(index);
  batch.lookUp(['key']);
  t.is(batch.next('key'), undefined);
  const own = entryOf('key');
  index.add(own);
  t.is(index.find('key', own.hash), own);
});
