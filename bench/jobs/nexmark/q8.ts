/** Nexmark q8, new users: who came and opened an auction in the same ten seconds. */
import { t, tumblingWindows, type Infer } from 'millrace';
import { nexmarkJob } from './nexmark-job.js';
import type { NexmarkEvent } from './events.js';
import { fingerprintOf, mix, mixText } from './row-tally.js';

export const SIZE_MS = 10_000;

const Row = t.record({ id: t.float64, name: t.string, start: t.timestamp });
type Row = Infer<typeof Row>;
const Seen = t.record({ name: t.string, came: t.boolean, opened: t.boolean });

export function newUserFingerprint({ id, name, start }: Row): number {
  return fingerprintOf(mixText(mix(id, start), name));
}

function isNotBid(event: NexmarkEvent): event is Exclude<NexmarkEvent, { readonly kind: 'bid' }> {
  return event.kind !== 'bid';
}

export default nexmarkJob('q8', {
  row: Row,
  fingerprint: newUserFingerprint,
  build: (events) =>
    events
      .filter('people-and-auctions', isNotBid)
      .keyBy((event) => (event.kind === 'person' ? event.id : event.seller))
      .window(tumblingWindows(SIZE_MS))
      .aggregate('seen', {
        accumulator: Seen,
        output: t.record({ id: t.float64, start: t.timestamp, seen: Seen }),
        createAccumulator: () => ({ name: '', came: false, opened: false }),
        add: (seen, event) =>
          event.kind === 'person'
            ? { ...seen, name: event.name, came: true }
            : { ...seen, opened: true },
        getResult: (seen, id, { start }) => ({ id, start, seen }),
      })
      .filter('both', ({ seen }) => seen.came && seen.opened)
      .map('new-user', ({ id, start, seen }) => ({ id, name: seen.name, start }), { output: Row }),
});
