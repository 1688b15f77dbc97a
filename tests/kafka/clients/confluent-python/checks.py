"""librdkafka through confluent-kafka. Also runs with Debian's package, librdkafka 2.0.2."""
import pathlib
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import (Consumer, KafkaError, KafkaException, Producer, TopicPartition,
                             OFFSET_BEGINNING)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, values, wait_for  # noqa: E402  pylint: disable=wrong-import-position


def code_of(error):
    return error.args[0].code()


class Checks:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.hour_ago = int(time.time() * 1000) - 3_600_000
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    # What the checks are made of.

    def topic(self, name, partitions=1, **config):
        topic = f"{self.prefix}-{name}"
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1,
                       config={k.replace("_", "."): str(v) for k, v in config.items()})
        self.admin.create_topics([new])[topic].result(program.PATIENCE_SECONDS)
        # A broker may answer before it knows the topic itself.
        wait_for(lambda: self.partitions(topic), "the new topic")
        return topic

    def producer(self, **config):
        return Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5,
                         **{k.replace("_", "."): v for k, v in config.items()}})

    def send(self, producer, topic, records, **more):
        """Sends values and returns the delivered messages; the first error is raised."""
        reports = []
        for value in records:
            while True:
                try:
                    producer.produce(topic, value,
                                     on_delivery=lambda e, m: reports.append((e, m)), **more)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(program.PATIENCE_SECONDS):
            raise AssertionError("records were not delivered in time")
        for error, _ in reports:
            if error:
                raise KafkaException(error)
        return [message for _, message in reports]

    def consumer(self, group=None, **config):
        return Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": group or f"{self.prefix}-unused",
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
            "fetch.message.max.bytes": program.LARGE_LIMIT, "session.timeout.ms": 6000,
            "fetch.wait.max.ms": 50,
            **{k.replace("_", "."): v for k, v in config.items()}})

    def read(self, topic, count, offset=OFFSET_BEGINNING, partition=0, **config):
        consumer = self.consumer(**config)
        try:
            consumer.assign([TopicPartition(topic, partition, offset)])
            return self.take(consumer, count)
        finally:
            consumer.close()

    def take(self, consumer, count):
        taken = []

        def more():
            message = consumer.poll(0.2)
            if message is not None:
                if message.error():
                    raise KafkaException(message.error())
                taken.append(message)
            return len(taken) >= count
        wait_for(more, f"{count} records read ({len(taken)} were)")
        return taken

    # Producing and reading.

    def codec(self, codec):
        topic = self.topic(codec)
        self.send(self.producer(compression_type=codec), topic, values(100))
        expect([m.value() for m in self.read(topic, 100)], values(100), "values")

    def produce_none(self):
        self.codec("none")

    def produce_gzip(self):
        self.codec("gzip")

    def produce_snappy(self):
        self.codec("snappy")

    def produce_lz4(self):
        self.codec("lz4")

    def produce_zstd(self):
        self.codec("zstd")

    def headers(self):
        topic = self.topic("headers")
        sent = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("empty", b""), ("null", None)]
        self.send(self.producer(), topic, [b"x"], headers=sent)
        expect(self.read(topic, 1)[0].headers(), sent, "headers")

    def nulls(self):
        topic = self.topic("nulls")
        sent = [(None, None), (b"", b""), (b"k", None), (None, b"v")]
        producer = self.producer()
        for key, value in sent:
            producer.produce(topic, value=value, key=key, partition=0)
        producer.flush(program.PATIENCE_SECONDS)
        expect([(m.key(), m.value()) for m in self.read(topic, 4)], sent, "keys and values")

    def timestamps(self):
        topic = self.topic("timestamps")
        self.send(self.producer(), topic, [b"x"], timestamp=self.hour_ago + 123)
        expect(self.read(topic, 1)[0].timestamp(),
               (confluent_kafka.TIMESTAMP_CREATE_TIME, self.hour_ago + 123), "timestamp")

    def sizes(self):
        topic = self.topic("sizes", max_message_bytes=program.LARGE_LIMIT)
        producer = self.producer(message_max_bytes=program.LARGE_LIMIT)
        sent = [program.value_of_size(size) for size in program.SIZES]
        self.send(producer, topic, sent)
        got = [m.value() for m in self.read(topic, len(sent))]
        expect([len(v) for v in got], list(program.SIZES), "sizes")
        expect(got == sent, True, "same bytes")

    def too_large(self):
        topic = self.topic("too-large", max_message_bytes=1_000_000)
        try:
            self.send(self.producer(message_max_bytes=program.LARGE_LIMIT), topic,
                      [program.value_of_size(2_000_000)])
        except KafkaException as error:
            expect(code_of(error), KafkaError.MSG_SIZE_TOO_LARGE, "error")
            return
        raise AssertionError("2 MB were accepted")

    def seek_time(self):
        topic = self.topic("seek-time")
        producer = self.producer()
        for i in range(10):
            self.send(producer, topic, [f"v-{i}"], timestamp=self.hour_ago + 1000 * i)
        consumer = self.consumer()
        found = consumer.offsets_for_times([TopicPartition(topic, 0, self.hour_ago + 4500)],
                                           timeout=program.PATIENCE_SECONDS)
        consumer.close()
        expect(found[0].offset, 5, "offset of the time")
        expect(self.read(topic, 1, found[0].offset)[0].value(), b"v-5", "value there")

    def watermarks(self):
        topic = self.topic("watermarks")
        self.send(self.producer(), topic, values(7))
        consumer = self.consumer()
        low_high = consumer.get_watermark_offsets(TopicPartition(topic, 0),
                                                  timeout=program.PATIENCE_SECONDS)
        consumer.close()
        expect(low_high, (0, 7), "watermarks")

    # Groups.

    def group_resume(self):
        topic = self.topic("resume")
        self.send(self.producer(), topic, values(20))
        group = f"{self.prefix}-resume"
        first = self.consumer(group)
        first.subscribe([topic])
        taken = self.take(first, 10)
        first.commit(taken[9], asynchronous=False)
        first.close()
        second = self.consumer(group)
        second.subscribe([topic])
        got = [m.value() for m in self.take(second, 10)]
        second.close()
        expect(got[:10], values(10, 10), "values after the commit")

    def group_rebalance(self):
        topic = self.topic("rebalance", 4)
        group = f"{self.prefix}-rebalance"
        producer = self.producer()
        for partition in range(4):
            self.send(producer, topic, values(25, 25 * partition), partition=partition)
        first, second = self.consumer(group), self.consumer(group)
        seen = set()

        def poll(consumer):
            message = consumer.poll(0.1)
            if message is not None and not message.error():
                seen.add(message.value())
        first.subscribe([topic])
        wait_for(lambda: poll(first) or len(seen) >= 10, "first member reads")
        second.subscribe([topic])

        def both_own():
            poll(first)
            poll(second)
            return len(first.assignment()) == 2 and len(second.assignment()) == 2
        wait_for(both_own, "two partitions each")
        for partition in range(4):
            self.send(producer, topic, values(25, 100 + 25 * partition), partition=partition)
        wait_for(lambda: poll(first) or poll(second) or len(seen) == 200,
                 "all 200 values are read")
        offsets = [TopicPartition(topic, p, 50) for p in range(4)]
        for member in (first, second):
            mine = {p.partition for p in member.assignment()}
            member.commit(offsets=[o for o in offsets if o.partition in mine], asynchronous=False)
        second.close()
        committed = first.committed(offsets, timeout=program.PATIENCE_SECONDS)
        expect([p.offset for p in committed], [50] * 4, "committed")
        wait_for(lambda: poll(first) or len(first.assignment()) == 4, "the rest gets everything")
        first.close()

    # Idempotence and transactions.

    def idempotent_kill(self):
        topic = self.topic("idempotent")
        producer = self.producer(enable_idempotence=True, linger_ms=0,
                                 message_timeout_ms=1000 * program.PATIENCE_SECONDS)
        errors = []
        sent = 0
        killer = threading.Thread(target=program.kill_broker)

        def done(error, _):
            if error:
                errors.append(error)
        while sent < 300 or killer.is_alive():
            if sent == 100:
                killer.start()
            producer.produce(topic, f"v-{sent}", on_delivery=done)
            sent += 1
            producer.poll(0.005)
        expect(producer.flush(program.PATIENCE_SECONDS), 0, "undelivered")
        expect(errors, [], "errors")
        got = [m.value() for m in self.read(topic, sent)]
        expect(got, values(sent), "values")
        consumer = self.consumer()
        high = consumer.get_watermark_offsets(TopicPartition(topic, 0),
                                              timeout=program.PATIENCE_SECONDS)[1]
        consumer.close()
        expect(high, sent, "records in the partition")

    def transactional(self, name):
        producer = self.producer(transactional_id=f"{self.prefix}-{name}")
        producer.init_transactions(program.PATIENCE_SECONDS)
        return producer

    def transaction_commit(self):
        topic = self.topic("commit")
        producer = self.transactional("commit")
        producer.begin_transaction()
        self.send(producer, topic, values(10))
        producer.commit_transaction(program.PATIENCE_SECONDS)
        got = self.read(topic, 10, isolation_level="read_committed")
        expect([m.value() for m in got], values(10), "values")

    def transaction_abort(self):
        topic = self.topic("abort")
        producer = self.transactional("abort")
        producer.begin_transaction()
        self.send(producer, topic, values(10))
        producer.abort_transaction(program.PATIENCE_SECONDS)
        producer.begin_transaction()
        self.send(producer, topic, values(10, 10))
        producer.commit_transaction(program.PATIENCE_SECONDS)
        committed = self.read(topic, 10, isolation_level="read_committed")
        expect([m.value() for m in committed], values(10, 10), "read_committed")
        everything = self.read(topic, 20, isolation_level="read_uncommitted")
        expect([m.value() for m in everything], values(20), "read_uncommitted")

    def transaction_offsets(self):
        topic = self.topic("txn-in")
        group = f"{self.prefix}-txn-offsets"
        self.send(self.producer(), topic, values(10))
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        self.take(consumer, 1)
        producer = self.transactional("offsets")

        def one(offset, finish):
            producer.begin_transaction()
            producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)],
                                                 consumer.consumer_group_metadata(),
                                                 program.PATIENCE_SECONDS)
            finish(program.PATIENCE_SECONDS)
            found = consumer.committed([TopicPartition(topic, 0)],
                                       timeout=program.PATIENCE_SECONDS)
            return found[0].offset
        expect(one(5, producer.commit_transaction), 5, "offset after the commit")
        expect(one(8, producer.abort_transaction), 5, "offset after the abort")
        consumer.close()

    def transaction_transform(self):
        source, target = self.topic("transform-in"), self.topic("transform-out")
        self.send(self.producer(), source, values(10))
        consumer = self.consumer(f"{self.prefix}-transform", isolation_level="read_committed")
        producer = self.transactional("transform")
        for finish in (producer.abort_transaction, producer.commit_transaction,
                       producer.commit_transaction):
            found = consumer.committed([TopicPartition(source, 0)],
                                       timeout=program.PATIENCE_SECONDS)
            offset = max(found[0].offset, 0)
            consumer.assign([TopicPartition(source, 0, offset)])
            taken = [m.value() for m in self.take(consumer, 5)]
            producer.begin_transaction()
            self.send(producer, target, taken)
            producer.send_offsets_to_transaction([TopicPartition(source, 0, offset + 5)],
                                                 consumer.consumer_group_metadata(),
                                                 program.PATIENCE_SECONDS)
            finish(program.PATIENCE_SECONDS)
        consumer.close()
        got = self.read(target, 10, isolation_level="read_committed")
        expect([m.value() for m in got], values(10), "read_committed")
        everything = self.read(target, 15, isolation_level="read_uncommitted")
        expect([m.value() for m in everything], values(5) + values(10), "read_uncommitted")

    def transaction_fencing(self):
        topic = self.topic("fencing")
        old = self.transactional("fencing")
        old.begin_transaction()
        self.send(old, topic, [b"old"])
        new = self.transactional("fencing")
        try:
            self.send(old, topic, [b"late"])
            old.commit_transaction(program.PATIENCE_SECONDS)
        except KafkaException as error:
            # librdkafka's own code for a producer that was fenced, or the broker's.
            expect(code_of(error) in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH,
                                      KafkaError._FATAL, KafkaError._PURGE_QUEUE), True,
                   f"error {error}")
        else:
            raise AssertionError("the fenced producer committed")
        new.begin_transaction()
        self.send(new, topic, [b"new"])
        new.commit_transaction(program.PATIENCE_SECONDS)
        got = self.read(topic, 1, isolation_level="read_committed")
        expect([m.value() for m in got], [b"new"], "read_committed")

    # Administration.

    @staticmethod
    def only(futures):
        """The result of the one future; the library needs the dictionary as it gave it."""
        return next(iter(futures.values())).result(program.PATIENCE_SECONDS)

    def partitions(self, topic):
        metadata = self.admin.list_topics(timeout=program.PATIENCE_SECONDS)
        return metadata.topics[topic].partitions if topic in metadata.topics else None

    def admin_create(self):
        self.topic("admin-create", 3)
        try:
            self.topic("admin-create", 3)
        except KafkaException as error:
            expect(code_of(error), KafkaError.TOPIC_ALREADY_EXISTS, "error")
            return
        raise AssertionError("created twice")

    def admin_describe(self):
        topic = self.topic("admin-describe", 3)
        partitions = self.partitions(topic)
        expect(sorted(partitions), [0, 1, 2], "partitions")
        expect({(p.leader, tuple(p.replicas), tuple(p.isrs)) for p in partitions.values()},
               {(1, (1,), (1,))}, "leader, replicas, in-sync replicas")

    def admin_add_partitions(self):
        topic = self.topic("admin-add", 3)
        self.admin.create_partitions([NewPartitions(topic, 5)])[topic].result(
            program.PATIENCE_SECONDS)
        wait_for(lambda: len(self.partitions(topic)) == 5, "five partitions")

    def admin_delete(self):
        topic = self.topic("admin-delete")
        self.admin.delete_topics([topic])[topic].result(program.PATIENCE_SECONDS)
        wait_for(lambda: self.partitions(topic) is None, "the topic is gone")

    def retention(self, topic):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return self.admin.describe_configs([resource])[resource].result(
            program.PATIENCE_SECONDS)["retention.ms"]

    def admin_configs(self):
        topic = self.topic("admin-configs")
        before = self.retention(topic)
        expect((before.value, before.is_default), ("604800000", True), "default")
        self.only(self.admin.alter_configs([ConfigResource(
            ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "3600000"})]))
        wait_for(lambda: self.retention(topic).value == "3600000", "the new value")
        expect(self.retention(topic).is_default, False, "default afterwards")

    def admin_delete_records(self):
        if not hasattr(self.admin, "delete_records"):
            raise program.CannotDo("this version has no delete_records")
        topic = self.topic("admin-records")
        self.send(self.producer(), topic, values(10))
        done = self.only(self.admin.delete_records([TopicPartition(topic, 0, 4)]))
        expect(done.low_watermark, 4, "low watermark")
        got = self.read(topic, 6, 1)
        expect([m.value() for m in got], values(6, 4), "values after the reset")

    def admin_groups(self):
        if not hasattr(self.admin, "list_consumer_groups"):
            return self.admin_groups_of_old_versions()
        topic = self.topic("admin-groups")
        self.send(self.producer(), topic, values(3))
        group = f"{self.prefix}-admin-groups"
        self.leave_offsets(topic, group)
        listed = self.admin.list_consumer_groups().result(program.PATIENCE_SECONDS)
        expect(group in [g.group_id for g in listed.valid], True, "listed")
        described = self.admin.describe_consumer_groups([group])[group].result(
            program.PATIENCE_SECONDS)
        expect(described.state.name, "EMPTY", "state")
        offsets = self.admin.list_consumer_group_offsets(
            [confluent_kafka.ConsumerGroupTopicPartitions(group)])[group].result(
                program.PATIENCE_SECONDS)
        expect([(p.topic, p.offset) for p in offsets.topic_partitions], [(topic, 3)], "offsets")
        self.admin.delete_consumer_groups([group])[group].result(program.PATIENCE_SECONDS)
        listed = self.admin.list_consumer_groups().result(program.PATIENCE_SECONDS)
        return expect(group in [g.group_id for g in listed.valid], False, "listed afterwards")

    def leave_offsets(self, topic, group):
        consumer = self.consumer(group)
        consumer.subscribe([topic])
        self.take(consumer, 3)
        consumer.commit(asynchronous=False)
        consumer.close()

    def admin_groups_of_old_versions(self):
        topic = self.topic("admin-groups")
        self.send(self.producer(), topic, values(3))
        group = f"{self.prefix}-admin-groups"
        self.leave_offsets(topic, group)
        listed = self.admin.list_groups(timeout=program.PATIENCE_SECONDS)
        expect([g.state for g in listed if g.id == group], ["Empty"], "listed as")


if __name__ == "__main__":
    # A tuple up to 2.5, text since.
    version = confluent_kafka.version()
    program.main(f"confluent-kafka {version if isinstance(version, str) else version[0]}, "
                 f"librdkafka {confluent_kafka.libversion()[0]}", Checks)
