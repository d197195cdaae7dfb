package millrace.bench;

import java.io.Serializable;

/** Sums over the records of one sink subtask: the tallies of bench/jobs, in the same JSON. */
public interface Tally<T> {
  void add(T record);

  /** What was added since the last call, as JSON. */
  String cut();

  /** Makes a subtask's tally. */
  interface Factory<T> extends Serializable {
    Tally<T> create();
  }

  /** How many source records a record stands for. */
  interface Weight<T> extends Serializable {
    double of(T record);
  }
}
