/**
 * Nexmark q5, hot items: the auctions with most bids in the last ten seconds, every two seconds. Bids
 * are counted in panes of two seconds, and a window is five panes.
 */
import { mapState, t, tumblingWindows, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

export const SLIDE_MS = 2000;
export const SIZE_MS = 10_000;

const Row = t.record({ auction: t.float64, bids: t.float64, start: t.timestamp });
export type HotItem = Infer<typeof Row>;

export function hotItemFingerprint({ auction, bids, start }: HotItem): number {
  return fingerprintOf(mix(mix(auction, bids), start));
}

/** The windows that a pane is in, as rows of their own. */
function* windowsOf({ auction, bids, start }: HotItem): Iterable<HotItem> {
  for (let window = start - SIZE_MS + SLIDE_MS; window <= start; window += SLIDE_MS) {
    yield { auction, bids, start: window };
  }
}

export default nexmarkJob('q5', {
  row: Row,
  fingerprint: hotItemFingerprint,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ auction }) => auction)
      .window(tumblingWindows(SLIDE_MS))
      .aggregate('panes', {
        accumulator: t.record({ bids: t.float64 }),
        output: Row,
        createAccumulator: () => ({ bids: 0 }),
        add: (accumulator) => {
          accumulator.bids++;
          return accumulator;
        },
        getResult: ({ bids }, auction, { start }) => ({ auction, bids, start }),
      })
      .flatMap('windows', windowsOf, { output: Row })
      .keyBy(({ start }) => start)
      .process('hottest', {
        state: { bids: mapState(t.float64) },
        output: Row,
        onElement: ({ auction, bids, start }, ctx) => {
          const key = String(auction);
          const before = ctx.state.bids.get(key);
          ctx.state.bids.put(key, (before ?? 0) + bids);
          if (before === undefined) ctx.timers.registerEventTimeTimer(start + SIZE_MS - 1);
        },
        onTimer: (_timestamp, ctx) => {
          let most = 0;
          for (const [, bids] of ctx.state.bids.entries()) most = Math.max(most, bids);
          for (const [auction, bids] of ctx.state.bids.entries()) {
            if (bids === most) ctx.collect({ auction: Number(auction), bids, start: ctx.key });
          }
          ctx.state.bids.clear();
        },
      }),
});
