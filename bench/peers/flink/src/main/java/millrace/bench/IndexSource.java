package millrace.bench;

import java.io.Serializable;
import java.util.List;
import java.util.concurrent.CompletableFuture;
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
 * A source that makes record i from i: one record a poll, no rate limiter, one split for each subtask. A split's indices ascend, so event time that ascends with the index needs no more
 * than the source's own watermark.
 */
public final class IndexSource<T> implements Source<T, IndexSplit, Integer> {
  private static final long serialVersionUID = 1;

  /** Makes a record from its index. */
  public interface Generator<T> extends Serializable {
    T make(long index);
  }

  private final Generator<T> generator;
  private final long count;

  /** Without end. */
  public IndexSource(Generator<T> generator) {
    this(generator, Long.MAX_VALUE);
  }

  /** Indices below `count`. */
  public IndexSource(Generator<T> generator, long count) {
    this.generator = generator;
    this.count = count;
  }

  @Override
  public Boundedness getBoundedness() {
    return count == Long.MAX_VALUE ? Boundedness.CONTINUOUS_UNBOUNDED : Boundedness.BOUNDED;
  }

  @Override
  public SplitEnumerator<IndexSplit, Integer> createEnumerator(
      SplitEnumeratorContext<IndexSplit> context) {
    return new Enumerator(context);
  }

  /** A measured job is never restored: a restart voids its row. */
  @Override
  public SplitEnumerator<IndexSplit, Integer> restoreEnumerator(
      SplitEnumeratorContext<IndexSplit> context, Integer checkpoint) {
    throw new UnsupportedOperationException("a measured job starts at index 0");
  }

  @Override
  public SimpleVersionedSerializer<IndexSplit> getSplitSerializer() {
    return new IndexSplit.Serializer();
  }

  @Override
  public SimpleVersionedSerializer<Integer> getEnumeratorCheckpointSerializer() {
    return new NothingSerializer();
  }

  @Override
  public SourceReader<T, IndexSplit> createReader(SourceReaderContext context) {
    return new Reader<>(generator, count);
  }

  private static final class Enumerator implements SplitEnumerator<IndexSplit, Integer> {
    private final SplitEnumeratorContext<IndexSplit> context;

    Enumerator(SplitEnumeratorContext<IndexSplit> context) {
      this.context = context;
    }

    @Override
    public void start() {}

    @Override
    public void addReader(int subtask) {
      context.assignSplit(
          new IndexSplit(subtask, context.currentParallelism(), subtask), subtask);
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {}

    @Override
    public void addSplitsBack(List<IndexSplit> splits, int subtask) {
      throw new UnsupportedOperationException("a measured job is not restarted");
    }

    @Override
    public Integer snapshotState(long checkpointId) {
      return 0;
    }

    @Override
    public void close() {}
  }

  private static final class Reader<T> implements SourceReader<T, IndexSplit> {
    private final Generator<T> generator;
    private final long count;
    private final CompletableFuture<Void> assigned = new CompletableFuture<>();
    private IndexSplit split;
    private long next;
    private int stride;

    Reader(Generator<T> generator, long count) {
      this.generator = generator;
      this.count = count;
    }

    @Override
    public void start() {}

    @Override
    public InputStatus pollNext(ReaderOutput<T> output) {
      if (split == null) return InputStatus.NOTHING_AVAILABLE;
      if (next >= count) return InputStatus.END_OF_INPUT;
      T record = generator.make(next);
      next += stride;
      output.collect(record);
      return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public List<IndexSplit> snapshotState(long checkpointId) {
      return split == null ? List.of() : List.of(new IndexSplit(split.ordinal(), stride, next));
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
      return assigned;
    }

    @Override
    public void addSplits(List<IndexSplit> splits) {
      split = splits.get(0);
      next = split.next();
      stride = split.stride();
      assigned.complete(null);
    }

    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {}
  }

  /** The enumerator has nothing to remember. */
  private static final class NothingSerializer implements SimpleVersionedSerializer<Integer> {
    @Override
    public int getVersion() {
      return 1;
    }

    @Override
    public byte[] serialize(Integer nothing) {
      return new byte[0];
    }

    @Override
    public Integer deserialize(int version, byte[] bytes) {
      return 0;
    }
  }
}
