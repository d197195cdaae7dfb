package millrace.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * The sink of bench/jobs/tally-sink.ts: adds records up, publishes an epoch's sums as a file when its
 * checkpoint is complete, and leaves a trace of progress with times of the machine's monotonic clock.
 */
public final class TallySink<T> implements Sink<T>, SupportsCommitter<TallySink.Epoch> {
  private static final long serialVersionUID = 1;
  private static final long TRACE_INTERVAL_NANOS = 50_000_000;
  /** Reading the clock for every record would be measured too. */
  private static final int CLOCK_EVERY_RECORDS = 256;

  private final String folder;
  private final Tally.Factory<T> createTally;
  private final Tally.Weight<T> weight;

  /** An epoch's sums, not yet visible. */
  public record Epoch(String name, String tally) {}

  public TallySink(String folder, Tally.Factory<T> createTally, Tally.Weight<T> weight) {
    this.folder = folder;
    this.createTally = createTally;
    this.weight = weight;
  }

  @Override
  public SinkWriter<T> createWriter(WriterInitContext context) throws IOException {
    Files.createDirectories(Path.of(folder));
    int subtask = context.getTaskInfo().getIndexOfThisSubtask();
    int attempt = context.getTaskInfo().getAttemptNumber() + 1;
    return new Writer<>(folder, createTally.create(), weight, subtask, attempt);
  }

  @Override
  public Committer<Epoch> createCommitter(CommitterInitContext context) {
    return new Publisher(folder);
  }

  @Override
  public SimpleVersionedSerializer<Epoch> getCommittableSerializer() {
    return new EpochSerializer();
  }

  private static final class Writer<T> implements CommittingSinkWriter<T, Epoch> {
    private final Tally<T> tally;
    private final Tally.Weight<T> weight;
    private final Path trace;
    private final String name;
    private double count;
    private int untilClock;
    private long tracedNanos = System.nanoTime() - TRACE_INTERVAL_NANOS;
    private int epochs;

    Writer(String folder, Tally<T> tally, Tally.Weight<T> weight, int subtask, int attempt) {
      this.tally = tally;
      this.weight = weight;
      this.trace = Path.of(folder, "trace-tally-" + subtask + "-" + attempt);
      // Epochs are counted anew in each attempt.
      this.name = "tally-tally-" + subtask + "-" + attempt + "-";
    }

    @Override
    public void write(T record, Context context) throws IOException {
      tally.add(record);
      count += weight.of(record);
      if (--untilClock <= 0) trace();
    }

    @Override
    public void flush(boolean endOfInput) throws IOException {
      untilClock = 0;
      if (!endOfInput) return;
      // When the last record was in, which is well before the job's last checkpoint.
      tracedNanos -= TRACE_INTERVAL_NANOS;
      trace();
    }

    @Override
    public Collection<Epoch> prepareCommit() {
      return List.of(new Epoch(name + ++epochs, tally.cut()));
    }

    @Override
    public void close() {}

    /** A line `ms count`; the first record of an attempt always leaves one. */
    private void trace() throws IOException {
      untilClock = CLOCK_EVERY_RECORDS;
      long now = System.nanoTime();
      if (now - tracedNanos < TRACE_INTERVAL_NANOS) return;
      tracedNanos = now;
      String line = String.format(Locale.ROOT, "%.3f %.0f%n", now / 1e6, count);
      Files.writeString(trace, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
  }

  /** Idempotent: the same epoch is written to the same name with the same content. */
  private record Publisher(String folder) implements Committer<Epoch> {
    @Override
    public void commit(Collection<CommitRequest<Epoch>> requests) throws IOException {
      for (CommitRequest<Epoch> request : requests) {
        Epoch epoch = request.getCommittable();
        Path part = Path.of(folder, epoch.name() + ".part");
        Files.writeString(part, epoch.tally());
        Files.move(part, Path.of(folder, epoch.name()), StandardCopyOption.ATOMIC_MOVE);
      }
    }

    @Override
    public void close() {}
  }

  private static final class EpochSerializer implements SimpleVersionedSerializer<Epoch> {
    @Override
    public int getVersion() {
      return 1;
    }

    @Override
    public byte[] serialize(Epoch epoch) {
      return (epoch.name() + "\n" + epoch.tally()).getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public Epoch deserialize(int version, byte[] bytes) {
      String[] parts = new String(bytes, StandardCharsets.UTF_8).split("\n", 2);
      return new Epoch(parts[0], parts[1]);
    }
  }
}
