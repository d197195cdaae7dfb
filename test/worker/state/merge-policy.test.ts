/** What merges cost over a long life, and how many layers they leave. */
import test from 'ava';
import { chooseMerge, type LayerSize } from '../../../worker/state/merge-policy.js';

interface Life {
  readonly layersMost: number;
  /** Bytes that merges wrote, for each byte of changes. */
  readonly copies: number;
}

/** Checkpoints that each bring a layer, of an operator whose state stays of one size. */
function live(sizes: readonly number[], stateBytes: number, layersMax = 16): Life {
  let layers: LayerSize[] = [{ lengthBytes: stateBytes, changes: stateBytes / 100 }];
  let layersMost = 0;
  let changed = 0;
  let copied = 0;
  for (const lengthBytes of sizes) {
    layers.push({ lengthBytes, changes: lengthBytes / 100 });
    changed += lengthBytes;
    for (;;) {
      const choice = chooseMerge(layers, layersMax);
      if (choice === undefined) break;
      const merged = layers.slice(choice.from, choice.to);
      const bytes = merged.reduce((sum, layer) => sum + layer.lengthBytes, 0);
      const written = choice.from === 0 ? Math.min(bytes, stateBytes) : bytes;
      copied += written;
      layers = layers.toSpliced(choice.from, merged.length, {
        lengthBytes: written,
        changes: written / 100,
      });
    }
    layersMost = Math.max(layersMost, layers.length);
  }
  return { layersMost, copies: copied / changed };
}

test('small changes of a large state are copied a few times and never pile up', (t) => {
  for (const [change, state] of [
    [1_000, 10_000_000],
    [100_000, 10_000_000],
    [5_000_000, 10_000_000],
    [10_000_000, 10_000_000],
  ] as const) {
    const { layersMost, copies } = live(new Array<number>(2000).fill(change), state);
    t.true(layersMost <= 16, `${String(layersMost)} layers at ${String(change)}`);
    t.true(copies < 10, `${copies.toFixed(1)} copies at ${String(change)}`);
  }
});

test('changes of any sizes stay within the limit of layers', (t) => {
  const sizes = Array.from({ length: 3000 }, (_, i) => 100 + ((i * 7919) % 997) ** 2);
  const { layersMost, copies } = live(sizes, 50_000_000);
  t.true(layersMost <= 16);
  t.true(copies < 12, copies.toFixed(1));
  t.true(live(sizes, 50_000_000, 3).layersMost <= 3);
});

test('a base of rows that are gone is rewritten, however small their removals are', (t) => {
  const base = { lengthBytes: 1_000_000, changes: 1000 };
  t.deepEqual(chooseMerge([base, { lengthBytes: 20_000, changes: 1000 }], 16), { from: 0, to: 2 });
  t.is(chooseMerge([base, { lengthBytes: 20_000, changes: 200 }], 16), undefined);
  t.is(chooseMerge([base], 16), undefined);
  t.is(chooseMerge([], 16), undefined);
});
