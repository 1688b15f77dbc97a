import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.Header;

/** The Java clients, from 2.8 on: what changed its name since then is called by reflection. */
public final class Checks extends Clients {
  private final long hourAgo = System.currentTimeMillis() - 3_600_000;

  private Checks(String bootstrap, String prefix) {
    super(bootstrap, prefix);
  }

  public static void main(String[] arguments) {
    Checks checks = new Checks(arguments[1], arguments[2]);
    Program.run("Java clients " + arguments[0], checks,
        Arrays.copyOfRange(arguments, 3, arguments.length));
  }

  // Producing and reading.

  private void codec(String codec) throws Exception {
    String topic = topic(codec, 1);
    try (KafkaProducer<byte[], byte[]> producer =
        producer("compression.type", codec, "linger.ms", 20)) {
      send(producer, topic, 0, values(100, 0));
    }
    Program.expect(texts(read(topic, 0, 100)), values(100, 0), "values");
  }

  void produce_none() throws Exception {
    codec("none");
  }

  void produce_gzip() throws Exception {
    codec("gzip");
  }

  void produce_snappy() throws Exception {
    codec("snappy");
  }

  void produce_lz4() throws Exception {
    codec("lz4");
  }

  void produce_zstd() throws Exception {
    codec("zstd");
  }

  private static String show(byte[] value) {
    return value == null ? "null" : Arrays.toString(value);
  }

  void headers() throws Exception {
    String topic = topic("headers", 1);
    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, bytes("x"));
    record.headers().add("a", bytes("1")).add("b", new byte[] {0, -1}).add("a", bytes("2"))
        .add("empty", new byte[0]).add("null", (byte[]) null);
    String sent = show(record.headers().toArray());
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      get(producer.send(record));
    }
    Program.expect(show(read(topic, 0, 1).get(0).headers().toArray()), sent, "headers");
  }

  private static String show(Header[] headers) {
    return Arrays.stream(headers).map(h -> h.key() + "=" + show(h.value()))
        .collect(Collectors.joining(","));
  }

  void nulls() throws Exception {
    String topic = topic("nulls", 1);
    byte[][][] sent = {{null, null}, {{}, {}}, {bytes("k"), null}, {null, bytes("v")}};
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (byte[][] pair : sent) {
        get(producer.send(new ProducerRecord<>(topic, 0, pair[0], pair[1])));
      }
    }
    List<ConsumerRecord<byte[], byte[]>> got = read(topic, 0, 4);
    for (int i = 0; i < sent.length; i++) {
      Program.expect(show(got.get(i).key()), show(sent[i][0]), "key " + i);
      Program.expect(show(got.get(i).value()), show(sent[i][1]), "value " + i);
    }
  }

  void timestamps() throws Exception {
    String topic = topic("timestamps", 1);
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      get(producer.send(new ProducerRecord<>(topic, 0, hourAgo + 123, null, bytes("x"))));
    }
    ConsumerRecord<byte[], byte[]> got = read(topic, 0, 1).get(0);
    Program.expect(got.timestamp(), hourAgo + 123, "timestamp");
    Program.expect(got.timestampType().toString(), "CreateTime", "kind of timestamp");
  }

  void sizes() throws Exception {
    String topic = topic("sizes", 1, "max.message.bytes", "" + Program.LARGE_LIMIT);
    try (KafkaProducer<byte[], byte[]> producer = producer("max.request.size",
        Program.LARGE_LIMIT, "buffer.memory", 3L * Program.LARGE_LIMIT)) {
      for (int size : Program.SIZES) {
        get(producer.send(new ProducerRecord<>(topic, Program.valueOfSize(size))));
      }
    }
    List<ConsumerRecord<byte[], byte[]>> got = read(topic, 0, Program.SIZES.length);
    for (int i = 0; i < Program.SIZES.length; i++) {
      Program.expect(got.get(i).value().length, Program.SIZES[i], "size " + i);
      Program.expect(Arrays.equals(got.get(i).value(), Program.valueOfSize(Program.SIZES[i])),
          true, "same bytes of value " + i);
    }
  }

  void too_large() throws Exception {
    String topic = topic("too-large", 1, "max.message.bytes", "1000000");
    try (KafkaProducer<byte[], byte[]> producer = producer("max.request.size",
        Program.LARGE_LIMIT)) {
      get(producer.send(new ProducerRecord<>(topic, Program.valueOfSize(2_000_000))));
    } catch (RecordTooLargeException expected) {
      return;
    }
    throw new AssertionError("2 MB were accepted");
  }

  void seek_time() throws Exception {
    String topic = topic("seek-time", 1);
    try (KafkaProducer<byte[], byte[]> producer = producer()) {
      for (int i = 0; i < 10; i++) {
        get(producer.send(
            new ProducerRecord<>(topic, 0, hourAgo + 1000L * i, null, bytes("v-" + i))));
      }
    }
    TopicPartition partition = new TopicPartition(topic, 0);
    long offset;
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      offset = consumer.offsetsForTimes(Map.of(partition, hourAgo + 4500)).get(partition).offset();
    }
    Program.expect(offset, 5L, "offset of the time");
    Program.expect(texts(read(topic, offset, 1)).get(0), "v-5", "value there");
  }

  void watermarks() throws Exception {
    String topic = topic("watermarks", 1);
    sendAll(topic, values(7, 0));
    List<TopicPartition> partition = List.of(new TopicPartition(topic, 0));
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      Program.expect(consumer.beginningOffsets(partition).get(partition.get(0)), 0L, "first");
      Program.expect(consumer.endOffsets(partition).get(partition.get(0)), 7L, "next");
    }
  }

  // Groups.

  void group_resume() throws Exception {
    String topic = topic("resume", 1);
    String group = prefix + "-resume";
    TopicPartition partition = new TopicPartition(topic, 0);
    sendAll(topic, values(20, 0));
    try (KafkaConsumer<byte[], byte[]> first = consumer("group.id", group)) {
      first.subscribe(List.of(topic));
      take(first, 10);
      first.commitSync(Map.of(partition, new OffsetAndMetadata(10, "kept")));
    }
    try (KafkaConsumer<byte[], byte[]> second = consumer("group.id", group)) {
      second.subscribe(List.of(topic));
      Program.expect(texts(take(second, 10)), values(10, 10), "values after the commit");
      Program.expect(second.committed(Collections.singleton(partition)).get(partition).metadata(),
          "kept", "metadata of the commit");
    }
  }

  void group_rebalance() throws Exception {
    String topic = topic("rebalance", 4);
    String group = prefix + "-rebalance";
    try (KafkaProducer<byte[], byte[]> producer = producer();
        KafkaConsumer<byte[], byte[]> first = consumer("group.id", group);
        KafkaConsumer<byte[], byte[]> second = consumer("group.id", group)) {
      for (int p = 0; p < 4; p++) {
        send(producer, topic, p, values(25, 25 * p));
      }
      TreeSet<String> seen = new TreeSet<>();
      first.subscribe(List.of(topic));
      Program.waitFor(() -> poll(first, seen) >= 10, "first member reads");
      second.subscribe(List.of(topic));
      Program.waitFor(() -> {
        poll(first, seen);
        poll(second, seen);
        return first.assignment().size() == 2 && second.assignment().size() == 2;
      }, "two partitions each");
      for (int p = 0; p < 4; p++) {
        send(producer, topic, p, values(25, 100 + 25 * p));
      }
      Program.waitFor(() -> poll(first, seen) + poll(second, seen) > 0 && seen.size() == 200,
          "all 200 values are read");
      for (KafkaConsumer<byte[], byte[]> member : List.of(first, second)) {
        member.commitSync(member.assignment().stream()
            .collect(Collectors.toMap(p -> p, p -> new OffsetAndMetadata(50))));
      }
      second.close();
      Map<TopicPartition, OffsetAndMetadata> committed = first.committed(IntStream.range(0, 4)
          .mapToObj(p -> new TopicPartition(topic, p)).collect(Collectors.toSet()));
      for (OffsetAndMetadata each : committed.values()) {
        Program.expect(each.offset(), 50L, "committed");
      }
      Program.waitFor(() -> {
        poll(first, seen);
        return first.assignment().size() == 4;
      }, "the rest gets everything");
    }
  }

  private static int poll(KafkaConsumer<byte[], byte[]> consumer, TreeSet<String> seen) {
    consumer.poll(Duration.ofMillis(50))
        .forEach(r -> seen.add(new String(r.value(), StandardCharsets.UTF_8)));
    return seen.size();
  }

  // Idempotence and transactions.

  void idempotent_kill() throws Exception {
    String topic = topic("idempotent", 1);
    int sent = 0;
    List<Future<RecordMetadata>> pending = new ArrayList<>();
    try (KafkaProducer<byte[], byte[]> producer =
        producer("enable.idempotence", true, "acks", "all", "retries", Integer.MAX_VALUE)) {
      Thread killer = new Thread(Program::killBroker);
      while (sent < 300 || killer.isAlive()) {
        if (sent == 100) {
          killer.start();
        }
        pending.add(producer.send(new ProducerRecord<>(topic, bytes("v-" + sent++))));
        Thread.sleep(5);
      }
      for (Future<RecordMetadata> each : pending) {
        get(each);
      }
    }
    Program.expect(texts(read(topic, 0, sent)), values(sent, 0), "values");
    TopicPartition partition = new TopicPartition(topic, 0);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      Program.expect(consumer.endOffsets(List.of(partition)).get(partition), (long) sent,
          "records in the partition");
    }
  }

  private KafkaProducer<byte[], byte[]> transactional(String name) {
    KafkaProducer<byte[], byte[]> producer = producer("transactional.id", prefix + "-" + name);
    producer.initTransactions();
    return producer;
  }

  void transaction_commit() throws Exception {
    String topic = topic("commit", 1);
    try (KafkaProducer<byte[], byte[]> producer = transactional("commit")) {
      producer.beginTransaction();
      send(producer, topic, 0, values(10, 0));
      producer.commitTransaction();
    }
    Program.expect(texts(read(topic, 0, 10, "isolation.level", "read_committed")), values(10, 0),
        "values");
  }

  void transaction_abort() throws Exception {
    String topic = topic("abort", 1);
    try (KafkaProducer<byte[], byte[]> producer = transactional("abort")) {
      producer.beginTransaction();
      send(producer, topic, 0, values(10, 0));
      producer.abortTransaction();
      producer.beginTransaction();
      send(producer, topic, 0, values(10, 10));
      producer.commitTransaction();
    }
    Program.expect(texts(read(topic, 0, 10, "isolation.level", "read_committed")), values(10, 10),
        "read_committed");
    Program.expect(texts(read(topic, 0, 20, "isolation.level", "read_uncommitted")), values(20, 0),
        "read_uncommitted");
  }

  void transaction_offsets() throws Exception {
    String topic = topic("txn-in", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    sendAll(topic, values(10, 0));
    try (KafkaProducer<byte[], byte[]> producer = transactional("offsets");
        KafkaConsumer<byte[], byte[]> consumer = consumer("group.id", prefix + "-txn-offsets")) {
      consumer.subscribe(List.of(topic));
      take(consumer, 1);
      producer.beginTransaction();
      producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(5)),
          consumer.groupMetadata());
      producer.commitTransaction();
      Program.expect(committed(consumer, partition), 5L, "offset after the commit");
      producer.beginTransaction();
      producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(8)),
          consumer.groupMetadata());
      producer.abortTransaction();
      Program.expect(committed(consumer, partition), 5L, "offset after the abort");
    }
  }

  void transaction_transform() throws Exception {
    String source = topic("transform-in", 1);
    String target = topic("transform-out", 1);
    TopicPartition partition = new TopicPartition(source, 0);
    sendAll(source, values(10, 0));
    try (KafkaProducer<byte[], byte[]> producer = transactional("transform");
        KafkaConsumer<byte[], byte[]> consumer = consumer("group.id", prefix + "-transform",
            "isolation.level", "read_committed", "max.poll.records", 5)) {
      consumer.assign(List.of(partition));
      for (boolean commit : new boolean[] {false, true, true}) {
        OffsetAndMetadata known =
            consumer.committed(Collections.singleton(partition)).get(partition);
        long offset = known == null ? 0 : known.offset();
        consumer.seek(partition, offset);
        List<String> taken = texts(take(consumer, 5)).subList(0, 5);
        producer.beginTransaction();
        send(producer, target, 0, taken);
        producer.sendOffsetsToTransaction(
            Map.of(partition, new OffsetAndMetadata(offset + 5)), consumer.groupMetadata());
        if (commit) {
          producer.commitTransaction();
        } else {
          producer.abortTransaction();
        }
      }
    }
    Program.expect(texts(read(target, 0, 10, "isolation.level", "read_committed")), values(10, 0),
        "read_committed");
    Program.expect(texts(read(target, 0, 15, "isolation.level", "read_uncommitted")).subList(5, 15),
        values(10, 0), "read_uncommitted");
  }

  private static long committed(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
    return consumer.committed(Collections.singleton(partition)).get(partition).offset();
  }

  void transaction_fencing() throws Exception {
    String topic = topic("fencing", 1);
    try (KafkaProducer<byte[], byte[]> old = transactional("fencing")) {
      old.beginTransaction();
      send(old, topic, 0, List.of("old"));
      try (KafkaProducer<byte[], byte[]> current = transactional("fencing")) {
        try {
          send(old, topic, 0, List.of("late"));
          old.commitTransaction();
          throw new AssertionError("the fenced producer committed");
        } catch (ProducerFencedException | InvalidProducerEpochException expected) {
          // The two names of being fenced.
        } catch (KafkaException error) {
          Throwable cause = error.getCause();
          Program.expect(cause instanceof ProducerFencedException
              || cause instanceof InvalidProducerEpochException, true, "error " + error);
        }
        current.beginTransaction();
        send(current, topic, 0, List.of("new"));
        current.commitTransaction();
      }
    }
    Program.expect(texts(read(topic, 0, 1, "isolation.level", "read_committed")), List.of("new"),
        "read_committed");
  }

  // Administration.

  void admin_create() throws Exception {
    topic("admin-create", 3);
    try {
      topic("admin-create", 3);
    } catch (TopicExistsException expected) {
      return;
    }
    throw new AssertionError("created twice");
  }

  void admin_describe() throws Exception {
    TopicDescription found = describe(topic("admin-describe", 3));
    Program.expect(found.partitions().size(), 3, "partitions");
    for (int i = 0; i < 3; i++) {
      Program.expect(found.partitions().get(i).leader().id(), 1, "leader");
      Program.expect(found.partitions().get(i).isr().size(), 1, "in-sync replicas");
    }
  }

  void admin_add_partitions() throws Exception {
    String topic = topic("admin-add", 3);
    get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
    awaitPartitions(topic, 5);
  }

  void admin_delete() throws Exception {
    String topic = topic("admin-delete", 1);
    get(admin.deleteTopics(List.of(topic)).all());
    Program.waitFor(() -> {
      try {
        return !get(admin.listTopics().names()).contains(topic);
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
    }, "the topic is gone");
  }

  private ConfigEntry retention(ConfigResource resource) throws Exception {
    return get(admin.describeConfigs(List.of(resource)).all()).get(resource).get("retention.ms");
  }

  void admin_configs() throws Exception {
    ConfigResource resource =
        new ConfigResource(ConfigResource.Type.TOPIC, topic("admin-configs", 1));
    Program.expect(retention(resource).value(), "604800000", "default");
    Program.expect(retention(resource).isDefault(), true, "source of the default");
    AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"),
        AlterConfigOp.OpType.SET);
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all());
    Program.expect(retention(resource).value(), "3600000", "new value");
    Program.expect(retention(resource).source().toString(), "DYNAMIC_TOPIC_CONFIG", "its source");
    AlterConfigOp unset = new AlterConfigOp(new ConfigEntry("retention.ms", null),
        AlterConfigOp.OpType.DELETE);
    get(admin.incrementalAlterConfigs(Map.of(resource, List.of(unset))).all());
    Program.expect(retention(resource).value(), "604800000", "default again");
  }

  void admin_delete_records() throws Exception {
    String topic = topic("admin-records", 1);
    TopicPartition partition = new TopicPartition(topic, 0);
    sendAll(topic, values(10, 0));
    Program.expect(get(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4)))
        .lowWatermarks().get(partition)).lowWatermark(), 4L, "low watermark");
    Program.expect(texts(read(topic, 1, 6)), values(6, 4), "values after the reset");
  }

  void admin_groups() throws Exception {
    String topic = topic("admin-groups", 1);
    String group = prefix + "-admin-groups";
    sendAll(topic, values(3, 0));
    try (KafkaConsumer<byte[], byte[]> consumer = consumer("group.id", group)) {
      consumer.subscribe(List.of(topic));
      take(consumer, 3);
      consumer.commitSync();
    }
    Program.expect(listed(group), true, "listed");
    Program.expect(get(admin.describeConsumerGroups(List.of(group)).all()).get(group).state()
        .toString().toUpperCase(), "EMPTY", "state");
    Program.expect(get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
        .get(new TopicPartition(topic, 0)).offset(), 3L, "offset");
    get(admin.deleteConsumerGroups(List.of(group)).all());
    Program.expect(listed(group), false, "listed afterwards");
  }

  private boolean listed(String group) throws Exception {
    return get(admin.listConsumerGroups().all()).stream()
        .anyMatch(each -> each.groupId().equals(group));
  }
}
