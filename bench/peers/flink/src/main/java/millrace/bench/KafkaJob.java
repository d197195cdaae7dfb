package millrace.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** JSON from a topic, one-minute windows, JSON into a topic, exactly once: bench/jobs/kafka-job.ts. */
final class KafkaJob {
  private static final ObjectMapper MAPPER =
      new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

  private KafkaJob() {}

  static void build(
      StreamExecutionEnvironment env,
      WatermarkStrategy<Transaction> watermarks,
      String folder,
      String brokers,
      String input,
      String output) {
    KafkaSource<Transaction> source =
        KafkaSource.<Transaction>builder()
            .setBootstrapServers(brokers)
            .setTopics(input)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setBounded(OffsetsInitializer.latest())
            .setProperty("isolation.level", "read_committed")
            .setValueOnlyDeserializer(new Lines())
            .build();
    Properties producer = new Properties();
    // Its own hour is more than a broker allows.
    producer.setProperty("transaction.timeout.ms", "60000");
    KafkaSink<UserTotal> sink =
        KafkaSink.<UserTotal>builder()
            .setBootstrapServers(brokers)
            .setKafkaProducerConfig(producer)
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix("flink")
            .setRecordSerializer(
                KafkaRecordSerializationSchema.<UserTotal>builder()
                    .setTopic(output)
                    .setValueSerializationSchema(new Totals())
                    .build())
            .build();
    WindowJob.totals(env.fromSource(source, watermarks, "transactions"))
        .map(new Trace(folder))
        .sinkTo(sink);
  }

  private static final class Lines extends AbstractDeserializationSchema<Transaction> {
    private static final long serialVersionUID = 1;

    @Override
    public Transaction deserialize(byte[] message) throws IOException {
      return MAPPER.readValue(message, Transaction.class);
    }
  }

  private static final class Totals implements SerializationSchema<UserTotal> {
    private static final long serialVersionUID = 1;

    @Override
    public byte[] serialize(UserTotal total) {
      try {
        return MAPPER.writeValueAsBytes(total);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  /** bench/jobs/output-trace.ts. */
  private static final class Trace extends RichMapFunction<UserTotal, UserTotal> {
    private static final long serialVersionUID = 1;
    private static final long TRACE_INTERVAL_NANOS = 50_000_000;
    private static final int CLOCK_EVERY_RECORDS = 256;
    private final String folder;
    private transient Path file;
    private transient double count;
    private transient int untilClock;
    private transient long tracedNanos;

    Trace(String folder) {
      this.folder = folder;
    }

    @Override
    public void open(OpenContext context) throws IOException {
      Files.createDirectories(Path.of(folder));
      int subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
      file = Path.of(folder, "trace-output-" + subtask + "-1");
      tracedNanos = System.nanoTime() - TRACE_INTERVAL_NANOS;
    }

    @Override
    public UserTotal map(UserTotal total) throws IOException {
      count += total.count;
      if (--untilClock > 0) return total;
      untilClock = CLOCK_EVERY_RECORDS;
      long now = System.nanoTime();
      if (now - tracedNanos < TRACE_INTERVAL_NANOS) return total;
      tracedNanos = now;
      String line = String.format(Locale.ROOT, "%.3f %.0f%n", now / 1e6, count);
      Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      return total;
    }
  }
}
