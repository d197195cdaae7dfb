/** Nexmark q3, local item suggestion: who in Oregon, Idaho or California sells in category 10. */
import { listState, t, valueState, type Infer } from 'millrace';
import { nexmarkJob } from './nexmark-job.js';
import type { NexmarkEvent } from './events.js';
import { fingerprintOf, mix, mixText } from './row-tally.js';

export const LOCAL_STATES: readonly string[] = ['OR', 'ID', 'CA'];
export const LOCAL_CATEGORY = 10;

const Row = t.record({ name: t.string, city: t.string, state: t.string, auction: t.float64 });
type Row = Infer<typeof Row>;
const Seller = t.record({ name: t.string, city: t.string, state: t.string });

export function suggestionFingerprint({ name, city, state, auction }: Row): number {
  return fingerprintOf(mixText(mixText(mixText(mix(auction, 1), name), city), state));
}

function isLocal(event: NexmarkEvent): event is Exclude<NexmarkEvent, { readonly kind: 'bid' }> {
  if (event.kind === 'person') return LOCAL_STATES.includes(event.state);
  return event.kind === 'auction' && event.category === LOCAL_CATEGORY;
}

export default nexmarkJob('q3', {
  row: Row,
  fingerprint: suggestionFingerprint,
  build: (events) =>
    events
      .filter('local', isLocal)
      .keyBy((event) => (event.kind === 'person' ? event.id : event.seller))
      .process('join', {
        state: { seller: valueState(Seller), auctions: listState(t.float64) },
        output: Row,
        onElement: (event, ctx) => {
          if (event.kind === 'person') {
            const { name, city, state } = event;
            ctx.state.seller.update({ name, city, state });
            for (const auction of ctx.state.auctions.get()) {
              ctx.collect({ name, city, state, auction });
            }
            ctx.state.auctions.clear();
            return;
          }
          // A person comes once: only auctions that are ahead of theirs have to wait.
          const seller = ctx.state.seller.value();
          if (seller === undefined) ctx.state.auctions.add(event.id);
          else ctx.collect({ ...seller, auction: event.id });
        },
      }),
});
