import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The views of bench/views/views.py in Kafka Streams, as its documentation teaches them.
 *
 * usage: StreamsBench BOOTSTRAP TOPIC CASE EVENTS GUARANTEE
 *
 * Prints events per second of this process's processor time until every view has had every event,
 * start-up left out, and the memory that it takes.
 */
public final class StreamsBench {
  private static final JsonFactory JSON = new JsonFactory();
  private static final AtomicLong FOLDED = new AtomicLong();

  record Event(String campaign, String page, String country, String kind, String channel,
      long cents, long millis) {}

  /** Count, sum, greatest and latest: what each aggregate here needs a part of. */
  record Total(long count, long cents, long max, long last) {
    static final Total NONE = new Total(0, 0, Long.MIN_VALUE, 0);

    Total plus(long more) {
      FOLDED.incrementAndGet();
      return new Total(count + 1, cents + more, Math.max(max, more), more);
    }
  }

  private static Event parse(byte[] bytes) {
    String campaign = null;
    String page = null;
    String country = null;
    String kind = null;
    String channel = null;
    long cents = 0;
    long millis = 0;
    try (JsonParser in = JSON.createParser(bytes)) {
      while (in.nextToken() != null) {
        if (in.currentToken() != JsonToken.FIELD_NAME) {
          continue;
        }
        String name = in.currentName();
        JsonToken value = in.nextToken();
        if (value == JsonToken.START_OBJECT) {
          continue;
        }
        switch (name) {
          case "campaign" -> campaign = in.getText();
          case "page" -> page = in.getText();
          case "country" -> country = in.getText();
          case "kind" -> kind = in.getText();
          case "channel" -> channel = in.getText();
          case "amount" -> cents = in.getDecimalValue().movePointRight(2).longValueExact();
          case "at" -> millis = Instant.parse(in.getText()).toEpochMilli();
          default -> { }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new Event(campaign, page, country, kind, channel, cents, millis);
  }

  private static Serde<Total> totals() {
    return Serdes.serdeFrom(
        (topic, t) -> t == null ? null : ByteBuffer.allocate(32).putLong(t.count())
            .putLong(t.cents()).putLong(t.max()).putLong(t.last()).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer in = ByteBuffer.wrap(bytes);
          return new Total(in.getLong(), in.getLong(), in.getLong(), in.getLong());
        });
  }

  private static Grouped<String, Long> byText() {
    return Grouped.with(Serdes.String(), Serdes.Long());
  }

  private static void total(KStream<?, Event> events,
      java.util.function.Function<Event, String> key, String store) {
    events.map((k, e) -> org.apache.kafka.streams.KeyValue.pair(key.apply(e), e.cents()))
        .groupByKey(byText())
        .aggregate(() -> Total.NONE, (k, cents, t) -> t.plus(cents),
            Materialized.<String, Total, org.apache.kafka.streams.state.KeyValueStore<
                org.apache.kafka.common.utils.Bytes, byte[]>>as(store)
                .withKeySerde(Serdes.String()).withValueSerde(totals()));
  }

  private static void hourly(KStream<?, Event> events) {
    events.map((k, e) -> org.apache.kafka.streams.KeyValue.pair(e.campaign(), e.cents()))
        .groupByKey(byText())
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofHours(1), Duration.ofDays(30)))
        .aggregate(() -> Total.NONE, (k, cents, t) -> t.plus(cents),
            Materialized.<String, Total, org.apache.kafka.streams.state.WindowStore<
                org.apache.kafka.common.utils.Bytes, byte[]>>as("hour")
                .withKeySerde(Serdes.String()).withValueSerde(totals())
                .withRetention(Duration.ofDays(31)));
  }

  /** Pages per country and day: each page once a day, then counted. */
  private static void distinct(KStream<?, Event> events) {
    events.map((k, e) -> org.apache.kafka.streams.KeyValue.pair(
            e.country() + '|' + e.millis() / 86_400_000 + '|' + e.page(), 1L))
        .groupByKey(byText())
        .aggregate(() -> 0L, (k, one, n) -> {
          FOLDED.incrementAndGet();
          return n + one;
        }, Materialized.<String, Long, org.apache.kafka.streams.state.KeyValueStore<
            org.apache.kafka.common.utils.Bytes, byte[]>>as("pages-seen")
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream().filter((k, n) -> n == 1)
        .map((k, n) -> org.apache.kafka.streams.KeyValue.pair(
            k.substring(0, k.lastIndexOf('|')), 1L))
        .groupByKey(byText()).count();
  }

  private static int build(StreamsBuilder builder, String topic, String what) {
    KStream<byte[], Event> events = builder
        .stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())
            .withTimestampExtractor((record, time) ->
                parse((byte[]) record.value()).millis()))
        .mapValues(StreamsBench::parse);
    boolean all = what.equals("five");
    int views = 0;
    if (all || what.equals("campaign")) {
      total(events, Event::campaign, "campaign");
      views++;
    }
    if (all || what.equals("hour")) {
      hourly(events);
      views++;
    }
    if (all || what.equals("page")) {
      total(events, e -> e.page() + '|' + e.country(), "page");
      views++;
    }
    if (all) {
      distinct(events);
      total(events, e -> e.kind() + '|' + e.channel(), "kind");
      views += 2;
    }
    return views;
  }

  private static double processorSeconds() {
    OperatingSystemMXBean bean =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return bean.getProcessCpuTime() / 1e9;
  }

  private static long residentMebibytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024;
      }
    }
    return 0;
  }

  public static void main(String[] arguments) throws Exception {
    long events = Long.parseLong(arguments[3]);
    StreamsBuilder builder = new StreamsBuilder();
    int views = build(builder, arguments[1], arguments[2]);
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-" + arguments[2] + System.nanoTime());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("streams-").toString());
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    settings.put("consumer.auto.offset.reset", "earliest");
    try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
      streams.start();
      while (FOLDED.get() == 0) {
        Thread.sleep(10);
      }
      double before = processorSeconds();
      long first = FOLDED.get();
      long began = System.nanoTime();
      long wanted = events * views;
      while (FOLDED.get() < wanted) {
        Thread.sleep(20);
      }
      double cpu = processorSeconds() - before;
      double folded = (double) (wanted - first) / views;
      System.out.printf("{\"case\":\"%s\",\"guarantee\":\"%s\",\"events_per_cpu_second\":%.0f,"
          + "\"events_per_second\":%.0f,\"rss_mib\":%d}%n", arguments[2], arguments[4],
          folded / cpu, folded / ((System.nanoTime() - began) / 1e9), residentMebibytes());
    }
  }
}
