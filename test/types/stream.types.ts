/**
 * Type tests of the job SDK: this file compiles only if types run from source to sink. Every
 * `@ts-expect-error` marks a line that must not compile. Nothing here runs.
 */
import {
  aggregatingState,
  job,
  listState,
  mapState,
  param,
  t,
  tumblingWindows,
  valueState,
  type Sink,
  type Source,
} from '../../api/index.js';

const Click = t.record({ user: t.string, page: t.string, at: t.timestamp });
const Count = t.record({ user: t.string, count: t.int32 });
type Click = t.infer<typeof Click>;
type Count = t.infer<typeof Count>;

declare const clicks: Source<Click>;
declare const clickSink: Sink<Click>;
declare const countSink: Sink<Count>;

export default job(
  'types',
  {
    params: {
      limit: param.integer({ help: 'limit' }),
      mode: param.choice(['a', 'b'], { help: 'mode' }),
    },
  },
  (env, params) => {
    const limit: number = params.limit;
    const mode: 'a' | 'b' = params.mode;
    // @ts-expect-error a number is no string
    const wrong: string = params.limit;
    // @ts-expect-error no such parameter
    void params.other;
    void [limit, mode, wrong];

    const stream = env.source('clicks', clicks);
    stream.sinkTo('same', clickSink);
    // @ts-expect-error a sink of counts takes no clicks
    stream.sinkTo('other', countSink);
    // @ts-expect-error clicks have no such field
    stream.map('map', (click) => String(click.other));
    // @ts-expect-error the function's result does not fit the schema
    stream.map('checked', (click) => ({ user: click.user, count: click.page }), { output: Count });
    // @ts-expect-error an undefined key
    stream.keyBy(() => undefined);

    const processed = stream
      .keyBy((click) => click.user)
      .process('count', {
        state: {
          count: valueState(t.int32),
          pages: listState(t.string),
          byPage: mapState(t.int32),
          longest: aggregatingState(t.int32, {
            createAccumulator: () => 0,
            add: (longest, page: string) => Math.max(longest, page.length),
            getResult: (longest) => `${longest} characters`,
          }),
        },
        output: Count,
        sideOutputs: { rare: Click },
        onElement: (click, ctx) => {
          const key: string = ctx.key;
          const count: number | undefined = ctx.state.count.value();
          const pages: Iterable<string> = ctx.state.pages.get();
          const longest: string | undefined = ctx.state.longest.get();
          ctx.state.longest.add(click.page);
          ctx.state.byPage.put(click.page, 1);
          ctx.sideOutput('rare', click);
          ctx.collect({ user: click.user, count: (count ?? 0) + 1 });
          // @ts-expect-error the state holds a number
          ctx.state.count.update('one');
          // @ts-expect-error no such state
          void ctx.state.other;
          // @ts-expect-error not what the operator puts out
          ctx.collect(click);
          // @ts-expect-error not what the side output carries
          ctx.sideOutput('rare', { user: 'a', count: 1 });
          // @ts-expect-error no such side output
          ctx.sideOutput('other', click);
          void [key, pages, longest];
        },
        onTimer: (timestamp, ctx) => {
          const at: number = timestamp;
          const domain: 'eventTime' | 'processingTime' = ctx.timeDomain;
          void [at, domain];
        },
      });
    processed.sinkTo('counts', countSink);
    processed.sideOutput('rare').sinkTo('rare', clickSink);
    // @ts-expect-error the side output carries clicks
    processed.sideOutput('rare').sinkTo('wrong', countSink);
    // @ts-expect-error no such side output
    processed.sideOutput('other');

    stream
      .keyBy((click) => click.user)
      .window(tumblingWindows(1000))
      .aggregate('windowed', {
        accumulator: t.int32,
        output: Count,
        createAccumulator: () => 0,
        add: (accumulator) => accumulator + 1,
        getResult: (count, user) => ({ user, count }),
      })
      .sinkTo('windows', countSink);

    stream
      .score('scored', {
        module: './model.ts',
        input: t.record({ length: t.int32 }),
        result: t.float64,
        select: (click) => ({ length: click.page.length }),
        combine: (click, score) => ({ user: click.user, count: Math.round(score) }),
      })
      .sinkTo('scores', countSink);

    // @ts-expect-error streams of two types
    stream.union(processed);
  },
);
