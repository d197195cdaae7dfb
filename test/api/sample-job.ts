/** A job with every kind of operator, for tests of the graph. */
import {
  job,
  param,
  t,
  tumblingWindows,
  valueState,
  type Job,
  type Schema,
  type Sink,
  type Source,
} from '../../api/index.js';

export const Order = t.record({ user: t.string, amount: t.float64, at: t.timestamp });
export type Order = t.infer<typeof Order>;

export const Split = t.record({ id: t.string, ordinal: t.int32 });
export const Nothing = t.record({});

/** A source that is only described, never read. */
export function describedSource<T>(schema: Schema<T>): Source<T, t.infer<typeof Split>> {
  return {
    description: 'test source',
    schema,
    splitSchema: Split,
    bounded: true,
    discoverSplits: () => Promise.resolve([]),
    createReader: () => {
      throw new Error('this source is only described');
    },
  };
}

/** A sink that is only described, never written. */
export function describedSink<T>(schema?: Schema<T>): Sink<T, t.infer<typeof Nothing>> {
  return {
    description: 'test sink',
    ...(schema === undefined ? {} : { schema }),
    committableSchema: Nothing,
    createWriter: () => Promise.reject(new Error('this sink is only described')),
    createCommitter: () => Promise.reject(new Error('this sink is only described')),
  };
}

export const sampleJob: Job = job(
  'sample',
  { params: { threshold: param.number({ help: 'least amount', default: 100 }) } },
  (env, params) => {
    const orders = env.source('orders', describedSource(Order), {
      watermarks: { timestamp: (order) => order.at, maxOutOfOrdernessMs: 1000 },
    });
    orders.late.sinkTo('late-orders', describedSink(Order));
    const large = orders
      .filter('large', (order) => order.amount >= params.threshold)
      .map('in-cents', (order) => ({ ...order, amount: order.amount * 100 }));
    const checked = large
      .keyBy((order) => order.user)
      .process('check', {
        state: { seen: valueState(t.int32) },
        output: t.record({ user: t.string, count: t.int32 }),
        sideOutputs: { first: Order },
        onElement: (order, ctx) => {
          const count = (ctx.state.seen.value() ?? 0) + 1;
          ctx.state.seen.update(count);
          if (count === 1) ctx.sideOutput('first', order);
          ctx.collect({ user: order.user, count });
        },
      });
    checked.sinkTo('checked-orders', describedSink());
    checked
      .sideOutput('first')
      .rebalance()
      .flatMap('words', (order) => order.user.split(' '), { parallelism: 2, output: t.string })
      .sinkTo('first-orders', describedSink(t.string), { parallelism: 2 });
    large
      .keyBy((order) => order.user)
      .window(tumblingWindows(60_000))
      .aggregate('per-minute', {
        accumulator: t.record({ total: t.float64 }),
        output: t.record({ user: t.string, total: t.float64, until: t.timestamp }),
        createAccumulator: () => ({ total: 0 }),
        add: (accumulator, order) => ({ total: accumulator.total + order.amount }),
        getResult: ({ total }, user, window) => ({ user, total, until: window.end }),
      })
      .sinkTo('totals', describedSink());
  },
);
