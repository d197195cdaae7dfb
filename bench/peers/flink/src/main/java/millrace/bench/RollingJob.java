package millrace.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** One million keys, each with a rolling value of about 100 bytes that every record reads and writes. */
final class RollingJob {
  static final int USERS = 1_000_000;

  private RollingJob() {}

  static void build(DataStream<Transaction> transactions, String folder) {
    transactions
        .keyBy(record -> record.userId)
        .process(new Roll())
        .sinkTo(new TallySink<>(folder, SplitTally.OfCounts::new, running -> 1));
  }

  /** The value kept for a user. */
  public static class Rolling {
    public double count;
    public double sum;
    public double least;
    public double greatest;
    public long firstMs;
    public long lastMs;
    public String lastProductId;
    public String lastPaymentMethod;
    public String lastGeolocation;
  }

  /** What goes on to the tally. */
  public static class Running {
    public int split;
    public double count;
  }

  private static final class Roll extends KeyedProcessFunction<String, Transaction, Running> {
    private static final long serialVersionUID = 1;
    private transient ValueState<Rolling> state;

    @Override
    public void open(OpenContext context) {
      state =
          getRuntimeContext().getState(new ValueStateDescriptor<>("rolling", Rolling.class));
    }

    @Override
    public void processElement(Transaction record, Context context, Collector<Running> out)
        throws Exception {
      Rolling previous = state.value();
      Rolling next = new Rolling();
      next.count = previous == null ? 1 : previous.count + 1;
      next.sum = previous == null ? record.price : previous.sum + record.price;
      next.least = previous == null ? record.price : Math.min(previous.least, record.price);
      next.greatest = previous == null ? record.price : Math.max(previous.greatest, record.price);
      next.firstMs = previous == null ? record.timestamp : previous.firstMs;
      next.lastMs = record.timestamp;
      next.lastProductId = record.productId;
      next.lastPaymentMethod = record.paymentMethod;
      next.lastGeolocation = record.geolocation;
      state.update(next);
      Running running = new Running();
      running.split = Transactions.splitOf(record.timestamp);
      running.count = next.count;
      out.collect(running);
    }
  }
}
