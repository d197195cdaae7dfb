/**
 * The Nexmark queries done naively: one thread, all events in order, plain maps, no runtime. The sum
 * of their rows' fingerprints is what a job's tally must come to, and their speed is the raw loop's.
 */
import { bidFingerprint, dayOf, priceRank } from './bid-row.js';
import { nexmarkEvent, type Auction, type Bid, type Person } from './events.js';
import { bidOf } from './q0.js';
import { inEuros } from './q1.js';
import { EACH_AUCTION, selectionFingerprint } from './q2.js';
import { LOCAL_CATEGORY, LOCAL_STATES, suggestionFingerprint } from './q3.js';
import { averageFingerprint } from './q4.js';
import { hotItemFingerprint, SIZE_MS as HOT_MS, SLIDE_MS } from './q5.js';
import { highBidFingerprint, SIZE_MS as HIGHEST_MS } from './q7.js';
import { newUserFingerprint, SIZE_MS as NEW_USER_MS } from './q8.js';
import { GAP_MS, sessionFingerprint, type UserSession } from './q11.js';
import { bidderFingerprint } from './q12.js';
import { enrichedFingerprint, sideValueOf } from './q13.js';
import { channelFingerprint } from './q16.js';
import { auctionFingerprint } from './q17.js';
import { isLater } from './q18.js';
import { byPrice, rankedFingerprint, TOP } from './q19.js';
import { auctionOf, CATEGORY, expandedFingerprint } from './q20.js';

/** The rows' fingerprints, added up, of the first so many events. */
export type NexmarkModel = (events: number) => number;

interface Visitor {
  readonly person?: (person: Person) => void;
  readonly auction?: (auction: Auction) => void;
  readonly bid?: (bid: Bid) => void;
}

function eachEvent(events: number, visitor: Visitor): void {
  for (let n = 0; n < events; n++) {
    const event = nexmarkEvent(n);
    if (event.kind === 'bid') visitor.bid?.(event);
    else if (event.kind === 'auction') visitor.auction?.(event);
    else visitor.person?.(event);
  }
}

/** The value of a key, made by `create` when it is asked for first. */
function entry<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const created = create();
  map.set(key, created);
  return created;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** A query that makes one row, or none, of one bid. */
function ofEachBid(rowOf: (bid: Bid) => number): NexmarkModel {
  return (events) => {
    let total = 0;
    eachEvent(events, { bid: (bid) => (total += rowOf(bid)) });
    return total;
  };
}

function bidsByAuction(events: number): {
  readonly auctions: Map<number, Auction>;
  readonly bids: Map<number, Bid[]>;
} {
  const auctions = new Map<number, Auction>();
  const bids = new Map<number, Bid[]>();
  eachEvent(events, {
    auction: (auction) => auctions.set(auction.id, auction),
    bid: (bid) => entry(bids, bid.auction, () => []).push(bid),
  });
  return { auctions, bids };
}

function localSuggestions(events: number): number {
  const people = new Map<number, Person>();
  const auctions: Auction[] = [];
  eachEvent(events, {
    person: (person) => people.set(person.id, person),
    auction: (auction) => auctions.push(auction),
  });
  return sum(
    auctions.map(({ id, category, seller }) => {
      const person = people.get(seller);
      if (category !== LOCAL_CATEGORY || person === undefined) return 0;
      const { name, city, state } = person;
      if (!LOCAL_STATES.includes(state)) return 0;
      return suggestionFingerprint({ name, city, state, auction: id });
    }),
  );
}

function averagesOfWinningBids(events: number): number {
  const { auctions, bids } = bidsByAuction(events);
  const prices = new Map<number, number[]>();
  for (const { id, category, date_time, expires } of auctions.values()) {
    const valid = (bids.get(id) ?? []).filter(
      (bid) => bid.date_time >= date_time && bid.date_time <= expires,
    );
    if (valid.length === 0) continue;
    const winning = valid.reduce((most, { price }) => Math.max(most, price), 0);
    entry(prices, category, () => []).push(winning);
  }
  return sum(
    [...prices].map(([category, winning]) =>
      averageFingerprint(category, Math.floor(sum(winning) / winning.length)),
    ),
  );
}

function hotItems(events: number): number {
  const windows = new Map<number, Map<number, number>>();
  eachEvent(events, {
    bid: ({ auction, date_time }) => {
      const latest = date_time - (date_time % SLIDE_MS);
      for (let start = latest; start > date_time - HOT_MS; start -= SLIDE_MS) {
        const counts = entry(windows, start, () => new Map<number, number>());
        counts.set(auction, (counts.get(auction) ?? 0) + 1);
      }
    },
  });
  let total = 0;
  for (const [start, counts] of windows) {
    const most = Math.max(...counts.values());
    for (const [auction, bids] of counts) {
      if (bids === most) total += hotItemFingerprint({ auction, bids, start });
    }
  }
  return total;
}

function highestBids(events: number): number {
  const windows = new Map<number, Bid[]>();
  eachEvent(events, {
    bid: (bid) => {
      const start = bid.date_time - (bid.date_time % HIGHEST_MS);
      const best = windows.get(start) ?? [];
      const price = best[0]?.price ?? 0;
      if (bid.price > price) windows.set(start, [bid]);
      else if (bid.price === price) best.push(bid);
    },
  });
  return sum([...windows.values()].flat().map(highBidFingerprint));
}

function newUsers(events: number): number {
  const startOf = (timestamp: number): number => timestamp - (timestamp % NEW_USER_MS);
  const opened = new Set<string>();
  const people: Person[] = [];
  eachEvent(events, {
    person: (person) => people.push(person),
    auction: ({ seller, date_time }) => opened.add(`${seller} ${startOf(date_time)}`),
  });
  return sum(
    people.map(({ id, name, date_time }) => {
      const start = startOf(date_time);
      return opened.has(`${id} ${start}`) ? newUserFingerprint({ id, name, start }) : 0;
    }),
  );
}

function userSessions(events: number): number {
  const open = new Map<number, UserSession>();
  let total = 0;
  eachEvent(events, {
    bid: ({ bidder, date_time }) => {
      const session = open.get(bidder);
      const end = date_time + GAP_MS;
      if (session !== undefined && date_time < session.end) {
        open.set(bidder, { ...session, bids: session.bids + 1, end });
        return;
      }
      if (session !== undefined) total += sessionFingerprint(session);
      open.set(bidder, { bidder, bids: 1, start: date_time, end });
    },
  });
  return total + sum([...open.values()].map(sessionFingerprint));
}

function channelStatistics(events: number): number {
  const channels = new Map<string, Bid[]>();
  eachEvent(events, {
    bid: (bid) => entry(channels, `${bid.channel} ${dayOf(bid.date_time)}`, () => []).push(bid),
  });
  const countsOf = <T>(bids: readonly Bid[], select: (bids: readonly Bid[]) => Iterable<T>) => {
    const count = (rank?: 1 | 2 | 3): number =>
      [...select(bids.filter(({ price }) => rank === undefined || priceRank(price) === rank))]
        .length;
    return { total: count(), rank1: count(1), rank2: count(2), rank3: count(3) };
  };
  return sum(
    [...channels.values()].map((bids) => {
      const latest = bids.reduce((a, b) => (b.date_time > a.date_time ? b : a));
      return channelFingerprint({
        channel: latest.channel,
        day: dayOf(latest.date_time),
        minute: latest.date_time - (latest.date_time % 60_000),
        bids: countsOf(bids, (some) => some),
        bidders: countsOf(bids, (some) => new Set(some.map(({ bidder }) => bidder))),
        auctions: countsOf(bids, (some) => new Set(some.map(({ auction }) => auction))),
      });
    }),
  );
}

function auctionStatistics(events: number): number {
  const auctions = new Map<string, Bid[]>();
  eachEvent(events, {
    bid: (bid) => entry(auctions, `${bid.auction} ${dayOf(bid.date_time)}`, () => []).push(bid),
  });
  return sum(
    [...auctions.values()].map((bids) => {
      const [first] = bids;
      const prices = bids.map(({ price }) => price).sort((a, b) => a - b);
      const ranked = (rank: number): number =>
        prices.filter((price) => priceRank(price) === rank).length;
      return auctionFingerprint({
        auction: first?.auction ?? 0,
        day: dayOf(first?.date_time ?? 0),
        bids: bids.length,
        rank1: ranked(1),
        rank2: ranked(2),
        rank3: ranked(3),
        least: prices[0] ?? 0,
        greatest: prices.at(-1) ?? 0,
        average: Math.floor(sum(prices) / prices.length),
        sum: sum(prices),
      });
    }),
  );
}

function lastBids(events: number): number {
  const last = new Map<string, Bid>();
  eachEvent(events, {
    bid: (bid) => {
      const key = `${bid.bidder} ${bid.auction}`;
      const former = last.get(key);
      if (former === undefined || isLater(bid, former)) last.set(key, bid);
    },
  });
  return sum([...last.values()].map(bidFingerprint));
}

function topBids(events: number): number {
  const { bids } = bidsByAuction(events);
  return sum(
    [...bids.values()].flatMap((all) =>
      all
        .sort(byPrice)
        .slice(0, TOP)
        .map((bid, index) => rankedFingerprint(bid, index + 1)),
    ),
  );
}

function bidsWithAuctions(events: number): number {
  const { auctions, bids } = bidsByAuction(events);
  return sum(
    [...bids].flatMap(([id, all]) => {
      const auction = auctions.get(id);
      if (auction?.category !== CATEGORY) return [];
      const opened = auctionOf(auction);
      return all.map((bid) => expandedFingerprint({ bid: bidOf(bid), auction: opened }));
    }),
  );
}

/** By the name of the query. */
export const NEXMARK_MODELS: Readonly<Record<string, NexmarkModel>> = {
  q0: ofEachBid(bidFingerprint),
  q1: ofEachBid((bid) => bidFingerprint(inEuros(bid))),
  q2: ofEachBid((bid) => (bid.auction % EACH_AUCTION === 0 ? selectionFingerprint(bid) : 0)),
  q3: localSuggestions,
  q4: averagesOfWinningBids,
  q5: hotItems,
  q7: highestBids,
  q8: newUsers,
  q11: userSessions,
  q12: ofEachBid(({ bidder }) => bidderFingerprint({ bidder, bids: 1 })),
  q13: ofEachBid((bid) => enrichedFingerprint({ ...bid, value: sideValueOf(bid.auction) })),
  q16: channelStatistics,
  q17: auctionStatistics,
  q18: lastBids,
  q19: topBids,
  q20: bidsWithAuctions,
};
