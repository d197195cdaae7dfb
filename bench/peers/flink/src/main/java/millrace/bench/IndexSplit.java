package millrace.bench;

import java.nio.ByteBuffer;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Every n-th index, beginning with the split's own number. */
public record IndexSplit(int ordinal, int stride, long next) implements SourceSplit {
  @Override
  public String splitId() {
    return "index#" + ordinal;
  }

  /** Three numbers. */
  static final class Serializer implements SimpleVersionedSerializer<IndexSplit> {
    @Override
    public int getVersion() {
      return 1;
    }

    @Override
    public byte[] serialize(IndexSplit split) {
      return ByteBuffer.allocate(16)
          .putInt(split.ordinal)
          .putInt(split.stride)
          .putLong(split.next)
          .array();
    }

    @Override
    public IndexSplit deserialize(int version, byte[] bytes) {
      ByteBuffer from = ByteBuffer.wrap(bytes);
      return new IndexSplit(from.getInt(), from.getInt(), from.getLong());
    }
  }
}
