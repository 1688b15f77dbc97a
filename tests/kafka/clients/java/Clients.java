import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What the checks are made of: topics, producers and consumers on one broker. */
class Clients {
  final String bootstrap;
  final String prefix;
  final Admin admin;

  Clients(String bootstrap, String prefix) {
    this.bootstrap = bootstrap;
    this.prefix = prefix;
    this.admin = Admin.create(settings("request.timeout.ms", 20_000));
  }

  Properties settings(Object... pairs) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", bootstrap);
    for (int i = 0; i < pairs.length; i += 2) {
      settings.put((String) pairs[i], pairs[i + 1].toString());
    }
    return settings;
  }

  static <T> T get(Future<T> future) throws Exception {
    try {
      return future.get(Program.PATIENCE_MS, TimeUnit.MILLISECONDS);
    } catch (ExecutionException error) {
      throw error.getCause() instanceof Exception ? (Exception) error.getCause() : error;
    }
  }

  String topic(String name, int partitions, String... config) throws Exception {
    String topic = prefix + "-" + name;
    Map<String, String> configs = new HashMap<>();
    for (int i = 0; i < config.length; i += 2) {
      configs.put(config[i], config[i + 1]);
    }
    get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs)))
        .all());
    awaitPartitions(topic, partitions);
    return topic;
  }

  /** A broker may answer before it knows the outcome itself. */
  void awaitPartitions(String topic, int count) {
    Program.waitFor(() -> {
      try {
        return describe(topic).partitions().size() == count;
      } catch (UnknownTopicOrPartitionException unknown) {
        return false;
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
    }, topic + " with " + count + " partitions");
  }

  KafkaProducer<byte[], byte[]> producer(Object... pairs) {
    Properties settings = settings("max.block.ms", Program.PATIENCE_MS);
    settings.putAll(settings(pairs));
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
    Properties settings = settings("auto.offset.reset", "earliest", "enable.auto.commit", false,
        "session.timeout.ms", 6000, "max.partition.fetch.bytes", Program.LARGE_LIMIT,
        "fetch.max.bytes", 2 * Program.LARGE_LIMIT, "fetch.max.wait.ms", 50);
    settings.putAll(settings(pairs));
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static List<String> values(int count, int start) {
    return IntStream.range(start, start + count).mapToObj(i -> "v-" + i)
        .collect(Collectors.toList());
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, String topic,
      int partition, List<String> values) throws Exception {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (String value : values) {
      sent.add(producer.send(new ProducerRecord<>(topic, partition, null, bytes(value))));
    }
    List<RecordMetadata> done = new ArrayList<>();
    for (Future<RecordMetadata> each : sent) {
      done.add(get(each));
    }
    return done;
  }

  void sendAll(String topic, List<String> values) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      send(producer, topic, 0, values);
    }
  }

  static List<ConsumerRecord<byte[], byte[]>> take(KafkaConsumer<byte[], byte[]> consumer,
      int count) {
    List<ConsumerRecord<byte[], byte[]>> taken = new ArrayList<>();
    Program.waitFor(() -> {
      consumer.poll(Duration.ofMillis(100)).forEach(taken::add);
      return taken.size() >= count;
    }, count + " records read");
    return taken;
  }

  List<ConsumerRecord<byte[], byte[]>> read(String topic, long offset, int count,
      Object... pairs) {
    TopicPartition partition = new TopicPartition(topic, 0);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(pairs)) {
      consumer.assign(List.of(partition));
      consumer.seek(partition, offset);
      return take(consumer, count);
    }
  }

  static List<String> texts(Collection<ConsumerRecord<byte[], byte[]>> records) {
    return records.stream().map(r -> new String(r.value(), StandardCharsets.UTF_8))
        .collect(Collectors.toList());
  }

  @SuppressWarnings("unchecked")
  TopicDescription describe(String topic) throws Exception {
    DescribeTopicsResult result = admin.describeTopics(List.of(topic));
    Method all;
    try {
      all = DescribeTopicsResult.class.getMethod("allTopicNames");
    } catch (NoSuchMethodException before31) {
      all = DescribeTopicsResult.class.getMethod("all");
    }
    return get((Future<Map<String, TopicDescription>>) all.invoke(result)).get(topic);
  }
}
