"""kafka-python, 2.0 and 3.0."""
import pathlib
import sys
import threading
import time

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions,
                         NewTopic)
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, values, wait_for  # noqa: E402  pylint: disable=wrong-import-position

MODERN = int(kafka.__version__.split(".", maxsplit=1)[0]) >= 3


def offset_and_metadata(offset):
    # A leader epoch is part of it since 2.1.
    return OffsetAndMetadata(*([offset, ""] + [-1] * (len(OffsetAndMetadata._fields) - 2)))


class Checks:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.hour_ago = int(time.time() * 1000) - 3_600_000
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def topic(self, name, partitions=1, **config):
        topic = f"{self.prefix}-{name}"
        settings = {k.replace("_", "."): str(v) for k, v in config.items()}
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
        # A broker may answer before it shows what it was asked for; the same below.
        wait_for(lambda: len(self.partitions(topic)) == partitions, "the new topic")
        return topic

    def producer(self, **config):
        return KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5, **config)

    def send(self, topic, records, partition=0, **config):
        producer = self.producer(**config)
        sent = [producer.send(topic, value, partition=partition) for value in records]
        done = [each.get(program.PATIENCE_SECONDS) for each in sent]
        producer.close()
        return done

    def consumer(self, group=None, **config):
        return KafkaConsumer(**{
            "bootstrap_servers": self.bootstrap, "group_id": group,
            "auto_offset_reset": "earliest", "enable_auto_commit": False,
            "max_partition_fetch_bytes": program.LARGE_LIMIT, "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 500, "fetch_max_wait_ms": 50, **config})

    def take(self, consumer, count):
        taken = []

        def more():
            for records in consumer.poll(timeout_ms=200).values():
                taken.extend(records)
            return len(taken) >= count
        wait_for(more, f"{count} records read")
        return taken

    def read(self, topic, count, offset=0, **config):
        consumer = self.consumer(**config)
        try:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            consumer.seek(partition, offset)
            return self.take(consumer, count)
        finally:
            consumer.close()

    # Producing and reading.

    def codec(self, codec):
        topic = self.topic(codec or "none")
        self.send(topic, values(100), compression_type=codec)
        expect([r.value for r in self.read(topic, 100)], values(100), "values")

    def produce_none(self):
        self.codec(None)

    def produce_gzip(self):
        self.codec("gzip")

    def produce_snappy(self):
        self.codec("snappy")

    def produce_lz4(self):
        self.codec("lz4")

    def produce_zstd(self):
        if not MODERN:
            raise program.CannotDo("2.0.2 uses no version of Produce that allows zstd")
        self.codec("zstd")

    def headers(self):
        topic = self.topic("headers")
        sent = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("empty", b"")]
        producer = self.producer()
        producer.send(topic, b"x", headers=sent).get(program.PATIENCE_SECONDS)
        producer.close()
        expect(list(self.read(topic, 1)[0].headers), sent, "headers")

    def nulls(self):
        topic = self.topic("nulls")
        # The client refuses a record that has neither key nor value.
        sent = [(b"", b""), (b"k", None), (None, b"v")]
        producer = self.producer()
        for key, value in sent:
            producer.send(topic, key=key, value=value, partition=0).get(program.PATIENCE_SECONDS)
        producer.close()
        expect([(r.key, r.value) for r in self.read(topic, len(sent))], sent, "keys and values")

    def timestamps(self):
        topic = self.topic("timestamps")
        producer = self.producer()
        producer.send(topic, b"x", timestamp_ms=self.hour_ago + 123).get(program.PATIENCE_SECONDS)
        producer.close()
        got = self.read(topic, 1)[0]
        expect((got.timestamp, got.timestamp_type), (self.hour_ago + 123, 0), "timestamp")

    def sizes(self):
        topic = self.topic("sizes", max_message_bytes=program.LARGE_LIMIT)
        sent = [program.value_of_size(size) for size in program.SIZES]
        buffer = {} if MODERN else {"buffer_memory": 4 * program.LARGE_LIMIT}
        # With several in flight 2.0 now and then forgets that it has more to write to its socket, until
        # the record is too old; against Kafka as well. Alone, the largest is a connection's first request.
        for each in [sent] if MODERN else [[value] for value in sent]:
            self.send(topic, each, max_request_size=program.LARGE_LIMIT, **buffer)
        got = [r.value for r in self.read(topic, len(sent))]
        expect([len(v) for v in got], list(program.SIZES), "sizes")
        expect(got == sent, True, "same bytes")

    def too_large(self):
        topic = self.topic("too-large", max_message_bytes=1_000_000)
        try:
            self.send(topic, [program.value_of_size(2_000_000)],
                      max_request_size=program.LARGE_LIMIT)
        except MessageSizeTooLargeError:
            return
        raise AssertionError("2 MB were accepted")

    def seek_time(self):
        topic = self.topic("seek-time")
        producer = self.producer()
        for i in range(10):
            producer.send(topic, f"v-{i}".encode(), partition=0,
                          timestamp_ms=self.hour_ago + 1000 * i).get(program.PATIENCE_SECONDS)
        producer.close()
        consumer = self.consumer()
        partition = TopicPartition(topic, 0)
        offset = consumer.offsets_for_times({partition: self.hour_ago + 4500})[partition].offset
        consumer.close()
        expect(offset, 5, "offset of the time")
        expect(self.read(topic, 1, offset)[0].value, b"v-5", "value there")

    def watermarks(self):
        topic = self.topic("watermarks")
        self.send(topic, values(7))
        consumer = self.consumer()
        partition = TopicPartition(topic, 0)
        expect((consumer.beginning_offsets([partition]), consumer.end_offsets([partition])),
               ({partition: 0}, {partition: 7}), "watermarks")
        consumer.close()

    # Groups.

    def group_resume(self):
        topic = self.topic("resume")
        self.send(topic, values(20))
        group = f"{self.prefix}-resume"
        partition = TopicPartition(topic, 0)
        first = self.consumer(group)
        first.subscribe([topic])
        self.take(first, 10)
        first.commit({partition: offset_and_metadata(10)})
        first.close()
        second = self.consumer(group)
        second.subscribe([topic])
        expect([r.value for r in self.take(second, 10)], values(10, 10), "values after the commit")
        second.close()

    def group_rebalance(self):
        topic = self.topic("rebalance", 4)
        group = f"{self.prefix}-rebalance"
        for p in range(4):
            self.send(topic, values(25, 25 * p), p)
        members = [Member(self.consumer(group), topic)]

        def wait(condition, what):
            wait_for(lambda: time.sleep(0.05) or all(m.alive() for m in members) and condition(), what)
        try:
            wait(lambda: len(members[0].seen) >= 10, "the first reads")
            members.append(Member(self.consumer(group), topic))
            wait(lambda: [len(m.assignment) for m in members] == [2, 2], "two partitions each")
            for p in range(4):
                self.send(topic, values(25, 100 + 25 * p), p)
            wait(lambda: len(members[0].seen | members[1].seen) == 200, "all 200 values are read")
            members[1].stop()
            wait(lambda: len(members[0].assignment) == 4, "the rest gets everything")
            members[0].stop()
        finally:
            for member in members:
                member.stop()
        consumer = self.consumer(group)
        expect([consumer.committed(TopicPartition(topic, p)) for p in range(4)], [50] * 4,
               "committed")
        consumer.close()

    # Idempotence and transactions.

    def idempotent_kill(self):
        if not MODERN:
            raise program.CannotDo("2.0.2 has no idempotent producer")
        topic = self.topic("idempotent")
        producer = self.producer(enable_idempotence=True)
        killer = threading.Thread(target=program.kill_broker)
        sent = []
        while len(sent) < 300 or killer.is_alive():
            if len(sent) == 100:
                killer.start()
            sent.append(producer.send(topic, f"v-{len(sent)}".encode()))
            time.sleep(0.005)
        for each in sent:
            each.get(program.PATIENCE_SECONDS)
        producer.close()
        expect([r.value for r in self.read(topic, len(sent))], values(len(sent)), "values")
        consumer = self.consumer()
        partition = TopicPartition(topic, 0)
        expect(consumer.end_offsets([partition]), {partition: len(sent)},
               "records in the partition")
        consumer.close()

    def transactional(self, name):
        if not MODERN:
            raise program.CannotDo("2.0.2 has no transactions")
        producer = self.producer(transactional_id=f"{self.prefix}-{name}")
        producer.init_transactions()
        return producer

    @staticmethod
    def send_all(producer, topic, records):
        for each in [producer.send(topic, value) for value in records]:
            each.get(program.PATIENCE_SECONDS)

    def transaction_commit(self):
        producer = self.transactional("commit")
        topic = self.topic("commit")
        producer.begin_transaction()
        self.send_all(producer, topic, values(10))
        producer.commit_transaction()
        producer.close()
        expect([r.value for r in self.read(topic, 10, isolation_level="read_committed")],
               values(10), "values")

    def transaction_abort(self):
        producer = self.transactional("abort")
        topic = self.topic("abort")
        producer.begin_transaction()
        self.send_all(producer, topic, values(10))
        producer.abort_transaction()
        producer.begin_transaction()
        self.send_all(producer, topic, values(10, 10))
        producer.commit_transaction()
        producer.close()
        expect([r.value for r in self.read(topic, 10, isolation_level="read_committed")],
               values(10, 10), "read_committed")
        expect([r.value for r in self.read(topic, 20)], values(20), "read_uncommitted")

    def transaction_offsets(self):
        producer = self.transactional("offsets")
        topic = self.topic("txn-in")
        partition = TopicPartition(topic, 0)
        group = f"{self.prefix}-txn-offsets"
        self.send(topic, values(10))
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        self.take(consumer, 1)
        for offset, finish in ((5, producer.commit_transaction), (8, producer.abort_transaction)):
            producer.begin_transaction()
            producer.send_offsets_to_transaction({partition: offset_and_metadata(offset)},
                                                 consumer.group_metadata())
            finish()
            # Kafka writes the markers of an end after it was answered.
            wait_for(lambda: consumer.committed(partition) == 5, f"5 after offering {offset}")
        consumer.close()
        producer.close()

    def transaction_transform(self):
        producer = self.transactional("transform")
        source, target = self.topic("transform-in"), self.topic("transform-out")
        partition = TopicPartition(source, 0)
        self.send(source, values(10))
        consumer = self.consumer(f"{self.prefix}-transform", isolation_level="read_committed")
        consumer.assign([partition])
        for finish, offset in ((producer.abort_transaction, 0), (producer.commit_transaction, 0),
                               (producer.commit_transaction, 5)):
            wait_for(lambda wanted=offset: (consumer.committed(partition) or 0) == wanted,
                     f"committed offset {offset}")
            consumer.seek(partition, offset)
            taken = [r.value for r in self.take(consumer, 5)][:5]
            producer.begin_transaction()
            self.send_all(producer, target, taken)
            producer.send_offsets_to_transaction({partition: offset_and_metadata(offset + 5)},
                                                 consumer.group_metadata())
            finish()
        consumer.close()
        producer.close()
        expect([r.value for r in self.read(target, 10, isolation_level="read_committed")],
               values(10), "read_committed")
        expect([r.value for r in self.read(target, 15)], values(5) + values(10),
               "read_uncommitted")

    # Administration.

    def partitions(self, topic):
        found = self.admin.describe_topics([topic])[0]
        return found["partitions"]

    def admin_create(self):
        self.topic("admin-create", 3)
        try:
            self.topic("admin-create", 3)
        except TopicAlreadyExistsError:
            return
        raise AssertionError("created twice")

    def admin_describe(self):
        topic = self.topic("admin-describe", 3)
        found = self.partitions(topic)
        number = "partition_index" if MODERN else "partition"
        leader = "leader_id" if MODERN else "leader"
        expect(sorted((p[number], p[leader]) for p in found), [(0, 1), (1, 1), (2, 1)],
               "partitions and leaders")

    def admin_add_partitions(self):
        topic = self.topic("admin-add", 3)
        self.admin.create_partitions({topic: NewPartitions(5)})
        wait_for(lambda: len(self.partitions(topic)) == 5, "five partitions")

    def admin_delete(self):
        topic = self.topic("admin-delete")
        self.admin.delete_topics([topic])
        wait_for(lambda: topic not in self.admin.list_topics(), "no longer listed")

    def retention(self, topic):
        everything = {"config_filter": "all"} if MODERN else {}
        answer = self.admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)],
                                             **everything)
        if isinstance(answer, list):
            entries = answer[0].resources[0][4]
            return {entry[0]: entry[1] for entry in entries}["retention.ms"]
        configs = answer
        for key in (ConfigResourceType.TOPIC, "topic", topic):
            if isinstance(configs, dict) and key in configs:
                configs = configs[key]
        found = configs["retention.ms"]
        return found["value"] if isinstance(found, dict) else getattr(found, "value", found)

    def admin_configs(self):
        topic = self.topic("admin-configs")
        expect(self.retention(topic), "604800000", "default")
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic,
                                                 {"retention.ms": "3600000"})])
        wait_for(lambda: self.retention(topic) == "3600000", "the new value")

    def admin_delete_records(self):
        if not hasattr(self.admin, "delete_records"):
            raise program.CannotDo("2.0.2 has no delete_records")
        topic = self.topic("admin-records")
        self.send(topic, values(10))
        self.admin.delete_records({TopicPartition(topic, 0): 4})
        expect([r.value for r in self.read(topic, 6, 1)], values(6, 4), "values after the reset")

    def admin_groups(self):
        topic = self.topic("admin-groups")
        group = f"{self.prefix}-admin-groups"
        self.send(topic, values(3))
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        self.take(consumer, 3)
        consumer.commit()
        consumer.close()
        expect(group in str(self.groups()), True, "listed")
        expect("Empty" in str(self.describe(group)), True, "state in the description")
        offsets = str(self.offsets(group))
        expect(topic in offsets and "offset=3" in offsets, True, f"offset 3 in {offsets}")
        delete = getattr(self.admin, "delete_groups", None) or self.admin.delete_consumer_groups
        delete([group])
        expect(group in str(self.groups()), False, "listed afterwards")

    def groups(self):
        found = getattr(self.admin, "list_groups", None) or self.admin.list_consumer_groups
        return found()

    def describe(self, group):
        found = getattr(self.admin, "describe_groups", None) or self.admin.describe_consumer_groups
        return found([group])

    def offsets(self, group):
        if hasattr(self.admin, "list_group_offsets"):
            return self.admin.list_group_offsets([group])
        return self.admin.list_consumer_group_offsets(group)


class Member:
    """A consumer that reads and commits in a thread of its own."""

    def __init__(self, consumer, topic):
        self.consumer = consumer
        self.seen = set()
        self.assignment = set()
        self.ending = threading.Event()
        self.error = None
        consumer.subscribe([topic])
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self._read()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def alive(self):
        """True; what ended the thread is raised here."""
        if self.error:
            raise self.error
        return True

    def _read(self):
        while not self.ending.is_set():
            # 3.0 forgets a JoinGroup whose SyncGroup is unanswered when a poll ends, and is silent from
            # then on: it takes itself for joined. A poll must not end within its first rebalances.
            records = self.consumer.poll(timeout_ms=2000)
            self.seen |= {r.value for batch in records.values() for r in batch}
            self.assignment = set(self.consumer.assignment())
            if records:
                try:
                    self.consumer.commit()
                except kafka.errors.CommitFailedError:
                    # The partitions went to another member meanwhile; it reads them again.
                    pass
        if self.assignment:
            self.consumer.commit()
        self.consumer.close()

    def stop(self):
        self.ending.set()
        self.thread.join(program.PATIENCE_SECONDS)


if __name__ == "__main__":
    program.main(f"kafka-python {kafka.__version__}", Checks)
