/**
 * State ten times the memory that it is given: a text of a thousand characters for each key, and the keys
 * come in turn, so that each was out of memory for longest when it is needed.
 */
import { job, param, t, valueState, type Infer } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { RunningTally, Running } from './rolling-state.js';
import { tallySink } from './tally-sink.js';
import { SPLITS } from './transactions.js';

/** Of each of two slots. */
export const LARGE_MEMORY_BYTES_MAX = 32 * 1024 * 1024;
const TEXT_LENGTH = 1000;
/** A multiple of the splits: each key comes from one of them. */
export const LARGE_KEYS = (20 * LARGE_MEMORY_BYTES_MAX) / 1024;

const Visit = t.record({ index: t.float64, user: t.string });
const Visited = t.record({ count: t.float64, last: t.string });

function visit(index: number): Infer<typeof Visit> {
  return { index, user: `user-${index % LARGE_KEYS}` };
}

export default job(
  'bench-state-large',
  {
    params: { folder: param.string({ help: 'where the tallies go' }) },
    state: { backend: 'rocksdb', memoryBytesMax: LARGE_MEMORY_BYTES_MAX },
  },
  (env, { folder }) => {
    env
      .source('visits', generatorSource({ schema: Visit, generate: visit, splits: SPLITS }))
      .keyBy(({ user }) => user)
      .process('count', {
        state: { visited: valueState(Visited) },
        output: Running,
        onElement: ({ index }, ctx) => {
          const count = (ctx.state.visited.value()?.count ?? 0) + 1;
          ctx.state.visited.update({ count, last: String(index).padStart(TEXT_LENGTH) });
          ctx.collect({ split: index & (SPLITS - 1), count });
        },
      })
      .sinkTo(
        'tally',
        tallySink({ folder, schema: Running, createTally: () => new RunningTally() }),
      );
  },
);
