import test from 'ava';
import { ExclusiveOutputs } from '../../coordinator/exclusive-outputs.js';
import type { StreamGraph } from '../../core/stream-graph.js';

function graphOf(jobName: string, exclusiveOutputs: readonly string[] | undefined): StreamGraph {
  const sink = {
    name: 'write',
    kind: 'sink',
    chainable: true,
    inputs: [],
    outputs: {},
    states: [],
    declaredAt: 'job.ts:1:1',
    ...(exclusiveOutputs === undefined ? {} : { exclusiveOutputs }),
  } as const;
  return {
    jobName,
    maxParallelism: 128,
    checkpoint: {
      intervalMs: 1_000,
      timeoutMs: 1_000,
      retained: 1,
      minPauseMs: 0,
      tolerableFailures: 0,
      alignmentTimeoutMs: null,
    },
    restart: { kind: 'none' },
    state: { backend: 'memory', memoryBytesMax: 2 ** 28 },
    bufferTimeoutMs: 10,
    watermarkIntervalMs: 100,
    nodes: [sink],
  };
}

const copies = graphOf('copy', ['topic "a"', 'topic "b"']);

test('a second job of the name is refused what the first writes to, until that has ended', (t) => {
  const outputs = new ExclusiveOutputs();
  outputs.claim('first', copies);
  const again = graphOf('copy', ['topic "c"', 'topic "b"']);
  const refused = {
    message:
      'OUTPUT_CONFLICT: job "copy" runs already, as first, and both would write to topic "b" (operator ' +
      '"write"); cancel or stop that one first, or give this one another name',
  };
  t.throws(() => outputs.claim('second', again), refused);
  let ended = false;
  outputs.follow('first', copies, () => ended);
  t.throws(() => outputs.claim('second', again), refused);
  ended = true;
  t.notThrows(() => outputs.claim('second', again));
});

test('another name, another topic or what says nothing is nobody’s conflict', (t) => {
  const outputs = new ExclusiveOutputs();
  outputs.claim('first', copies);
  t.notThrows(() => outputs.claim('second', graphOf('other', ['topic "a"'])));
  t.notThrows(() => outputs.claim('third', graphOf('copy', ['topic "c"'])));
  t.notThrows(() => outputs.claim('fourth', graphOf('copy', undefined)));
});

test('a job that was refused for another reason leaves nothing behind', (t) => {
  const outputs = new ExclusiveOutputs();
  outputs.claim('first', copies);
  outputs.release('first');
  t.notThrows(() => outputs.claim('second', copies));
});
