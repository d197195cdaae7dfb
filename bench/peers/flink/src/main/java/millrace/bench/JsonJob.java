package millrace.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.flink.streaming.api.datastream.DataStream;

/** JSON text in, one-minute windows, JSON text out; Jackson reads and writes. */
final class JsonJob {
  private static final ObjectMapper MAPPER =
      new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

  private JsonJob() {}

  static void build(DataStream<Transaction> transactions, String folder) {
    WindowJob.totals(transactions)
        .map(MAPPER::writeValueAsString)
        .returns(String.class)
        .sinkTo(new TallySink<>(folder, TextTally::new, TextTally::countIn));
  }

  private static <T> T read(String line, Class<T> type) {
    try {
      return MAPPER.readValue(line, type);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /**
   * Writes a transaction as one line and reads it, as a source of text with its deserializer does:
   * bench/jobs/transaction-lines.ts.
   */
  static final class Lines implements IndexSource.Generator<Transaction> {
    private static final long serialVersionUID = 1;
    private final Transactions transactions;

    Lines(Transactions transactions) {
      this.transactions = transactions;
    }

    @Override
    public Transaction make(long index) {
      return read(lineOf(transactions.make(index)), Transaction.class);
    }

    private static String lineOf(Transaction made) {
      return "{\"transaction_id\":\"" + made.transactionId
          + "\",\"user_id\":\"" + made.userId
          + "\",\"product_id\":\"" + made.productId
          + "\",\"price\":" + made.price
          + ",\"timestamp\":" + made.timestamp
          + ",\"payment_method\":\"" + made.paymentMethod
          + "\",\"geolocation\":\"" + made.geolocation
          + "\"}";
    }
  }

  /** Reads the text that came out, so that what was written is what is counted. */
  private static final class TextTally implements Tally<String> {
    private static final String COUNT = "\"count\":";
    private final WindowJob.WindowTally tally = new WindowJob.WindowTally();

    @Override
    public void add(String line) {
      tally.add(read(line, UserTotal.class));
    }

    @Override
    public String cut() {
      return tally.cut();
    }

    /** Between the text's own marks: reading it whole a second time would be measured too. */
    static double countIn(String line) {
      int from = line.indexOf(COUNT) + COUNT.length();
      return Double.parseDouble(line.substring(from, line.indexOf(',', from)));
    }
  }
}
