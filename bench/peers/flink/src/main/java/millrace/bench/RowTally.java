package millrace.bench;

import java.io.Serializable;

/** The tally of query results, whatever their order: bench/jobs/nexmark/row-tally.ts. */
public final class RowTally<T> implements Tally<T> {
  /** The number that stands for a row. */
  public interface Fingerprint<T> extends Serializable {
    double of(T row);
  }

  private final Fingerprint<T> fingerprint;
  private double sum;

  public RowTally(Fingerprint<T> fingerprint) {
    this.fingerprint = fingerprint;
  }

  @Override
  public void add(T row) {
    sum += fingerprint.of(row);
  }

  @Override
  public String cut() {
    String text = "{\"sum\":" + sum + "}";
    sum = 0;
    return text;
  }

  static int mix(int a, long b) {
    int h = (a ^ (int) b * 0x85ebca6b) * 0x9e3779b1;
    return h ^ (h >>> 15);
  }

  static int mixText(int a, String text) {
    int length = text.length();
    return mix(mix(a, length), text.charAt(length - 1) * 256L + text.charAt(length >> 1));
  }

  static double fingerprintOf(int mixed) {
    return (mixed >>> 12) + 1;
  }
}
