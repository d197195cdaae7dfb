package millrace.bench;

import org.apache.flink.streaming.api.datastream.DataStream;

/** source -> map -> keyBy 100,000 users -> map -> tally. */
final class PassthroughJob {
  private PassthroughJob() {}

  static void build(DataStream<Transaction> transactions, String folder) {
    transactions
        .map(record -> record.withPrice(record.price * 1.25))
        .returns(Transaction.class)
        .keyBy(record -> record.userId)
        .map(record -> record.withPrice(record.price + 0.5))
        .returns(Transaction.class)
        .sinkTo(new TallySink<>(folder, SplitTally.OfTransactions::new, record -> 1));
  }
}
