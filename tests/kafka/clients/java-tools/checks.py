"""Kafka's command-line tools, each called as its script calls it."""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python"), str(HERE.parent.parent)]
import brokers  # noqa: E402  pylint: disable=wrong-import-position
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, values  # noqa: E402  pylint: disable=wrong-import-position

TOOLS = "org.apache.kafka.tools."


def contains(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"no '{part}' in: {text[-400:]}")


class Kafka:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.jars = brokers.kafka_jars(brokers.KAFKA_VERSION)
        self.log4j = brokers.log4j_config("WARN", "SYSTEM_ERR")

    def command(self, tool, *arguments):
        # Short-lived programs: one compiler and the simple collector save half of their time.
        return ["java", "-Xmx256M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Dlog4j2.configurationFile={self.log4j}", "-cp", f"{self.jars}/*", tool,
                *arguments]

    def tool(self, tool, *arguments, text="", expect_code=0):
        done = subprocess.run(
            self.command(tool, "--bootstrap-server", self.bootstrap, *arguments), input=text,
            capture_output=True, text=True, check=False, timeout=2 * program.PATIENCE_SECONDS)
        output = done.stdout + done.stderr
        if done.returncode != expect_code:
            raise AssertionError(f"exit code {done.returncode}: {output[-500:]}")
        return output

    def topics(self, *arguments, **more):
        return self.tool(TOOLS + "TopicCommand", *arguments, **more)

    def configs(self, *arguments, **more):
        return self.tool("kafka.admin.ConfigCommand", *arguments, **more)

    def groups(self, *arguments, **more):
        return self.tool(TOOLS + "consumer.group.ConsumerGroupCommand", *arguments, **more)

    def make(self, name, records=0, partitions=1):
        topic = f"{self.prefix}-{name}"
        self.topics("--create", "--topic", topic, "--partitions", str(partitions))
        if records:
            self.produce(topic, records)
        return topic

    def produce(self, topic, count):
        text = "".join(f"{v.decode()}\n" for v in values(count))
        self.tool(TOOLS + "ConsoleProducer", "--topic", topic, text=text)

    def consume(self, topic, count, *more):
        output = self.tool(TOOLS + "consumer.ConsoleConsumer", "--topic", topic, "--max-messages",
                           str(count), "--timeout-ms", "20000", *more)
        return [line.encode() for line in output.splitlines() if line.startswith("v-")]


class ToolChecks:
    def __init__(self, bootstrap, prefix):
        self.kafka = Kafka(bootstrap, prefix)

    def topics(self):
        topic = self.kafka.make("topics", partitions=3)
        contains(self.kafka.topics("--describe", "--topic", topic), "PartitionCount: 3",
                 "ReplicationFactor: 1", "Leader: 1", "Isr: 1")
        self.kafka.topics("--alter", "--topic", topic, "--partitions", "5")
        contains(self.kafka.topics("--describe", "--topic", topic), "PartitionCount: 5")
        contains(self.kafka.topics("--create", "--topic", topic, expect_code=1),
                 "already exists")
        contains(self.kafka.topics("--list"), topic)
        self.kafka.topics("--delete", "--topic", topic)
        expect(topic in self.kafka.topics("--list").split(), False, "listed afterwards")

    def configs(self):
        topic = self.kafka.make("configs")
        entity = ("--entity-type", "topics", "--entity-name", topic)
        self.kafka.configs(*entity, "--alter", "--add-config", "retention.ms=3600000")
        contains(self.kafka.configs(*entity, "--describe"), "retention.ms=3600000",
                 "DYNAMIC_TOPIC_CONFIG:retention.ms=3600000")
        contains(self.kafka.configs(*entity, "--describe", "--all"), "cleanup.policy=delete",
                 "max.message.bytes=1048588")
        contains(self.kafka.configs(*entity, "--alter", "--add-config", "no.such=1",
                                    expect_code=1), "InvalidConfigurationException", "no.such")
        self.kafka.configs(*entity, "--alter", "--delete-config", "retention.ms")
        expect("3600000" in self.kafka.configs(*entity, "--describe"), False, "set afterwards")
        contains(self.kafka.configs("--entity-type", "brokers", "--entity-name", "1", "--describe",
                                    "--all"), "num.partitions=", "auto.create.topics.enable=")

    def console(self):
        topic = self.kafka.make("console", 20)
        expect(self.kafka.consume(topic, 20, "--from-beginning"), values(20), "values")

    def consumer_groups(self):
        topic = self.kafka.make("groups", 20)
        group = f"{self.kafka.prefix}-groups"
        self.kafka.consume(topic, 10, "--from-beginning", "--group", group)
        contains(self.kafka.groups("--list"), group)
        contains(self.kafka.groups("--describe", "--group", group), group, topic, "20")
        contains(self.kafka.groups("--describe", "--group", group, "--state"), "Empty")
        reset = self.kafka.groups("--reset-offsets", "--group", group, "--topic", topic,
                                  "--to-offset", "5", "--execute")
        contains(reset, topic, "5")
        described = self.kafka.groups("--describe", "--group", group)
        row = [line.split() for line in described.splitlines() if topic in line][0]
        expect(row[3:6], ["5", "20", "15"], "offset, end and lag")
        self.kafka.groups("--delete-offsets", "--group", group, "--topic", topic)
        self.kafka.groups("--delete", "--group", group)
        expect(group in self.kafka.groups("--list").split(), False, "listed afterwards")

    def perf(self):
        topic = self.kafka.make("perf", partitions=2)
        sent = self.kafka.tool(TOOLS + "ProducerPerformance", "--topic", topic, "--num-records",
                               "20000", "--record-size", "100", "--throughput", "-1")
        contains(sent, "20000 records sent")
        read = self.kafka.tool(TOOLS + "ConsumerPerformance", "--topic", topic, "--num-records",
                               "20000", "--timeout", "20000")
        contains(read, " 20000,")

    def get_offsets(self):
        topic = self.kafka.make("offsets", 7)
        # -3 is the record with the largest timestamp, whichever that was.
        for time, offset in (("-1", 7), ("-2", 0), ("-3", "")):
            contains(self.kafka.tool(TOOLS + "GetOffsetShell", "--topic", topic, "--time", time),
                     f"{topic}:0:{offset}")

    def delete_records(self):
        topic = self.kafka.make("records", 10)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as wanted:
            wanted.write('{"partitions": [{"topic": "%s", "partition": 0, "offset": 4}], '
                         '"version": 1}' % topic)
            wanted.flush()
            contains(self.kafka.tool(TOOLS + "DeleteRecordsCommand", "--offset-json-file",
                                     wanted.name), "low_watermark: 4")
        expect(self.kafka.consume(topic, 6, "--from-beginning"), values(6, 4), "values")

    def verifiable(self):
        topic = self.kafka.make("verifiable", partitions=2)
        sent = self.kafka.tool(TOOLS + "VerifiableProducer", "--topic", topic, "--max-messages",
                               "500")
        contains(sent, '"sent":500,"acked":500')
        read = self.kafka.tool(TOOLS + "VerifiableConsumer", "--topic", topic, "--max-messages",
                               "500", "--group-id", f"{self.kafka.prefix}-verifiable")
        contains(read, '"name":"offsets_committed"', '"success":true')

    def end_to_end_latency(self):
        topic = self.kafka.make("latency")
        contains(self.kafka.tool(TOOLS + "EndToEndLatency", "--topic", topic, "--num-records",
                                 "200", "--producer-acks", "all", "--record-size", "100"),
                 "Avg latency")

    def transactions(self):
        transactions = TOOLS + "TransactionsCommand"
        contains(self.kafka.tool(transactions, "list"), "TransactionalId")
        topic = self.kafka.make("transactions")
        sent = self.kafka.tool(
            TOOLS + "ProducerPerformance", "--topic", topic, "--num-records", "1000",
            "--record-size", "10", "--throughput", "-1", "--transactional-id",
            f"{self.kafka.prefix}-perf", "--transaction-duration-ms", "50")
        contains(sent, "1000 records sent")
        contains(self.kafka.tool(transactions, "list"), f"{self.kafka.prefix}-perf",
                 "CompleteCommit")
        contains(self.kafka.tool(transactions, "describe", "--transactional-id",
                                 f"{self.kafka.prefix}-perf"), "CompleteCommit")
        contains(self.kafka.tool(transactions, "describe-producers", "--topic", topic,
                                 "--partition", "0"), "ProducerId")

    def log_dirs(self):
        topic = self.kafka.make("log-dirs", 10)
        contains(self.kafka.tool(TOOLS + "LogDirsCommand", "--describe", "--topic-list", topic),
                 '"broker":1', f'"partition":"{topic}-0"')

    def cluster_id(self):
        done = subprocess.run(
            self.kafka.command(TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server",
                               self.kafka.bootstrap), capture_output=True, text=True, check=False)
        contains(done.stdout + done.stderr, "Cluster ID: ")

    def metadata(self):
        contains(self.kafka.tool(TOOLS + "BrokerApiVersionsCommand"), "Produce(0)", "Fetch(1)")


if __name__ == "__main__":
    program.main(f"Kafka's command-line tools {brokers.KAFKA_VERSION}", ToolChecks)
