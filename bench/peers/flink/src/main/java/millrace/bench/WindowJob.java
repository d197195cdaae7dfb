package millrace.bench;

import java.time.Duration;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** One-minute tumbling sum and count for each of 100,000 users. */
final class WindowJob {
  static final int RECORDS_PER_MS = 20;

  private WindowJob() {}

  static void build(DataStream<Transaction> transactions, String folder) {
    totals(transactions).sinkTo(new TallySink<>(folder, WindowTally::new, total -> total.count));
  }

  static SingleOutputStreamOperator<UserTotal> totals(DataStream<Transaction> transactions) {
    return transactions
        .keyBy(record -> record.userId)
        .window(TumblingEventTimeWindows.of(Duration.ofMinutes(1)))
        .aggregate(new SumAndCount(), new WithUserAndWindow());
  }

  private static final class SumAndCount
      implements AggregateFunction<Transaction, UserTotal, UserTotal> {
    private static final long serialVersionUID = 1;

    @Override
    public UserTotal createAccumulator() {
      return new UserTotal();
    }

    @Override
    public UserTotal add(Transaction record, UserTotal total) {
      total.count++;
      total.sum += record.price;
      return total;
    }

    @Override
    public UserTotal getResult(UserTotal total) {
      return total;
    }

    @Override
    public UserTotal merge(UserTotal one, UserTotal other) {
      one.count += other.count;
      one.sum += other.sum;
      return one;
    }
  }

  private static final class WithUserAndWindow
      extends ProcessWindowFunction<UserTotal, UserTotal, String, TimeWindow> {
    private static final long serialVersionUID = 1;

    @Override
    public void process(
        String userId, Context context, Iterable<UserTotal> totals, Collector<UserTotal> out) {
      UserTotal found = totals.iterator().next();
      UserTotal total = new UserTotal();
      total.userId = userId;
      total.start = context.window().getStart();
      total.count = found.count;
      total.sum = found.sum;
      out.collect(total);
    }
  }

  /** Totals by window: bench/jobs/window-tally.ts. */
  static final class WindowTally implements Tally<UserTotal> {
    private final Map<Long, double[]> windows = new TreeMap<>();

    @Override
    public void add(UserTotal total) {
      double[] sums = windows.computeIfAbsent(total.start, start -> new double[2]);
      sums[0] += total.count;
      sums[1] += total.sum;
    }

    @Override
    public String cut() {
      StringJoiner text = new StringJoiner(",", "[", "]");
      windows.forEach(
          (start, sums) -> text.add("[" + start + "," + sums[0] + "," + sums[1] + "]"));
      windows.clear();
      return text.toString();
    }
  }
}
