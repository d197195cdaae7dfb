package millrace.bench;

import java.util.StringJoiner;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Records paced by due time through two keyed exchanges: bench/jobs/latency.ts. */
final class LatencyJob {
  private LatencyJob() {}

  static void build(
      StreamExecutionEnvironment env, String folder, double ratePerSecond, double warmUpSeconds) {
    double fromIndex = ratePerSecond * warmUpSeconds;
    env.fromSource(
            IndexSource.paced(new TimedTransactions(ratePerSecond), ratePerSecond),
            WatermarkStrategy.<TimedTransaction>noWatermarks(),
            "transactions",
            TypeInformation.of(TimedTransaction.class))
        .keyBy(record -> record.userId)
        .process(new Forward())
        .keyBy(record -> record.productId)
        .process(new Forward())
        .sinkTo(new TallySink<>(folder, () -> new LatencyTally(fromIndex), record -> 1));
  }

  /** A transaction that carries when it was due. */
  public static class TimedTransaction {
    public String transactionId;
    public String userId;
    public String productId;
    public double price;
    public String geolocation;
    /** By the machine's monotonic clock. */
    public double dueMs;
    public double index;
  }

  private static final class TimedTransactions implements IndexSource.Generator<TimedTransaction> {
    private static final long serialVersionUID = 1;
    private final Transactions transactions = new Transactions(Transactions.USERS, 1);
    private final double ratePerSecond;
    private double originMs = Double.POSITIVE_INFINITY;

    TimedTransactions(double ratePerSecond) {
      this.ratePerSecond = ratePerSecond;
    }

    @Override
    public TimedTransaction make(long index) {
      // No record is made before it is due: the earliest of all tells when record 0 was.
      originMs = Math.min(originMs, machineMs() - index * 1000 / ratePerSecond);
      Transaction made = transactions.make(index);
      TimedTransaction timed = new TimedTransaction();
      timed.transactionId = made.transactionId;
      timed.userId = made.userId;
      timed.productId = made.productId;
      timed.price = made.price;
      timed.geolocation = made.geolocation;
      timed.dueMs = originMs + index * 1000 / ratePerSecond;
      timed.index = index;
      return timed;
    }
  }

  private static final class Forward
      extends KeyedProcessFunction<String, TimedTransaction, TimedTransaction> {
    private static final long serialVersionUID = 1;

    @Override
    public void processElement(
        TimedTransaction record, Context context, Collector<TimedTransaction> out) {
      out.collect(record);
    }
  }

  /** Latencies in buckets of 10 microseconds up to one second: bench/jobs/latency-tally.ts. */
  private static final class LatencyTally implements Tally<TimedTransaction> {
    private static final int BUCKETS_PER_MS = 100;
    private static final int BUCKETS = 1000 * BUCKETS_PER_MS;
    private final long[] counts = new long[BUCKETS + 1];
    private final double fromIndex;

    LatencyTally(double fromIndex) {
      this.fromIndex = fromIndex;
    }

    @Override
    public void add(TimedTransaction record) {
      if (record.index < fromIndex) return;
      double late = Math.max(0, machineMs() - record.dueMs);
      counts[(int) Math.min(late * BUCKETS_PER_MS, BUCKETS)]++;
    }

    @Override
    public String cut() {
      StringJoiner pairs = new StringJoiner(",", "[", "]");
      for (int bucket = 0; bucket <= BUCKETS; bucket++) {
        if (counts[bucket] > 0) pairs.add("[" + bucket + "," + counts[bucket] + "]");
        counts[bucket] = 0;
      }
      return pairs.toString();
    }
  }

  private static double machineMs() {
    return System.nanoTime() / 1e6;
  }
}
