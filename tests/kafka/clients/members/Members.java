import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Members of a consumer group; clients/members/members.py describes call and lines. */
public final class Members implements ConsumerRebalanceListener, Runnable {
  private final int number;
  private final KafkaConsumer<String, String> consumer;
  private final TreeSet<Integer> partitions = new TreeSet<>();
  private String id = "";
  private int generation = -1;

  private Members(int number, String[] arguments) {
    this.number = number;
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[0]);
    settings.put("group.id", arguments[1]);
    settings.put("group.protocol", arguments[3]);
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    settings.put("fetch.max.wait.ms", "100");
    // By default a client that reaches no broker forgets what it knew of the cluster, and a classic
    // group's leader then rejoins, whatever the broker remembers.
    settings.put("metadata.recovery.strategy", "none");
    if (arguments[3].equals("classic")) {
      settings.put("session.timeout.ms", arguments[5]);
      settings.put("heartbeat.interval.ms", arguments[6]);
    }
    consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    consumer.subscribe(List.of(arguments[2]), this);
  }

  private static synchronized void tell(String line) {
    System.out.println("{" + line + "}");
    System.out.flush();
  }

  private void state() {
    tell("\"member\": " + number + ", \"id\": \"" + id + "\", \"generation\": " + generation
        + ", \"partitions\": " + partitions + ", \"at\": " + System.currentTimeMillis() / 1e3);
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> more) {
    partitions.addAll(more.stream().map(TopicPartition::partition).collect(Collectors.toList()));
    state();
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> less) {
    partitions.removeAll(less.stream().map(TopicPartition::partition).collect(Collectors.toList()));
    state();
  }

  private void look() {
    ConsumerGroupMetadata metadata = consumer.groupMetadata();
    if (!metadata.memberId().equals(id) || metadata.generationId() != generation) {
      id = metadata.memberId();
      generation = metadata.generationId();
      state();
    }
  }

  @Override
  public void run() {
    while (true) {
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
      look();
      if (records.isEmpty()) {
        continue;
      }
      try {
        consumer.commitSync();
      } catch (KafkaException error) {
        tell("\"member\": " + number + ", \"error\": \"commit: "
            + error.toString().replace('"', '\'') + "\"");
        continue;
      }
      for (ConsumerRecord<String, String> record : records) {
        tell("\"member\": " + number + ", \"partition\": " + record.partition()
            + ", \"value\": \"" + record.value() + "\"");
      }
    }
  }

  public static void main(String[] arguments) throws java.io.IOException {
    for (int i = 0; i < Integer.parseInt(arguments[4]); i++) {
      Thread thread = new Thread(new Members(i, arguments));
      thread.setDaemon(true);
      thread.start();
    }
    System.in.readAllBytes();
    Runtime.getRuntime().halt(0);
  }
}
