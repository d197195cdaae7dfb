package millrace.bench;

import java.util.Arrays;

/** Counts and sums by index modulo SPLITS, as bench/jobs/prefix-tally.ts keeps them. */
final class SplitTally {
  final double[] counts = new double[Transactions.SPLITS];
  final double[] sums = new double[Transactions.SPLITS];

  void add(int split, double value) {
    counts[split]++;
    sums[split] += value;
  }

  void clear() {
    Arrays.fill(counts, 0);
    Arrays.fill(sums, 0);
  }

  /** The tally of transactions. */
  static final class OfTransactions implements Tally<Transaction> {
    private final SplitTally tally = new SplitTally();

    @Override
    public void add(Transaction record) {
      tally.add(Transactions.splitOf(record.timestamp), record.fingerprint());
    }

    @Override
    public String cut() {
      String text =
          "{\"counts\":" + Arrays.toString(tally.counts) + ",\"sums\":" + Arrays.toString(tally.sums) + "}";
      tally.clear();
      return text;
    }
  }

  /** Records by split, and the sum of the counts that they found in their user's state. */
  static final class OfCounts implements Tally<RollingJob.Running> {
    private final SplitTally tally = new SplitTally();

    @Override
    public void add(RollingJob.Running record) {
      tally.add(record.split, record.count);
    }

    @Override
    public String cut() {
      double sum = Arrays.stream(tally.sums).sum();
      String text = "{\"counts\":" + Arrays.toString(tally.counts) + ",\"sum\":" + sum + "}";
      tally.clear();
      return text;
    }
  }
}
