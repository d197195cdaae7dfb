/**
 * Nexmark q12, processing-time windows: bids of a bidder in ten seconds of the worker's clock. Which
 * window a bid falls into is chance, so a row's fingerprint only says whose bids and how many.
 */
import { t, valueState, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

const SIZE_MS = 10_000;
/** Reached when the input has ended, which is when the last windows are all that they will be. */
const END_OF_INPUT_MS = Number.MAX_SAFE_INTEGER;

const Row = t.record({ bidder: t.float64, bids: t.float64, start: t.timestamp });
type Row = Infer<typeof Row>;
const Open = t.record({ bids: t.float64, start: t.timestamp });

export function bidderFingerprint({ bidder, bids }: Pick<Row, 'bidder' | 'bids'>): number {
  return fingerprintOf(mix(bidder, 12)) * bids;
}

export default nexmarkJob('q12', {
  row: Row,
  fingerprint: bidderFingerprint,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ bidder }) => bidder)
      .process('windows', {
        state: { open: valueState(Open) },
        output: Row,
        onElement: (_bid, ctx) => {
          const open = ctx.state.open.value();
          const { processingTime } = ctx;
          const start = processingTime - (processingTime % SIZE_MS);
          if (open?.start === start) {
            ctx.state.open.update({ bids: open.bids + 1, start });
            return;
          }
          // The clock may be past the window's end before its timer is.
          if (open !== undefined) ctx.collect({ bidder: ctx.key, ...open });
          ctx.state.open.update({ bids: 1, start });
          ctx.timers.registerProcessingTimeTimer(start + SIZE_MS);
          ctx.timers.registerEventTimeTimer(END_OF_INPUT_MS);
        },
        onTimer: (timestamp, ctx) => {
          const open = ctx.state.open.value();
          if (open === undefined || open.start >= timestamp) return;
          ctx.collect({ bidder: ctx.key, ...open });
          ctx.state.open.clear();
        },
      }),
});
