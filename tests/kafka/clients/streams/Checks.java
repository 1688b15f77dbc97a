import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;

/** Kafka Streams: word count, exactly once, while the broker is killed. */
public final class Checks {
  private static final int LINES = 600;
  private static final String[] WORDS = {"log", "broker", "offset", "fetch", "commit"};
  private final String bootstrap;
  private final String prefix;

  private Checks(String bootstrap, String prefix) {
    this.bootstrap = bootstrap;
    this.prefix = prefix;
  }

  public static void main(String[] arguments) {
    Program.run("Kafka Streams " + arguments[0], new Checks(arguments[1], arguments[2]),
        Arrays.copyOfRange(arguments, 3, arguments.length));
  }

  private Properties settings(Object... pairs) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", bootstrap);
    for (int i = 0; i < pairs.length; i += 2) {
      settings.put((String) pairs[i], pairs[i + 1].toString());
    }
    return settings;
  }

  void word_count_exactly_once() throws Exception {
    String from = prefix + "-lines";
    String to = prefix + "-counts";
    try (Admin admin = Admin.create(settings())) {
      admin.createTopics(List.of(new NewTopic(from, 3, (short) 1), new NewTopic(to, 1, (short) 1)))
          .all().get(Program.PATIENCE_MS, TimeUnit.MILLISECONDS);
    }
    Path state = Files.createTempDirectory("runnel-streams-");
    try (KafkaStreams streams = wordCount(from, to, state)) {
      streams.start();
      write(from, 0, LINES / 2);
      try (KafkaConsumer<String, Long> reader = reader(to)) {
        Map<String, Long> counts = new HashMap<>();
        Program.waitFor(() -> follow(reader, counts) >= LINES / 3, "the first counts");
        Program.killBroker();
        write(from, LINES / 2, LINES);
        Program.waitFor(() -> follow(reader, counts) >= LINES, "all words are counted");
        Program.expect(counts, expected(), "counts");
        // Nothing may follow: one more word would be one that was counted twice.
        reader.poll(Duration.ofSeconds(2)).forEach(record -> {
          throw new AssertionError("one count too many: " + record.key() + " " + record.value());
        });
      }
    }
  }

  private KafkaStreams wordCount(String from, String to, Path state) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream(from)
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
        .count().toStream().to(to, Produced.with(Serdes.String(), Serdes.Long()));
    Properties settings = settings(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "-words",
        StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
        StreamsConfig.STATE_DIR_CONFIG, state, StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100,
        StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0,
        StreamsConfig.REPLICATION_FACTOR_CONFIG, 1, "consumer.auto.offset.reset", "earliest",
        "consumer.session.timeout.ms", 10_000);
    settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    return new KafkaStreams(builder.build(), settings);
  }

  private void write(String topic, int first, int last) throws Exception {
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(settings(), new StringSerializer(), new StringSerializer())) {
      List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
      for (int i = first; i < last; i++) {
        sent.add(producer.send(new ProducerRecord<>(topic, i % 3, null, WORDS[i % WORDS.length])));
      }
      for (java.util.concurrent.Future<?> each : sent) {
        each.get(Program.PATIENCE_MS, TimeUnit.MILLISECONDS);
      }
    }
  }

  private KafkaConsumer<String, Long> reader(String topic) {
    KafkaConsumer<String, Long> reader = new KafkaConsumer<>(
        settings("group.id", prefix + "-reader", "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "isolation.level", "read_committed"),
        new StringDeserializer(), new LongDeserializer());
    reader.assign(List.of(new org.apache.kafka.common.TopicPartition(topic, 0)));
    return reader;
  }

  /** Every count is one more than the one before it; the sum of the latest is given back. */
  private static long follow(KafkaConsumer<String, Long> reader, Map<String, Long> counts) {
    for (ConsumerRecord<String, Long> record : reader.poll(Duration.ofMillis(100))) {
      long before = counts.getOrDefault(record.key(), 0L);
      Program.expect(record.value(), before + 1, "count of '" + record.key() + "'");
      counts.put(record.key(), record.value());
    }
    return counts.values().stream().mapToLong(Long::longValue).sum();
  }

  private static Map<String, Long> expected() {
    Map<String, Long> counts = new HashMap<>();
    for (int i = 0; i < LINES; i++) {
      counts.merge(WORDS[i % WORDS.length], 1L, Long::sum);
    }
    return counts;
  }
}
