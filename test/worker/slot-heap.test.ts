import test from 'ava';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { describeHeapError, slotHeapLimits } from '../../worker/slot-heap.js';

const MIB = 1024 * 1024;
const onHeap = { backend: 'memory', memoryBytesMax: 256 * MIB } as const;
const budgeted = { backend: 'rocksdb', memoryBytesMax: 256 * MIB } as const;

test('state on the heap has what V8 gives it, unless the worker was told', (t) => {
  t.is(slotHeapLimits(onHeap, undefined).maxOldGenerationSizeMb, undefined);
  t.is(slotHeapLimits(onHeap, 700).maxOldGenerationSizeMb, 700);
});

test('a budget bounds the heap, unless the worker was told', (t) => {
  t.is(slotHeapLimits(budgeted, undefined).maxOldGenerationSizeMb, 448);
  t.is(slotHeapLimits(budgeted, 700).maxOldGenerationSizeMb, 700);
});

test('a small budget has a small young generation beside it', (t) => {
  const small = { ...budgeted, memoryBytesMax: 47 * MIB };
  const young = (state: typeof budgeted): number =>
    slotHeapLimits(state, undefined).maxYoungGenerationSizeMb ?? 0;
  t.true(young(small) < young({ ...small, memoryBytesMax: 48 * MIB }));
  t.is(young(budgeted), young({ ...small, memoryBytesMax: 48 * MIB }));
});

test('a thread that runs out of its heap names the budget and the least that may do', async (t) => {
  const thread = new Worker('const kept = []; for (;;) kept.push({ at: kept.length });', {
    eval: true,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  const [error] = (await once(thread, 'error')) as [Error];
  const described = describeHeapError(error, budgeted, undefined);
  t.regex(described?.message ?? '', /state\.memoryBytesMax \(256 MiB\)/);
  t.regex(described?.message ?? '', /--slot-heap-mb 640 at least/);
  t.is(described?.cause, error);
  t.is(describeHeapError(error, onHeap, undefined), undefined);
  t.is(describeHeapError(new Error('another'), budgeted, undefined), undefined);
});
