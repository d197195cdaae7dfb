package millrace.bench;

import java.time.Duration;
import java.util.Map;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Nexmark q1, q5 and q8 by hand on the DataStream API; rows are those of bench/jobs/nexmark. */
final class NexmarkJobs {
  private static final Duration SIZE = Duration.ofSeconds(10);
  private static final Duration SLIDE = Duration.ofSeconds(2);

  private NexmarkJobs() {}

  /** Currency conversion. */
  static void q1(DataStream<NexmarkEvent> events, String folder) {
    bids(events)
        .map(NexmarkJobs::inEuros)
        .returns(NexmarkEvent.Bid.class)
        .sinkTo(sink(folder, NexmarkEvent.Bid::fingerprint));
  }

  /** Hot items. */
  static void q5(DataStream<NexmarkEvent> events, String folder) {
    bids(events)
        .keyBy(bid -> bid.auction)
        .window(SlidingEventTimeWindows.of(SIZE, SLIDE))
        .aggregate(new Count(), new WithWindow())
        .keyBy(item -> item.start)
        .process(new Hottest())
        .sinkTo(sink(folder, HotItem::fingerprint));
  }

  /** New users. */
  static void q8(DataStream<NexmarkEvent> events, String folder) {
    events
        .filter(event -> event.bid == null)
        .keyBy(event -> event.person != null ? event.person.id : event.auction.seller)
        .window(TumblingEventTimeWindows.of(SIZE))
        .aggregate(new CameAndOpened(), new IfBoth())
        .sinkTo(sink(folder, NewUser::fingerprint));
  }

  private static DataStream<NexmarkEvent.Bid> bids(DataStream<NexmarkEvent> events) {
    return events
        .filter(event -> event.bid != null)
        .map(event -> event.bid)
        .returns(NexmarkEvent.Bid.class);
  }

  private static <T> TallySink<T> sink(String folder, RowTally.Fingerprint<T> fingerprint) {
    return new TallySink<>(folder, () -> new RowTally<>(fingerprint), row -> 1);
  }

  private static NexmarkEvent.Bid inEuros(NexmarkEvent.Bid bid) {
    NexmarkEvent.Bid converted = new NexmarkEvent.Bid();
    converted.auction = bid.auction;
    converted.bidder = bid.bidder;
    converted.price = bid.price * 908 / 1000;
    converted.channel = bid.channel;
    converted.url = bid.url;
    converted.dateTime = bid.dateTime;
    converted.extra = bid.extra;
    return converted;
  }

  /** Bids for an auction in a window. */
  public static class HotItem {
    public long auction;
    public long bids;
    public long start;

    double fingerprint() {
      return RowTally.fingerprintOf(RowTally.mix(RowTally.mix((int) auction, bids), start));
    }
  }

  private static final class Count implements AggregateFunction<NexmarkEvent.Bid, Long, Long> {
    private static final long serialVersionUID = 1;

    @Override
    public Long createAccumulator() {
      return 0L;
    }

    @Override
    public Long add(NexmarkEvent.Bid bid, Long count) {
      return count + 1;
    }

    @Override
    public Long getResult(Long count) {
      return count;
    }

    @Override
    public Long merge(Long one, Long other) {
      return one + other;
    }
  }

  private static final class WithWindow
      extends ProcessWindowFunction<Long, HotItem, Long, TimeWindow> {
    private static final long serialVersionUID = 1;

    @Override
    public void process(
        Long auction, Context context, Iterable<Long> counts, Collector<HotItem> out) {
      HotItem item = new HotItem();
      item.auction = auction;
      item.bids = counts.iterator().next();
      item.start = context.window().getStart();
      out.collect(item);
    }
  }

  private static final class Hottest extends KeyedProcessFunction<Long, HotItem, HotItem> {
    private static final long serialVersionUID = 1;
    private transient MapState<Long, Long> bids;

    @Override
    public void open(OpenContext context) {
      bids = getRuntimeContext().getMapState(new MapStateDescriptor<>("bids", Long.class, Long.class));
    }

    @Override
    public void processElement(HotItem item, Context context, Collector<HotItem> out)
        throws Exception {
      bids.put(item.auction, item.bids);
      context.timerService().registerEventTimeTimer(item.start + SIZE.toMillis() - 1);
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<HotItem> out)
        throws Exception {
      long most = 0;
      for (long count : bids.values()) most = Math.max(most, count);
      for (Map.Entry<Long, Long> entry : bids.entries()) {
        if (entry.getValue() != most) continue;
        HotItem item = new HotItem();
        item.auction = entry.getKey();
        item.bids = most;
        item.start = context.getCurrentKey();
        out.collect(item);
      }
      bids.clear();
    }
  }

  /** Who came and opened an auction in the same window. */
  public static class NewUser {
    public long id;
    public String name;
    public long start;

    double fingerprint() {
      return RowTally.fingerprintOf(RowTally.mixText(RowTally.mix((int) id, start), name));
    }
  }

  /** What was seen of a user in a window. */
  public static class Seen {
    /** Null until the user has come. */
    public String name;
    public boolean opened;
  }

  private static final class CameAndOpened
      implements AggregateFunction<NexmarkEvent, Seen, Seen> {
    private static final long serialVersionUID = 1;

    @Override
    public Seen createAccumulator() {
      return new Seen();
    }

    @Override
    public Seen add(NexmarkEvent event, Seen seen) {
      if (event.person != null) seen.name = event.person.name;
      else seen.opened = true;
      return seen;
    }

    @Override
    public Seen getResult(Seen seen) {
      return seen;
    }

    @Override
    public Seen merge(Seen one, Seen other) {
      if (one.name == null) one.name = other.name;
      one.opened |= other.opened;
      return one;
    }
  }

  private static final class IfBoth extends ProcessWindowFunction<Seen, NewUser, Long, TimeWindow> {
    private static final long serialVersionUID = 1;

    @Override
    public void process(Long id, Context context, Iterable<Seen> found, Collector<NewUser> out) {
      Seen seen = found.iterator().next();
      if (seen.name == null || !seen.opened) return;
      NewUser user = new NewUser();
      user.id = id;
      user.name = seen.name;
      user.start = context.window().getStart();
      out.collect(user);
    }
  }
}
