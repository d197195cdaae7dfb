/*
 * The time of each record of a topic from when it was due, which its JSON text tells as "due_ms" on the machine's
 * monotonic clock, to when Kafka's own consumer has it. Reads until it has seen so many records, then prints
 * pairs of bucket and count as JSON: bench/jobs/latency-tally.ts.
 *
 *     java -cp 'jars/*' LatencyReader.java BOOTSTRAP_SERVERS TOPIC ISOLATION RECORDS FROM_INDEX TIMEOUT_SECONDS
 */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class LatencyReader {
  private static final int BUCKETS_PER_MS = 100;
  private static final int SECONDS_MAX = 20;
  private static final int BUCKETS = SECONDS_MAX * 1000 * BUCKETS_PER_MS;

  public static void main(String[] args) {
    long records = Long.parseLong(args[3]);
    long fromIndex = Long.parseLong(args[4]);
    long deadlineNanos = System.nanoTime() + Duration.ofSeconds(Long.parseLong(args[5])).toNanos();
    long[] counts = new long[BUCKETS + 1];
    try (KafkaConsumer<byte[], byte[]> consumer = consumerOf(args[0], args[2])) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(args[1]).stream()
              .map(info -> new TopicPartition(info.topic(), info.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      for (long seen = 0; seen < records; ) {
        if (System.nanoTime() > deadlineNanos) {
          throw new IllegalStateException("saw " + seen + " of " + records + " records in time");
        }
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          double nowMs = System.nanoTime() / 1e6;
          seen++;
          String text = new String(record.value(), StandardCharsets.ISO_8859_1);
          if (numberIn(text, "\"index\":") < fromIndex) continue;
          double late = Math.max(0, nowMs - numberIn(text, "\"due_ms\":"));
          counts[(int) Math.min(late * BUCKETS_PER_MS, BUCKETS)]++;
        }
      }
    }
    StringJoiner pairs = new StringJoiner(",", "[", "]");
    for (int bucket = 0; bucket <= BUCKETS; bucket++) {
      if (counts[bucket] > 0) pairs.add("[" + bucket + "," + counts[bucket] + "]");
    }
    System.out.println(pairs);
  }

  private static double numberIn(String text, String name) {
    int from = text.indexOf(name) + name.length();
    int to = from;
    while (text.charAt(to) != ',' && text.charAt(to) != '}') to++;
    return Double.parseDouble(text.substring(from, to));
  }

  private static KafkaConsumer<byte[], byte[]> consumerOf(String brokers, String isolation) {
    Map<String, Object> settings = Map.of(
        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
        ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation,
        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }
}
