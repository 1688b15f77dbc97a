import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** A consume-transform-produce loop that waits between its steps; run.py says what they are for. */
final class Transform {
  private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));
  private static final int MOST_AT_ONCE = 20;

  private Transform() {}

  private static void step(String name) throws Exception {
    System.out.println(name);
    System.out.flush();
    if (INPUT.readLine() == null) {
      System.exit(1);
    }
  }

  private static Map<String, Object> common(String bootstrap) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("reconnect.backoff.max.ms", 200);
    config.put("retry.backoff.ms", 20);
    return config;
  }

  public static void main(String[] args) throws Exception {
    String bootstrap = args[0];
    String name = args[3];
    Map<String, Object> reads = common(bootstrap);
    reads.put("group.id", "transform");
    reads.put("group.instance.id", name);
    reads.put("enable.auto.commit", false);
    reads.put("auto.offset.reset", "earliest");
    reads.put("isolation.level", "read_committed");
    reads.put("max.poll.records", MOST_AT_ONCE);
    reads.put("session.timeout.ms", 6000);
    Map<String, Object> writes = common(bootstrap);
    writes.put("transactional.id", name);
    writes.put("transaction.timeout.ms", 10_000);
    writes.put("linger.ms", 0);
    KafkaProducer<String, String> producer =
        new KafkaProducer<>(writes, new StringSerializer(), new StringSerializer());
    KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(reads, new StringDeserializer(), new StringDeserializer());
    producer.initTransactions();
    step("started");
    consumer.subscribe(List.of(args[1]));
    while (true) {
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
      if (records.isEmpty()) {
        step("idle");
        continue;
      }
      producer.beginTransaction();
      Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
      for (ConsumerRecord<String, String> record : records) {
        producer.send(new ProducerRecord<>(args[2], record.partition(), null, record.value()));
        next.put(new TopicPartition(record.topic(), record.partition()),
            new OffsetAndMetadata(record.offset() + 1));
      }
      step("sent");
      producer.flush();
      step("produced");
      producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
      step("offsets");
      producer.commitTransaction();
      step("committed");
    }
  }
}
