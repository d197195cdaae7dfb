/*
 * Prints the committed records of topics, from their beginnings to where they end when it starts, with
 * Kafka's own consumer: what it says of a topic owes nothing to the code under test. A line is
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
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class TopicReader {
  public static void main(String[] args) {
    Map<String, Object> settings = Map.of(
        ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
        ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed",
        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none",
        ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 50);
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes);
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16))) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : Arrays.asList(args).subList(1, args.length)) {
        consumer.partitionsFor(topic)
            .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
      }
      // With read_committed these are the last stable offsets.
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          TopicPartition from = new TopicPartition(record.topic(), record.partition());
          if (record.offset() < ends.get(from)) out.println(line(record));
        }
      }
    }
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
