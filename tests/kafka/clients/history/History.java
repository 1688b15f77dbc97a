import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Numbered records with Kafka's own clients; history.py describes call, values and lines. */
public final class History {
  private static final int BURST = 10;
  private static final int PAUSE_MS = 50;
  private static final int RECORDS = 6;
  private static final int ABORT_EACH = 5;
  private static final String PATIENCE_MS = "120000";
  private static volatile boolean stopped;

  private final String topic;
  private final int partitions;
  private final String writer;
  private final KafkaProducer<String, String> producer;

  private History(String[] arguments) {
    topic = arguments[2];
    partitions = Integer.parseInt(arguments[3]);
    writer = arguments[4];
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[1]);
    settings.put("linger.ms", "5");
    settings.put("max.block.ms", PATIENCE_MS);
    settings.put("delivery.timeout.ms", PATIENCE_MS);
    if (arguments[5].equals("transactional")) {
      settings.put("transactional.id", "history-" + writer);
      settings.put("transaction.timeout.ms", PATIENCE_MS);
    }
    producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
  }

  private static synchronized void tell(String line) {
    System.out.println(line);
    System.out.flush();
  }

  private static void fail(String reason) {
    tell("{\"error\": \"" + reason.replace('"', '\'').replace('\n', ' ') + "\"}");
    Runtime.getRuntime().halt(1);
  }

  private static String valueOf(String writer, int number) {
    String letter = String.valueOf((char) ('a' + number % 26));
    return writer + ":" + number + ":" + letter.repeat(number * 37 % 1000);
  }

  private void send(int number, int partition, boolean mustArrive) {
    producer.send(new ProducerRecord<>(topic, partition % partitions, null,
        valueOf(writer, number)), (metadata, error) -> {
          if (error != null && mustArrive) {
            fail("delivery: " + error);
          }
        });
  }

  private void run() throws InterruptedException {
    int number = 0;
    while (!stopped) {
      for (int i = 0; i < BURST; i++, number++) {
        send(number, number, true);
      }
      Thread.sleep(PAUSE_MS);
    }
    producer.flush();
    tell("{\"written\": " + number + "}");
  }

  private void runTransactions() throws InterruptedException {
    again(producer::initTransactions);
    List<Integer> committed = new ArrayList<>();
    for (int transaction = 0; !stopped; transaction++) {
      if (transact(transaction)) {
        committed.add(transaction);
      }
      Thread.sleep(PAUSE_MS);
    }
    tell("{\"committed\": " + committed + ", \"unknown\": []}");
  }

  /** Whether it was committed. */
  private boolean transact(int transaction) {
    try {
      producer.beginTransaction();
      for (int i = 0; i < RECORDS; i++) {
        send(RECORDS * transaction + i, transaction + i, false);
      }
      if (transaction % ABORT_EACH != ABORT_EACH - 1) {
        again(producer::commitTransaction);
        return true;
      }
    } catch (ProducerFencedException fenced) {
      fail("transaction " + transaction + ": " + fenced);
    } catch (KafkaException abortable) {
      // What cannot be aborted fails below.
    }
    again(producer::abortTransaction);
    return false;
  }

  /** A step that timed out is to be called again; the outcome is the same. */
  private static void again(Runnable step) {
    while (true) {
      try {
        step.run();
        return;
      } catch (TimeoutException late) {
        continue;
      }
    }
  }

  private static void read(String[] arguments) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", arguments[1]);
    settings.put("group.id", arguments[3]);
    settings.put("isolation.level", arguments[4]);
    settings.put("auto.offset.reset", "earliest");
    settings.put("auto.commit.interval.ms", "500");
    settings.put("session.timeout.ms", "30000");
    settings.put("fetch.max.wait.ms", "100");
    KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    consumer.subscribe(List.of(arguments[2]));
    while (true) {
      for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
        String[] parts = record.value().split(":", 3);
        if (!record.value().equals(valueOf(parts[0], Integer.parseInt(parts[1])))) {
          fail("torn at " + record.partition() + "/" + record.offset() + ": " + record.value());
        }
        tell("[" + record.partition() + ", " + record.offset() + ", \"" + parts[0] + ":"
            + parts[1] + "\"]");
      }
    }
  }

  private static void readInput() {
    try {
      System.in.readAllBytes();
    } catch (java.io.IOException closed) {
      // The same as its end.
    }
  }

  public static void main(String[] arguments) {
    Thread work = new Thread(() -> {
      try {
        if (arguments[0].equals("read")) {
          read(arguments);
        } else if (arguments[5].equals("transactional")) {
          new History(arguments).runTransactions();
        } else {
          new History(arguments).run();
        }
      } catch (Exception error) {
        fail(error.toString());
      }
      Runtime.getRuntime().halt(0);
    });
    work.start();
    readInput();
    stopped = true;
    if (arguments[0].equals("read")) {
      Runtime.getRuntime().halt(0);
    }
  }
}
