/*
 * Prints the committed records of topics, from their beginnings to where they end when it starts, with
 * Kafka's own consumer: what it says of a topic owes nothing to the code under test. A transaction that
 * is open on the way is waited for, since an acknowledged commit may not be visible yet; one that stays
 * open is a failure. A line is
 *
 *     TOPIC \t PARTITION \t OFFSET \t TIMESTAMP \t KEY \t VALUE \t HEADER,HEADER,...
 *
 * with keys and values in base64, a header as NAME:VALUE, and - for what is null.
 *
 *     java -cp 'jars/*' TopicReader.java BOOTSTRAP_SERVERS TOPIC...
 */
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class TopicReader {
  private static final Duration OPEN_MAX = Duration.ofSeconds(75);

  public static void main(String[] args) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumerOf(args[0], "read_committed");
        KafkaConsumer<byte[], byte[]> open = consumerOf(args[0], "read_uncommitted");
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16))) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : Arrays.asList(args).subList(1, args.length)) {
        List<PartitionInfo> found = consumer.partitionsFor(topic);
        if (found.isEmpty()) throw new IllegalArgumentException("there is no topic " + topic);
        found.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
      }
      // The ends of the one that reads committed records lie before the first open transaction.
      Map<TopicPartition, Long> ends = open.endOffsets(partitions);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> positions = Map.of();
      long movedNanos = System.nanoTime();
      while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        Map<TopicPartition, Long> now =
            partitions.stream().collect(Collectors.toMap(each -> each, consumer::position));
        if (!now.equals(positions)) movedNanos = System.nanoTime();
        positions = now;
        if (System.nanoTime() - movedNanos > OPEN_MAX.toNanos()) {
          throw new IllegalStateException("open transactions: at " + now + " of " + ends);
        }
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          TopicPartition from = new TopicPartition(record.topic(), record.partition());
          if (record.offset() < ends.get(from)) out.println(line(record));
        }
      }
    }
  }

  private static KafkaConsumer<byte[], byte[]> consumerOf(String brokers, String isolation) {
    Map<String, Object> settings = Map.of(
        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
        ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation,
        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none",
        ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 50);
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private static String line(ConsumerRecord<byte[], byte[]> record) {
    String headers = Arrays.stream(record.headers().toArray())
        .map(header -> text(header.key().getBytes(StandardCharsets.UTF_8)) + ":"
            + text(header.value()))
        .collect(Collectors.joining(","));
    return String.join("\t",
        record.topic(),
        Integer.toString(record.partition()),
        Long.toString(record.offset()),
        Long.toString(record.timestamp()),
        text(record.key()),
        text(record.value()),
        headers);
  }

  private static String text(byte[] bytes) {
    return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
  }
}
