import test from 'ava';
import fc from 'fast-check';
import { ChannelSet } from '../../../worker/network/channel-set.js';

const channelCount = 100;
const position = fc.nat(channelCount - 1);
const change = fc.record({ kind: fc.constantFrom('add', 'delete'), position } as const);

test('property: it holds what a set holds, and finds it in order from anywhere', (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 150 }), fc.nat(channelCount), (changes, start) => {
      const model = new Set<number>();
      const set = new ChannelSet(channelCount);
      for (const one of changes) {
        model[one.kind](one.position);
        set[one.kind](one.position);
      }
      t.is(set.size, model.size);
      for (let one = 0; one < channelCount; one++) t.is(set.has(one), model.has(one));
      const sorted = [...model].sort((a, b) => a - b);
      t.is(set.nextFrom(start), sorted.find((one) => one >= start) ?? sorted[0] ?? -1);
    }),
  );
});

test('property: a copy with one more leaves the set as it was', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(position), position, (positions, more) => {
      const set = new ChannelSet(channelCount);
      for (const one of positions) set.add(one);
      const copy = set.with(more);
      t.is(set.size, positions.length);
      t.is(set.has(more), positions.includes(more));
      t.is(copy.size, new Set([...positions, more]).size);
      t.true([...positions, more].every((one) => copy.has(one)));
    }),
  );
});
