#!/usr/bin/env python3
"""Readers of compacted topics get to the end of what they may read, whatever was removed before it.

usage: compaction_test.py BINARY NET
"""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

from harness import PATIENCE_SECONDS, BrokerCase
from kafka_producers import IdempotentProducer

MEBIBYTE = 1 << 20


class Compaction(BrokerCase):
    def compacted_broker(self):
        broker = self.start("--segment-bytes", "1MiB")
        broker.out("topic", "create", "t", "-p", "1", "--config", "cleanup.policy=compact",
                   "--config", "min.cleanable.dirty.ratio=0")
        broker.out("topic", "create", "filler", "-p", "1")
        return broker

    def producer(self, broker, transactional_id):
        producer = IdempotentProducer(broker.address, transactional_id)
        self.addCleanup(producer.close)
        return producer

    def send(self, producer, records):
        producer.add_partitions("t", [0])
        batch = producer.batch("t", 0, records)
        producer.send("t", 0, batch)
        producer.stored("t", 0, len(records))

    def compact(self, broker, at_least):
        """Segments are left behind until compaction has removed so many bytes more."""
        def removed():
            statistics = json.loads(broker.out("stats", "-o", "json"))
            return statistics["store.compacted_bytes"]
        before = removed()

        def look():
            broker.run("produce", "filler", text="f" * (MEBIBYTE // 2) + "\n")
            return removed() - before >= at_least
        self.wait_for(look)

    def kafka_consumer(self, broker):
        """All that a committed-only Kafka consumer reads until it is told of the end."""
        done = subprocess.run(
            ["kcat", "-C", "-b", broker.address, "-t", "t", "-o", "beginning", "-e", "-q", "-f",
             "%o %s\\n", "-X", "isolation.level=read_committed"],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def native_consumer(self, broker):
        return broker.out("consume", "t", "-e", "-f", "%o %v\\n")

    def test_the_end_behind_an_emptied_range_while_a_transaction_is_open(self):
        broker = self.compacted_broker()
        aborted, opened = self.producer(broker, "aborted"), self.producer(broker, "open")
        self.send(aborted, [(b"a%d" % i, b"x" * 1000) for i in range(10)])  # 0 to 9
        self.send(opened, [(b"b", b"1")])  # 10: nobody may read from here on
        aborted.end(False)
        self.compact(broker, at_least=9000)
        self.assertEqual(self.native_consumer(broker), "")
        if shutil.which("kcat"):
            self.assertEqual(self.kafka_consumer(broker), "")
        opened.end(True)
        self.assertEqual(self.native_consumer(broker), "10 1\n")
        if shutil.which("kcat"):
            self.assertEqual(self.kafka_consumer(broker), "10 1\n")

    def test_records_behind_an_emptied_range_while_a_transaction_is_open(self):
        broker = self.compacted_broker()
        aborted, opened = self.producer(broker, "aborted"), self.producer(broker, "open")
        self.send(aborted, [(b"a%d" % i, b"x" * 1000) for i in range(10)])  # 0 to 9
        aborted.end(False)  # 10
        broker.run("produce", "t", "-K", ":", text="k:old\n")  # 11
        broker.run("produce", "t", "-K", ":", text="k:new\n")  # 12
        self.send(opened, [(b"b", b"1")])  # 13
        self.compact(broker, at_least=9000)
        self.assertEqual(self.native_consumer(broker), "12 new\n")
        if shutil.which("kcat"):
            self.assertEqual(self.kafka_consumer(broker), "12 new\n")
        opened.end(False)

    def test_the_end_of_a_log_whose_last_records_were_erased(self):
        broker = self.compacted_broker()
        broker.run("produce", "t", "-K", ":", text="k:stays\n")
        broker.run("produce", "t", "-K", ":", text="ann:goes\n")
        broker.run("erase", "t", "--key", "ann", "--wait")
        self.assertEqual(self.native_consumer(broker), "0 stays\n")
        if shutil.which("kcat"):
            self.assertEqual(self.kafka_consumer(broker), "0 stays\n")


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
