package millrace.bench;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * A source that makes record i from i: one record a poll, one split for each subtask, as fast as it goes unless a
 * rate is given. A split's indices ascend, so event time that ascends with the index needs no more than the source's
 * own watermark. What the enumerator remembers is which subtasks have their split, a bit for each.
 */
public final class IndexSource<T> implements Source<T, IndexSplit, Integer> {
  private static final long serialVersionUID = 1;

  /** Makes a record from its index. */
  public interface Generator<T> extends Serializable {
    T make(long index);
  }

  private final Generator<T> generator;
  private final long count;
  private final double nanosPerRecord;

  private IndexSource(Generator<T> generator, long count, double nanosPerRecord) {
    this.generator = generator;
    this.count = count;
    this.nanosPerRecord = nanosPerRecord;
  }

  /** Without end. */
  public static <T> IndexSource<T> endless(Generator<T> generator) {
    return new IndexSource<>(generator, Long.MAX_VALUE, 0);
  }

  /** Indices below `count`. */
  public static <T> IndexSource<T> bounded(Generator<T> generator, long count) {
    return new IndexSource<>(generator, count, 0);
  }

  /** Without end; over all subtasks, so many records a second and none before it is due. */
  public static <T> IndexSource<T> paced(Generator<T> generator, double ratePerSecond) {
    return new IndexSource<>(generator, Long.MAX_VALUE, 1e9 / ratePerSecond);
  }

  @Override
  public Boundedness getBoundedness() {
    return count == Long.MAX_VALUE ? Boundedness.CONTINUOUS_UNBOUNDED : Boundedness.BOUNDED;
  }

  @Override
  public SplitEnumerator<IndexSplit, Integer> createEnumerator(
      SplitEnumeratorContext<IndexSplit> context) {
    return new Enumerator(context, 0);
  }

  @Override
  public SplitEnumerator<IndexSplit, Integer> restoreEnumerator(
      SplitEnumeratorContext<IndexSplit> context, Integer checkpoint) {
    return new Enumerator(context, checkpoint);
  }

  @Override
  public SimpleVersionedSerializer<IndexSplit> getSplitSerializer() {
    return new IndexSplit.Serializer();
  }

  @Override
  public SimpleVersionedSerializer<Integer> getEnumeratorCheckpointSerializer() {
    return new BitsSerializer();
  }

  @Override
  public SourceReader<T, IndexSplit> createReader(SourceReaderContext context) {
    return new Reader<>(generator, count, nanosPerRecord);
  }

  private static final class Enumerator implements SplitEnumerator<IndexSplit, Integer> {
    private final SplitEnumeratorContext<IndexSplit> context;
    private int assigned;

    Enumerator(SplitEnumeratorContext<IndexSplit> context, int assigned) {
      this.context = context;
      this.assigned = assigned;
    }

    @Override
    public void start() {}

    @Override
    public void addReader(int subtask) {
      if ((assigned & 1 << subtask) != 0) return;
      assigned |= 1 << subtask;
      context.assignSplit(
          new IndexSplit(subtask, context.currentParallelism(), subtask), subtask);
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {}

    /** A split that no checkpoint held is given anew to the subtask that follows; one that some held is restored. */
    @Override
    public void addSplitsBack(List<IndexSplit> splits, int subtask) {
      if (splits.isEmpty()) return;
      assigned &= ~(1 << subtask);
    }

    @Override
    public Integer snapshotState(long checkpointId) {
      return assigned;
    }

    @Override
    public void close() {}
  }

  private static final class Reader<T> implements SourceReader<T, IndexSplit> {
    private final Generator<T> generator;
    private final long count;
    private final double nanosPerRecord;
    private final ScheduledExecutorService timer;
    private CompletableFuture<Void> available = new CompletableFuture<>();
    private IndexSplit split;
    private long next;
    private int stride;
    private long originIndex;
    private long originNanos;

    Reader(Generator<T> generator, long count, double nanosPerRecord) {
      this.generator = generator;
      this.count = count;
      this.nanosPerRecord = nanosPerRecord;
      this.timer = nanosPerRecord == 0 ? null : Executors.newSingleThreadScheduledExecutor();
    }

    @Override
    public void start() {}

    @Override
    public InputStatus pollNext(ReaderOutput<T> output) {
      if (split == null) return InputStatus.NOTHING_AVAILABLE;
      if (next >= count) return InputStatus.END_OF_INPUT;
      if (timer != null && !isDue()) return InputStatus.NOTHING_AVAILABLE;
      T record = generator.make(next);
      next += stride;
      output.collect(record);
      return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public List<IndexSplit> snapshotState(long checkpointId) {
      return split == null ? List.of() : List.of(new IndexSplit(split.ordinal(), stride, next));
    }

    /** Whether the next record is due; if not, the reader becomes available when it is. */
    private boolean isDue() {
      long dueNanos = originNanos + Math.round((next - originIndex) * nanosPerRecord);
      long leftNanos = dueNanos - System.nanoTime();
      if (leftNanos <= 0) return true;
      CompletableFuture<Void> due = new CompletableFuture<>();
      available = due;
      timer.schedule(() -> due.complete(null), leftNanos, TimeUnit.NANOSECONDS);
      return false;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
      return available;
    }

    @Override
    public void addSplits(List<IndexSplit> splits) {
      split = splits.get(0);
      next = split.next();
      stride = split.stride();
      // The same for splits that stand level, so that their records alternate.
      originIndex = next - split.ordinal();
      originNanos = System.nanoTime();
      available.complete(null);
    }

    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {
      if (timer != null) timer.shutdownNow();
    }
  }

  private static final class BitsSerializer implements SimpleVersionedSerializer<Integer> {
    @Override
    public int getVersion() {
      return 1;
    }

    @Override
    public byte[] serialize(Integer bits) {
      return ByteBuffer.allocate(4).putInt(bits).array();
    }

    @Override
    public Integer deserialize(int version, byte[] bytes) {
      return ByteBuffer.wrap(bytes).getInt();
    }
  }
}
