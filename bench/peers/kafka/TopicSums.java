/*
 * Counts the committed records of a topic and adds up a number made of each, with Kafka's own consumer, from
 * the beginning to where the topic ends when it starts: bench/jobs/total-sums.ts. Prints one line of JSON.
 *
 *     java -cp 'jars/*' TopicSums.java BOOTSTRAP_SERVERS TOPIC bytes|totals
 */
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class TopicSums {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  public static void main(String[] args) throws Exception {
    boolean isTotals = args[2].equals("totals");
    long count = 0;
    long checksum = 0;
    try (KafkaConsumer<byte[], byte[]> consumer = consumerOf(args[0])) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(args[1]).stream()
              .map(info -> new TopicPartition(info.topic(), info.partition()))
              .toList();
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long readNanos = System.nanoTime();
      while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        if (System.nanoTime() - readNanos > PATIENCE.toNanos()) {
          throw new IllegalStateException("nothing came for " + PATIENCE);
        }
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          readNanos = System.nanoTime();
          count++;
          checksum += hash(isTotals ? canonical(record.value()) : record.value());
        }
      }
    }
    System.out.println("{\"count\":" + count + ",\"checksum\":" + checksum + "}");
  }

  /** Sums are multiples of a quarter. */
  private static byte[] canonical(byte[] value) throws Exception {
    JsonNode total = MAPPER.readTree(value);
    String text = total.get("user_id").textValue()
        + " " + total.get("start").longValue()
        + " " + (long) total.get("count").doubleValue()
        + " " + (long) (total.get("sum").doubleValue() * 4);
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** 24 bits of FNV-1a, so that a double holds the sum of many exactly. */
  private static long hash(byte[] bytes) {
    int hash = 0x811c9dc5;
    for (byte each : bytes) hash = (hash ^ (each & 0xff)) * 0x01000193;
    return hash >>> 8;
  }

  private static KafkaConsumer<byte[], byte[]> consumerOf(String brokers) {
    Map<String, Object> settings = Map.of(
        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
        ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed",
        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }
}
