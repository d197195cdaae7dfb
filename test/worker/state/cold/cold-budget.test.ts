import test from 'ava';
import { STATE_MEMORY_BYTES_MAX, STATE_MEMORY_BYTES_MIN } from '../../../../core/stream-graph.js';
import { splitBudget } from '../../../../worker/state/cold/cold-budget.js';

const MIB = 1024 * 1024;

for (const bytes of [STATE_MEMORY_BYTES_MIN, 100 * MIB + 7, 256 * MIB, STATE_MEMORY_BYTES_MAX]) {
  test(`the parts of ${bytes} bytes are no more than the whole, and much is for objects`, (t) => {
    const { liveBytes, writeBufferBytes, filterBytes } = splitBudget(bytes);
    // Beside what lives V8 keeps half as much again.
    const heapBytes = liveBytes * 1.5;
    t.true(heapBytes + 2 * writeBufferBytes + filterBytes <= bytes);
    t.true(heapBytes >= bytes * 0.4);
    t.true(writeBufferBytes >= MIB && filterBytes >= MIB);
    t.true(writeBufferBytes < 2 ** 32);
  });
}

test('less than the least is refused', (t) => {
  t.throws(() => splitBudget(STATE_MEMORY_BYTES_MIN - 1), { message: /large enough to split/ });
});
