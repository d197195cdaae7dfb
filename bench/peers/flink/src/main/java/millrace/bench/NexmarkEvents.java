package millrace.bench;

/**
 * Makes event number n of Nexmark, field by field the one that bench/jobs/nexmark/events.ts makes;
 * what the numbers mean is said there.
 */
public final class NexmarkEvents implements IndexSource.Generator<NexmarkEvent> {
  private static final long serialVersionUID = 1;

  private static final long EPOCH_MS = 1_700_006_400_000L;
  private static final int EVENTS_PER_MS = 10;
  private static final int PERSONS = 1;
  private static final int AUCTIONS = 3;
  private static final int ROUND = 50;
  private static final int FIRST_ID = 1000;
  private static final int FIRST_CATEGORY = 10;
  private static final int CATEGORIES = 5;
  private static final int HOT_AUCTION_RATIO = 2;
  private static final int HOT_BIDDER_RATIO = 4;
  private static final int HOT_SELLER_RATIO = 4;
  private static final int HOT_BLOCK = 100;
  private static final int AUCTIONS_IN_FLIGHT = 100;
  private static final int ACTIVE_PEOPLE = 1000;
  private static final int ID_LEAD = 10;
  private static final int PRICE_STEPS = 1 << 16;

  private static final String[] STATES = {"AZ", "CA", "ID", "OR", "WA", "WY"};
  private static final String[] CITIES = {
    "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
    "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"
  };
  private static final String[] FIRST_NAMES = {
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah"
  };
  private static final String[] LAST_NAMES = {
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones"
  };
  private static final String[] HOT_CHANNELS = {"Google", "Facebook", "Baidu", "Apple"};
  private static final String FILLER = "lorem-ipsum-dolor-sit-amet-".repeat(20);

  private static final String[] NAMES =
      Transactions.table(
          FIRST_NAMES.length * LAST_NAMES.length,
          i -> FIRST_NAMES[i / LAST_NAMES.length] + " " + LAST_NAMES[i % LAST_NAMES.length]);
  private static final String[] EMAILS =
      Transactions.table(
          NAMES.length, i -> NAMES[i].toLowerCase().replace(' ', '.') + "@example.org");
  private static final String[] CHANNELS = Transactions.table(10_000, i -> "channel-" + i);
  private static final String[] URLS =
      Transactions.table(997, i -> "https://www.example.org/item.htm?query=" + i);
  private static final String[] HOT_URLS =
      Transactions.table(
          HOT_CHANNELS.length,
          i -> "https://www.example.org/" + HOT_CHANNELS[i] + "/item.htm?query=1");
  private static final long[] PRICES = new long[PRICE_STEPS + 1];
  private static final String PERSON_EXTRA = FILLER.substring(0, 96);
  private static final String AUCTION_EXTRA = FILLER.substring(0, 380);
  private static final String BID_EXTRA = FILLER.substring(0, 20);

  static {
    for (int step = 0; step <= PRICE_STEPS; step++) {
      PRICES[step] = Math.round(Math.pow(10, step / (double) PRICE_STEPS * 6) * 100);
    }
  }

  private final Progress progress;

  NexmarkEvents(String folder) {
    progress = new Progress(folder);
  }

  @Override
  public NexmarkEvent make(long n) {
    progress.note(n);
    NexmarkEvent event = new NexmarkEvent();
    long offset = n % ROUND;
    if (offset < PERSONS) event.person = person(n);
    else if (offset < PERSONS + AUCTIONS) event.auction = auction(n);
    else event.bid = bid(n);
    return event;
  }

  private static int chance(long n, int k) {
    int h = (int) n * 0x9e3779b1 ^ (k + 1) * 0x85ebca6b;
    h = (h ^ (h >>> 16)) * 0x85ebca6b;
    h = (h ^ (h >>> 13)) * 0xc2b2ae35;
    return h ^ (h >>> 16);
  }

  private static int below(long n, int k, int bound) {
    return Integer.remainderUnsigned(chance(n, k), bound);
  }

  private static long price(long n, int k) {
    int drawn = chance(n, k);
    long from = PRICES[drawn >>> 16];
    long to = PRICES[(drawn >>> 16) + 1];
    return from + (to - from) * (drawn & (PRICE_STEPS - 1)) / PRICE_STEPS;
  }

  private static long lastPerson(long n) {
    return n / ROUND * PERSONS + Math.min(n % ROUND, PERSONS - 1);
  }

  private static long lastAuction(long n) {
    long offset = n % ROUND;
    long round = n / ROUND;
    if (offset < PERSONS) return round * AUCTIONS - 1;
    return round * AUCTIONS + Math.min(offset - PERSONS, AUCTIONS - 1);
  }

  private static long anyPerson(long n, int k) {
    long people = lastPerson(n) + 1;
    long active = Math.min(people, ACTIVE_PEOPLE);
    return people - active + below(n, k, (int) active + ID_LEAD);
  }

  private static long anyAuction(long n, int k) {
    long last = lastAuction(n);
    long first = Math.max(last - AUCTIONS_IN_FLIGHT, 0);
    return first + below(n, k, (int) (last - first) + 1 + ID_LEAD);
  }

  private static long hotOf(long last) {
    return last / HOT_BLOCK * HOT_BLOCK;
  }

  private static long timestampOf(long n) {
    return EPOCH_MS + n / EVENTS_PER_MS;
  }

  private static NexmarkEvent.Person person(long n) {
    NexmarkEvent.Person person = new NexmarkEvent.Person();
    int name = below(n, 0, NAMES.length);
    person.id = FIRST_ID + lastPerson(n);
    person.name = NAMES[name];
    person.emailAddress = EMAILS[name];
    person.creditCard = Long.toString(1_000_000_000_000_000L + Integer.toUnsignedLong(chance(n, 1)));
    person.city = CITIES[below(n, 2, CITIES.length)];
    person.state = STATES[below(n, 3, STATES.length)];
    person.dateTime = timestampOf(n);
    person.extra = PERSON_EXTRA;
    return person;
  }

  private static NexmarkEvent.Auction auction(long n) {
    NexmarkEvent.Auction auction = new NexmarkEvent.Auction();
    boolean isHot = below(n, 1, HOT_SELLER_RATIO) > 0;
    long horizonMs = timestampOf(n + AUCTIONS_IN_FLIGHT * ROUND / AUCTIONS) - timestampOf(n);
    auction.id = FIRST_ID + lastAuction(n);
    auction.itemName = NAMES[below(n, 2, NAMES.length)];
    auction.description = URLS[below(n, 3, URLS.length)];
    auction.initialBid = price(n, 0);
    auction.reserve = auction.initialBid + price(n, 4);
    auction.dateTime = timestampOf(n);
    auction.expires = timestampOf(n) + 1 + below(n, 5, (int) Math.max(horizonMs * 2, 1));
    auction.seller = FIRST_ID + (isHot ? hotOf(lastPerson(n)) : anyPerson(n, 6));
    auction.category = FIRST_CATEGORY + below(n, 7, CATEGORIES);
    auction.extra = AUCTION_EXTRA;
    return auction;
  }

  private static NexmarkEvent.Bid bid(long n) {
    NexmarkEvent.Bid bid = new NexmarkEvent.Bid();
    boolean isHotAuction = below(n, 0, HOT_AUCTION_RATIO) > 0;
    boolean isHotBidder = below(n, 1, HOT_BIDDER_RATIO) > 0;
    boolean isHotChannel = below(n, 2, 2) > 0;
    int hotChannel = below(n, 3, HOT_CHANNELS.length);
    int channel = below(n, 4, CHANNELS.length);
    bid.auction = FIRST_ID + (isHotAuction ? hotOf(lastAuction(n)) : anyAuction(n, 5));
    bid.bidder = FIRST_ID + (isHotBidder ? hotOf(lastPerson(n)) + 1 : anyPerson(n, 6));
    bid.price = price(n, 7);
    bid.channel = isHotChannel ? HOT_CHANNELS[hotChannel] : CHANNELS[channel];
    bid.url = isHotChannel ? HOT_URLS[hotChannel] : URLS[channel % URLS.length];
    bid.dateTime = timestampOf(n);
    bid.extra = BID_EXTRA;
    return bid;
  }
}
