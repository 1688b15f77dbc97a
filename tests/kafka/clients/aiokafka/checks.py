"""aiokafka."""
import asyncio
import pathlib
import sys
import threading
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (KafkaError, MessageSizeTooLargeError, ProducerFenced,
                             TopicAlreadyExistsError, for_code)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, values  # noqa: E402  pylint: disable=wrong-import-position


class AsyncChecks:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.hour_ago = int(time.time() * 1000) - 3_600_000

    async def with_admin(self, work):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            return await work(admin)
        finally:
            await admin.close()

    async def topic(self, name, partitions=1, **config):
        topic = f"{self.prefix}-{name}"
        settings = {k.replace("_", "."): str(v) for k, v in config.items()}
        answer = await self.with_admin(lambda admin: admin.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=settings)]))
        for each in getattr(answer, "topic_errors", []):
            if each[1]:
                raise for_code(each[1])(each[-1])
        return topic

    def producer(self, **config):
        return AIOKafkaProducer(bootstrap_servers=self.bootstrap, **config)

    async def send(self, topic, records, partition=0, **config):
        async with self.producer(**config) as producer:
            await self.send_all(producer, topic, records, partition)

    @staticmethod
    async def send_all(producer, topic, records, partition=0):
        for each in [await producer.send(topic, value, partition=partition) for value in records]:
            await asyncio.wait_for(each, program.PATIENCE_SECONDS)

    def consumer(self, *topics, group=None, **config):
        return AIOKafkaConsumer(*topics, **{
            "bootstrap_servers": self.bootstrap, "group_id": group,
            "auto_offset_reset": "earliest", "enable_auto_commit": False,
            "max_partition_fetch_bytes": program.LARGE_LIMIT, "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 500, "fetch_max_wait_ms": 50, **config})

    @staticmethod
    async def take(consumer, count):
        taken = []
        deadline = time.monotonic() + program.PATIENCE_SECONDS
        while len(taken) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(taken)} of {count} records read")
            for records in (await consumer.getmany(timeout_ms=200)).values():
                taken += records
        return taken

    async def read(self, topic, count, offset=0, **config):
        async with self.consumer(**config) as consumer:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            consumer.seek(partition, offset)
            return await self.take(consumer, count)

    @staticmethod
    async def until(condition, what):
        deadline = time.monotonic() + program.PATIENCE_SECONDS
        while not await condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"still not: {what}")
            await asyncio.sleep(0.05)

    # Producing and reading.

    async def codec(self, codec):
        topic = await self.topic(codec or "none")
        await self.send(topic, values(100), compression_type=codec)
        expect([r.value for r in await self.read(topic, 100)], values(100), "values")

    async def produce_none(self):
        await self.codec(None)

    async def produce_gzip(self):
        await self.codec("gzip")

    async def produce_snappy(self):
        await self.codec("snappy")

    async def produce_lz4(self):
        await self.codec("lz4")

    async def produce_zstd(self):
        await self.codec("zstd")

    async def headers(self):
        topic = await self.topic("headers")
        sent = [("a", b"1"), ("b", b"\x00\xff"), ("a", b"2"), ("empty", b"")]
        async with self.producer() as producer:
            await producer.send_and_wait(topic, b"x", headers=sent)
        expect(list((await self.read(topic, 1))[0].headers), sent, "headers")

    async def nulls(self):
        topic = await self.topic("nulls")
        # The client refuses a record that has neither key nor value.
        sent = [(b"", b""), (b"k", None), (None, b"v")]
        async with self.producer() as producer:
            for key, value in sent:
                await producer.send_and_wait(topic, key=key, value=value, partition=0)
        expect([(r.key, r.value) for r in await self.read(topic, len(sent))], sent,
               "keys and values")

    async def timestamps(self):
        topic = await self.topic("timestamps")
        async with self.producer() as producer:
            await producer.send_and_wait(topic, b"x", timestamp_ms=self.hour_ago + 123)
        got = (await self.read(topic, 1))[0]
        expect((got.timestamp, got.timestamp_type), (self.hour_ago + 123, 0), "timestamp")

    async def sizes(self):
        topic = await self.topic("sizes", max_message_bytes=program.LARGE_LIMIT)
        sent = [program.value_of_size(size) for size in program.SIZES]
        async with self.producer(max_request_size=program.LARGE_LIMIT) as producer:
            for value in sent:
                await producer.send_and_wait(topic, value)
        got = [r.value for r in await self.read(topic, len(sent))]
        expect([len(v) for v in got], list(program.SIZES), "sizes")
        expect(got == sent, True, "same bytes")

    async def too_large(self):
        topic = await self.topic("too-large", max_message_bytes=1_000_000)
        try:
            await self.send(topic, [program.value_of_size(2_000_000)],
                            max_request_size=program.LARGE_LIMIT)
        except MessageSizeTooLargeError:
            return
        raise AssertionError("2 MB were accepted")

    async def seek_time(self):
        topic = await self.topic("seek-time")
        async with self.producer() as producer:
            for i in range(10):
                await producer.send_and_wait(topic, f"v-{i}".encode(),
                                             timestamp_ms=self.hour_ago + 1000 * i)
        partition = TopicPartition(topic, 0)
        async with self.consumer() as consumer:
            found = await consumer.offsets_for_times({partition: self.hour_ago + 4500})
        expect(found[partition].offset, 5, "offset of the time")
        expect((await self.read(topic, 1, 5))[0].value, b"v-5", "value there")

    async def watermarks(self):
        topic = await self.topic("watermarks")
        await self.send(topic, values(7))
        partition = TopicPartition(topic, 0)
        async with self.consumer() as consumer:
            expect((await consumer.beginning_offsets([partition]),
                    await consumer.end_offsets([partition])), ({partition: 0}, {partition: 7}),
                   "watermarks")

    # Groups.

    async def group_resume(self):
        topic = await self.topic("resume")
        await self.send(topic, values(20))
        group = f"{self.prefix}-resume"
        async with self.consumer(topic, group=group) as first:
            await self.take(first, 10)
            await first.commit({TopicPartition(topic, 0): 10})
        async with self.consumer(topic, group=group) as second:
            expect([r.value for r in await self.take(second, 10)], values(10, 10),
                   "values after the commit")

    async def group_rebalance(self):
        topic = await self.topic("rebalance", 4)
        group = f"{self.prefix}-rebalance"
        for p in range(4):
            await self.send(topic, values(25, 25 * p), p)
        seen = set()

        async def poll(consumer):
            for records in (await consumer.getmany(timeout_ms=50)).values():
                seen.update(r.value for r in records)
        async with self.consumer(topic, group=group) as first:
            async def begun():
                await poll(first)
                return len(seen) >= 10
            await self.until(begun, "first member reads")
            async with self.consumer(topic, group=group) as second:
                async def both_own():
                    await poll(first)
                    await poll(second)
                    return len(first.assignment()) == 2 and len(second.assignment()) == 2
                await self.until(both_own, "two partitions each")
                for p in range(4):
                    await self.send(topic, values(25, 100 + 25 * p), p)

                async def all_read():
                    await poll(first)
                    await poll(second)
                    return len(seen) == 200
                await self.until(all_read, "all 200 values are read")
                for member in (first, second):
                    await member.commit({p: 50 for p in member.assignment()})

            async def owns_all():
                await poll(first)
                return len(first.assignment()) == 4
            await self.until(owns_all, "the rest gets everything")
            expect([await first.committed(TopicPartition(topic, p)) for p in range(4)], [50] * 4,
                   "committed")

    # Idempotence and transactions.

    async def idempotent_kill(self):
        topic = await self.topic("idempotent")
        sent = []
        killer = threading.Thread(target=program.kill_broker)
        async with self.producer(enable_idempotence=True,
                                 request_timeout_ms=1000 * program.PATIENCE_SECONDS) as producer:
            while len(sent) < 300 or killer.is_alive():
                if len(sent) == 100:
                    killer.start()
                sent.append(await producer.send(topic, f"v-{len(sent)}".encode()))
                await asyncio.sleep(0.005)
            for each in sent:
                await asyncio.wait_for(each, program.PATIENCE_SECONDS)
        expect([r.value for r in await self.read(topic, len(sent))], values(len(sent)), "values")
        partition = TopicPartition(topic, 0)
        async with self.consumer() as consumer:
            expect(await consumer.end_offsets([partition]), {partition: len(sent)},
                   "records in the partition")

    def transactional(self, name):
        return self.producer(transactional_id=f"{self.prefix}-{name}")

    async def transaction_commit(self):
        topic = await self.topic("commit")
        async with self.transactional("commit") as producer:
            async with producer.transaction():
                await self.send_all(producer, topic, values(10))
        got = await self.read(topic, 10, isolation_level="read_committed")
        expect([r.value for r in got], values(10), "values")

    async def transaction_abort(self):
        topic = await self.topic("abort")
        async with self.transactional("abort") as producer:
            await producer.begin_transaction()
            await self.send_all(producer, topic, values(10))
            await producer.abort_transaction()
            async with producer.transaction():
                await self.send_all(producer, topic, values(10, 10))
        got = await self.read(topic, 10, isolation_level="read_committed")
        expect([r.value for r in got], values(10, 10), "read_committed")
        expect([r.value for r in await self.read(topic, 20)], values(20), "read_uncommitted")

    async def transaction_offsets(self):
        topic = await self.topic("txn-in")
        partition = TopicPartition(topic, 0)
        group = f"{self.prefix}-txn-offsets"
        await self.send(topic, values(10))
        async with self.transactional("offsets") as producer:
            for offset, commit in ((5, True), (8, False)):
                await producer.begin_transaction()
                await producer.send_offsets_to_transaction({partition: offset}, group)
                await (producer.commit_transaction() if commit else producer.abort_transaction())
                async with self.consumer(group=group) as consumer:
                    expect(await consumer.committed(partition), 5, f"after offering {offset}")

    async def transaction_transform(self):
        source, target = await self.topic("transform-in"), await self.topic("transform-out")
        partition = TopicPartition(source, 0)
        group = f"{self.prefix}-transform"
        await self.send(source, values(10))
        async with self.transactional("transform") as producer:
            for commit, offset in ((False, 0), (True, 0), (True, 5)):
                async with self.consumer(group=group, isolation_level="read_committed") as consumer:
                    consumer.assign([partition])

                    async def is_there(reader=consumer, wanted=offset):
                        return (await reader.committed(partition) or 0) == wanted
                    await self.until(is_there, f"committed offset {offset}")
                    consumer.seek(partition, offset)
                    taken = [r.value for r in await self.take(consumer, 5)][:5]
                await producer.begin_transaction()
                await self.send_all(producer, target, taken)
                await producer.send_offsets_to_transaction({partition: offset + 5}, group)
                await (producer.commit_transaction() if commit else producer.abort_transaction())
        got = await self.read(target, 10, isolation_level="read_committed")
        expect([r.value for r in got], values(10), "read_committed")
        expect([r.value for r in await self.read(target, 15)], values(5) + values(10),
               "read_uncommitted")

    async def transaction_fencing(self):
        topic = await self.topic("fencing")
        old = self.transactional("fencing")
        await old.start()
        try:
            await old.begin_transaction()
            await self.send_all(old, topic, [b"old"])
            async with self.transactional("fencing") as new:
                try:
                    await self.send_all(old, topic, [b"late"])
                    await old.commit_transaction()
                    raise AssertionError("the fenced producer committed")
                except (ProducerFenced, KafkaError):
                    pass
                async with new.transaction():
                    await self.send_all(new, topic, [b"new"])
        finally:
            try:
                await old.stop()
            except KafkaError:
                # It is fenced and cannot end in order.
                pass
        got = await self.read(topic, 1, isolation_level="read_committed")
        expect([r.value for r in got], [b"new"], "read_committed")

    # Administration.

    async def describe(self, topic):
        found = await self.with_admin(lambda admin: admin.describe_topics([topic]))
        return found[0]["partitions"]

    async def admin_create(self):
        await self.topic("admin-create", 3)
        try:
            await self.topic("admin-create", 3)
        except TopicAlreadyExistsError:
            return
        raise AssertionError("created twice")

    async def admin_describe(self):
        found = await self.describe(await self.topic("admin-describe", 3))
        expect(sorted((p["partition"], p["leader"]) for p in found), [(0, 1), (1, 1), (2, 1)],
               "partitions and leaders")

    async def admin_add_partitions(self):
        topic = await self.topic("admin-add", 3)
        await self.with_admin(lambda admin: admin.create_partitions({topic: NewPartitions(5)}))
        # A broker may answer before it shows what it was asked for.
        deadline = time.monotonic() + program.PATIENCE_SECONDS
        while len(await self.describe(topic)) != 5 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        expect(len(await self.describe(topic)), 5, "partitions")

    async def admin_delete(self):
        topic = await self.topic("admin-delete")
        await self.with_admin(lambda admin: admin.delete_topics([topic]))
        names = await self.with_admin(lambda admin: admin.list_topics())
        expect(topic in names, False, "listed afterwards")

    async def retention(self, topic):
        answer = await self.with_admin(lambda admin: admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic)]))
        return {entry[0]: entry[1] for entry in answer[0].resources[0][4]}["retention.ms"]

    async def admin_configs(self):
        topic = await self.topic("admin-configs")
        expect(await self.retention(topic), "604800000", "default")
        await self.with_admin(lambda admin: admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "3600000"})]))

        async def changed():
            return await self.retention(topic) == "3600000"
        await self.until(changed, "the new value")

    async def admin_delete_records(self):
        topic = await self.topic("admin-records")
        await self.send(topic, values(10))
        await self.with_admin(lambda admin: admin.delete_records(
            {TopicPartition(topic, 0): RecordsToDelete(before_offset=4)}))
        got = await self.read(topic, 6, 1)
        expect([r.value for r in got], values(6, 4), "values after the reset")

    async def admin_groups(self):
        topic = await self.topic("admin-groups")
        group = f"{self.prefix}-admin-groups"
        await self.send(topic, values(3))
        async with self.consumer(topic, group=group) as consumer:
            await self.take(consumer, 3)
            await consumer.commit()

        async def look(admin):
            return (await admin.list_consumer_groups(),
                    await admin.describe_consumer_groups([group]),
                    await admin.list_consumer_group_offsets(group))
        listed, described, offsets = await self.with_admin(look)
        expect(group in str(listed), True, "listed")
        expect("Empty" in str(described), True, "state in the description")
        expect(offsets[TopicPartition(topic, 0)].offset, 3, "offset")


class Checks:
    """The checks as plain functions."""

    def __init__(self, bootstrap, prefix):
        self.checks = AsyncChecks(bootstrap, prefix)

    def __getattr__(self, name):
        check = getattr(self.checks, name)

        async def limited():
            await asyncio.wait_for(check(), 2 * program.PATIENCE_SECONDS)
        return lambda: asyncio.run(limited())


if __name__ == "__main__":
    program.main(f"aiokafka {aiokafka.__version__}", Checks)
