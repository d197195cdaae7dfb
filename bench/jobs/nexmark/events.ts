/**
 * The event stream of Nexmark, after the published generator: of 50 events one is a new person, three
 * are new auctions, the others bids; hot auctions, bidders and sellers take most of them. Event n
 * depends on n alone: chance is a hash of n. 10,000 events are one second of event time.
 */
import { t, type Infer } from 'millrace';

export const Person = t.record({
  id: t.float64,
  name: t.string,
  email_address: t.string,
  credit_card: t.string,
  city: t.string,
  state: t.string,
  date_time: t.timestamp,
  extra: t.string,
});
export type Person = Infer<typeof Person>;

export const Auction = t.record({
  id: t.float64,
  item_name: t.string,
  description: t.string,
  initial_bid: t.float64,
  reserve: t.float64,
  date_time: t.timestamp,
  expires: t.timestamp,
  seller: t.float64,
  category: t.float64,
  extra: t.string,
});
export type Auction = Infer<typeof Auction>;

export const Bid = t.record({
  auction: t.float64,
  bidder: t.float64,
  price: t.float64,
  channel: t.string,
  url: t.string,
  date_time: t.timestamp,
  extra: t.string,
});
export type Bid = Infer<typeof Bid>;

export const NexmarkEvent = t.union('kind', { person: Person, auction: Auction, bid: Bid });
export type NexmarkEvent = Infer<typeof NexmarkEvent>;
export type BidEvent = Extract<NexmarkEvent, { readonly kind: 'bid' }>;

/** Event time of event 0, ms: a whole day, so that all windows begin with it. */
export const EPOCH_MS = 1_700_006_400_000;
const EVENTS_PER_MS = 10;

const PERSONS = 1;
const AUCTIONS = 3;
/** Events in which the proportions hold; the rest of them are bids. */
const ROUND = 50;
const FIRST_ID = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
/** One in so many is not hot. */
const HOT_AUCTION_RATIO = 2;
const HOT_BIDDER_RATIO = 4;
const HOT_SELLER_RATIO = 4;
/** Ids in a row that share one hot one. */
const HOT_BLOCK = 100;
const AUCTIONS_IN_FLIGHT = 100;
const ACTIVE_PEOPLE = 1000;
/** Bids and auctions may name an id that is yet to come. */
const ID_LEAD = 10;
const CHANNELS = 10_000;

const STATES = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const CITIES = [
  ...['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland'],
  ...['Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'],
];
const FIRST_NAMES = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah'];
const LAST_NAMES = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones'];
const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple'];
/** Text that fills events up to their published sizes of 200, 500 and 100 bytes. */
const FILLER = 'lorem-ipsum-dolor-sit-amet-'.repeat(20);

const names = FIRST_NAMES.flatMap((first) => LAST_NAMES.map((last) => `${first} ${last}`));
const emails = names.map((name) => `${name.toLowerCase().replace(' ', '.')}@example.org`);
const channels = Array.from({ length: CHANNELS }, (_, i) => `channel-${i}`);
const urls = Array.from({ length: 997 }, (_, i) => `https://www.example.org/item.htm?query=${i}`);
const hotUrls = HOT_CHANNELS.map((name) => `https://www.example.org/${name}/item.htm?query=1`);
const PRICE_BITS = 16;
const PRICE_STEPS = 1 << PRICE_BITS;
const prices = Array.from({ length: PRICE_STEPS + 1 }, (_, step) =>
  Math.round(Math.pow(10, (step / PRICE_STEPS) * 6) * 100),
);
const personExtra = FILLER.slice(0, 96);
const auctionExtra = FILLER.slice(0, 380);
const bidExtra = FILLER.slice(0, 20);

/** 32 bits that look like chance, of event `n` and use `k`. */
function chance(n: number, k: number): number {
  let h = Math.imul(n, 0x9e3779b1) ^ Math.imul(k + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function below(n: number, k: number, bound: number): number {
  return chance(n, k) % bound;
}

/** 1.00 to 1,000,000.00 in cents, evenly by its logarithm; in whole numbers, which every machine has alike. */
function price(n: number, k: number): number {
  const drawn = chance(n, k);
  const from = prices[drawn >>> PRICE_BITS] ?? 0;
  const to = prices[(drawn >>> PRICE_BITS) + 1] ?? 0;
  return from + Math.floor(((to - from) * (drawn & (PRICE_STEPS - 1))) / PRICE_STEPS);
}

/** Number of the latest person up to event n, from 0. */
function lastPerson(n: number): number {
  return Math.floor(n / ROUND) * PERSONS + Math.min(n % ROUND, PERSONS - 1);
}

/** Number of the latest auction up to event n, from 0; -1 before the first. */
function lastAuction(n: number): number {
  const offset = n % ROUND;
  const round = Math.floor(n / ROUND);
  if (offset < PERSONS) return round * AUCTIONS - 1;
  return round * AUCTIONS + Math.min(offset - PERSONS, AUCTIONS - 1);
}

/** One of the people who are active, or about to come. */
function anyPerson(n: number, k: number): number {
  const people = lastPerson(n) + 1;
  const active = Math.min(people, ACTIVE_PEOPLE);
  return people - active + below(n, k, active + ID_LEAD);
}

function anyAuction(n: number, k: number): number {
  const last = lastAuction(n);
  const first = Math.max(last - AUCTIONS_IN_FLIGHT, 0);
  return first + below(n, k, last - first + 1 + ID_LEAD);
}

function hotOf(last: number): number {
  return Math.floor(last / HOT_BLOCK) * HOT_BLOCK;
}

export function timestampOf(n: number): number {
  return EPOCH_MS + Math.floor(n / EVENTS_PER_MS);
}

function personAt(n: number): NexmarkEvent {
  const name = below(n, 0, names.length);
  return {
    kind: 'person',
    id: FIRST_ID + lastPerson(n),
    name: names[name] ?? '',
    email_address: emails[name] ?? '',
    credit_card: String(1e15 + chance(n, 1)),
    city: CITIES[below(n, 2, CITIES.length)] ?? '',
    state: STATES[below(n, 3, STATES.length)] ?? '',
    date_time: timestampOf(n),
    extra: personExtra,
  };
}

function auctionAt(n: number): NexmarkEvent {
  const initialBid = price(n, 0);
  const isHot = below(n, 1, HOT_SELLER_RATIO) > 0;
  const horizonMs =
    timestampOf(n + Math.floor((AUCTIONS_IN_FLIGHT * ROUND) / AUCTIONS)) - timestampOf(n);
  return {
    kind: 'auction',
    id: FIRST_ID + lastAuction(n),
    item_name: names[below(n, 2, names.length)] ?? '',
    description: urls[below(n, 3, urls.length)] ?? '',
    initial_bid: initialBid,
    reserve: initialBid + price(n, 4),
    date_time: timestampOf(n),
    expires: timestampOf(n) + 1 + below(n, 5, Math.max(horizonMs * 2, 1)),
    seller: FIRST_ID + (isHot ? hotOf(lastPerson(n)) : anyPerson(n, 6)),
    category: FIRST_CATEGORY + below(n, 7, CATEGORIES),
    extra: auctionExtra,
  };
}

function bidAt(n: number): BidEvent {
  const isHotAuction = below(n, 0, HOT_AUCTION_RATIO) > 0;
  const isHotBidder = below(n, 1, HOT_BIDDER_RATIO) > 0;
  const isHotChannel = below(n, 2, 2) > 0;
  const hotChannel = below(n, 3, HOT_CHANNELS.length);
  const channel = below(n, 4, CHANNELS);
  return {
    kind: 'bid',
    auction: FIRST_ID + (isHotAuction ? hotOf(lastAuction(n)) : anyAuction(n, 5)),
    bidder: FIRST_ID + (isHotBidder ? hotOf(lastPerson(n)) + 1 : anyPerson(n, 6)),
    price: price(n, 7),
    channel: (isHotChannel ? HOT_CHANNELS[hotChannel] : channels[channel]) ?? '',
    url: (isHotChannel ? hotUrls[hotChannel] : urls[channel % urls.length]) ?? '',
    date_time: timestampOf(n),
    extra: bidExtra,
  };
}

/** Event number n, from 0. */
export function nexmarkEvent(n: number): NexmarkEvent {
  const offset = n % ROUND;
  if (offset < PERSONS) return personAt(n);
  return offset < PERSONS + AUCTIONS ? auctionAt(n) : bidAt(n);
}
