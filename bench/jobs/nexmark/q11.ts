/** Nexmark q11, user sessions: bids of a bidder with less than ten seconds from one to the next. */
import { t, valueState, type Infer } from 'millrace';
import { isBid, nexmarkJob } from './nexmark-job.js';
import { fingerprintOf, mix } from './row-tally.js';

export const GAP_MS = 10_000;

const Row = t.record({ bidder: t.float64, bids: t.float64, start: t.timestamp, end: t.timestamp });
export type UserSession = Infer<typeof Row>;
const Span = t.record({ bids: t.float64, start: t.timestamp, end: t.timestamp });
type Span = Infer<typeof Span>;

export function sessionFingerprint({ bidder, bids, start, end }: UserSession): number {
  return fingerprintOf(mix(mix(mix(bidder, bids), start), end));
}

/** The sessions with one more, which joins all that it touches. */
function joined(sessions: readonly Span[], added: Span): readonly Span[] {
  const apart = sessions.filter(({ start, end }) => end <= added.start || start >= added.end);
  const touching = sessions.filter((session) => !apart.includes(session));
  const one = touching.reduce(
    (a, b) => ({
      bids: a.bids + b.bids,
      start: Math.min(a.start, b.start),
      end: Math.max(a.end, b.end),
    }),
    added,
  );
  return [...apart, one];
}

export default nexmarkJob('q11', {
  row: Row,
  fingerprint: sessionFingerprint,
  build: (events) =>
    events
      .filter('bids', isBid)
      .keyBy(({ bidder }) => bidder)
      .process('sessions', {
        state: { sessions: valueState(t.array(Span)) },
        output: Row,
        onElement: ({ date_time }, ctx) => {
          const open = ctx.state.sessions.value() ?? [];
          const end = date_time + GAP_MS;
          ctx.state.sessions.update(joined(open, { bids: 1, start: date_time, end }));
          // A session that has grown since is left alone by the timer; its own comes later.
          if (!open.some((session) => session.end === end)) {
            ctx.timers.registerEventTimeTimer(end - 1);
          }
        },
        onTimer: (timestamp, ctx) => {
          const open = ctx.state.sessions.value() ?? [];
          for (const session of open) {
            if (session.end <= timestamp + 1) ctx.collect({ bidder: ctx.key, ...session });
          }
          const left = open.filter(({ end }) => end > timestamp + 1);
          if (left.length === 0) ctx.state.sessions.clear();
          else ctx.state.sessions.update(left);
        },
      }),
});
