/*
 * Writes records to topics with Kafka's own producer: what we have to be able to read. Its plan is a file of
 * lines. `write CODEC KIND` begins what is sent at once, by the producer of that codec and kind (plain,
 * idempotent or transactional); records follow, as TopicReader prints them but for their offset, and
 * `flush`, or for transactions `commit` or `abort`, ends it:
 *
 *     write \t CODEC \t KIND
 *     record \t TOPIC \t PARTITION \t TIMESTAMP \t KEY \t VALUE \t HEADER,HEADER,...
 *     flush
 *
 *     java -cp 'jars/*' TopicWriter.java BOOTSTRAP_SERVERS PLAN
 */
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class TopicWriter {
  private static final Map<String, KafkaProducer<byte[], byte[]>> PRODUCERS = new HashMap<>();

  public static void main(String[] args) throws Exception {
    KafkaProducer<byte[], byte[]> producer = null;
    List<Future<?>> sent = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(args[1]))) {
      String[] fields = line.split("\t", -1);
      switch (fields[0]) {
        case "write" -> {
          producer = producerOf(args[0], fields[1], fields[2]);
          if (fields[2].equals("transactional")) producer.beginTransaction();
        }
        case "record" -> sent.add(producer.send(record(fields)));
        case "flush" -> producer.flush();
        case "commit" -> producer.commitTransaction();
        case "abort" -> {
          producer.flush();
          producer.abortTransaction();
        }
        default -> throw new IllegalArgumentException(line);
      }
    }
    for (Future<?> each : sent) each.get();
    PRODUCERS.values().forEach(KafkaProducer::close);
  }

  private static KafkaProducer<byte[], byte[]> producerOf(String brokers, String codec, String kind) {
    return PRODUCERS.computeIfAbsent(codec + " " + kind, name -> {
      Map<String, Object> settings = new HashMap<>(Map.of(
          ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
          ProducerConfig.COMPRESSION_TYPE_CONFIG, codec,
          ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, !kind.equals("plain"),
          // What belongs to one write goes into one batch of each partition, unless it is large.
          ProducerConfig.LINGER_MS_CONFIG, 60_000,
          ProducerConfig.BATCH_SIZE_CONFIG, 100_000));
      boolean transactional = kind.equals("transactional");
      if (transactional) settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, name);
      KafkaProducer<byte[], byte[]> made =
          new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
      if (transactional) made.initTransactions();
      return made;
    });
  }

  private static ProducerRecord<byte[], byte[]> record(String[] fields) {
    List<Header> headers = new ArrayList<>();
    for (String header : fields[6].isEmpty() ? new String[0] : fields[6].split(",")) {
      String[] parts = header.split(":", -1);
      headers.add(new RecordHeader(new String(bytes(parts[0]), StandardCharsets.UTF_8), bytes(parts[1])));
    }
    return new ProducerRecord<>(
        fields[1],
        Integer.valueOf(fields[2]),
        Long.valueOf(fields[3]),
        bytes(fields[4]),
        bytes(fields[5]),
        headers);
  }

  private static byte[] bytes(String text) {
    return text.equals("-") ? null : Base64.getDecoder().decode(text);
  }
}
