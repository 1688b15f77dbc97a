#!/usr/bin/env python3
"""Erasure with the real binary: the bytes are looked for in every file of the data directory.

usage: erase_test.py BINARY NET
"""
import json
import pathlib
import random
import signal
import sys
import time
import unittest

from harness import BrokerCase, segment_files

USAGE, NOT_FOUND = 2, 5
# Stand in no other record.
KEY, SECRET = "key-of-ann-7f3a9c", "secret-of-ann-51d0e8"


def files_with(directory, text):
    return [str(p) for p in segment_files(directory) if text.encode() in p.read_bytes()]


class Erase(BrokerCase):
    def produce(self, broker, topic, partition, count, start=0):
        """Every tenth record is Ann's."""
        rows = [{"k": KEY, "v": f"{SECRET}-{i}"} if i % 10 == 3 else {"k": f"key-{i}", "v": str(i)}
                for i in range(start, start + count)]
        broker.run("produce", topic, "-p", str(partition), "--in", "jsonl", "--key", ".k",
                   text="".join(json.dumps(row) + "\n" for row in rows))

    def records(self, broker, topic):
        lines = broker.out("consume", topic, "-e", "-o", "jsonl").splitlines()
        found = [json.loads(line) for line in lines]
        return sorted((r["partition"], r["offset"], r["key"]) for r in found)

    def receipt(self, broker, name):
        return json.loads(broker.out("erase", "--receipt", name, "-o", "json"))

    def test_no_file_holds_the_key_and_its_neighbours_are_where_they_were(self):
        broker = self.start()
        broker.out("topic", "create", "t", "-p", "2")
        broker.out("topic", "create", "other", "-p", "1")
        for partition in range(2):
            self.produce(broker, "t", partition, 1000)
        broker.run("produce", "other", text="of another topic\n")
        before = self.records(broker, "t")
        self.assertTrue(files_with(broker.directory, SECRET))
        self.assertTrue(files_with(broker.directory, KEY))
        plan = broker.out("erase", "t", "--key", KEY, "--dry-run")
        self.assertIn("100", plan)
        self.assertIn("nothing was erased", plan)
        self.assertEqual(self.records(broker, "t"), before)
        reader = self.begin(broker, "consume", "t", "-f", "%k\\n")
        done = broker.run("erase", "t", "--key", KEY, "--id", "ann", "--wait", "-o", "json")
        receipt = json.loads(done.stdout)
        self.assertEqual(files_with(broker.directory, SECRET), [])
        self.assertEqual(files_with(broker.directory, KEY), [])
        self.assertEqual(receipt["records"], 200)
        self.assertEqual([p["records"] for p in receipt["partitions"]], [100, 100])
        self.assertEqual(receipt["ranges"][0], {"partition": 0, "first": 3, "last": 3})
        self.assertEqual(len(receipt["ranges"]), 200)
        self.assertLessEqual(receipt["requested"], receipt["removed"])
        self.assertLessEqual(receipt["removed"], receipt["gone"])
        left = [r for r in before if r[2] != KEY]
        self.assertEqual(self.records(broker, "t"), left)
        self.assertEqual(broker.out("consume", "other", "-e"), "of another topic\n")
        # Who read meanwhile goes on.
        self.produce(broker, "t", 0, 1, start=5000)
        self.assertTrue(any(line == "key-5000\n" for line in reader.stdout))
        reader.kill()
        reader.wait()
        self.assertIn("ann", broker.out("erase", "--list"))
        again = broker.run("erase", "t", "--key", KEY, "--id", "ann", "--wait", "-o", "json")
        self.assertEqual(json.loads(again.stdout), receipt)
        self.assertEqual(broker.stop(), 0)
        self.assertEqual(broker.run("check", broker.directory).returncode, 0)
        restarted = self.start(directory=broker.directory)
        self.assertEqual(self.receipt(restarted, "ann"), receipt)
        self.assertEqual([r for r in self.records(restarted, "t") if r[2] != "key-5000"], left)
        self.assertEqual(files_with(broker.directory, SECRET), [])

    def test_killed_at_any_moment_it_is_finished_after_the_next_start(self):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        dice = random.Random(seed)
        broker = self.start()
        broker.out("topic", "create", "t", "-p", "2")
        for partition in range(2):
            self.produce(broker, "t", partition, 5000)
        left = [r for r in self.records(broker, "t") if r[2] != KEY]
        broker.run("erase", "t", "--key", KEY, "--id", "ann")
        for _ in range(4):
            time.sleep(dice.random() / 2)  # any moment
            broker.stop(signal.SIGKILL)
            broker = self.start(directory=broker.directory)
            found = self.records(broker, "t")
            self.assertEqual([r for r in found if r[2] != KEY], left)
        broker.run("erase", "--receipt", "ann", "--wait")
        self.assertEqual(self.records(broker, "t"), left)
        self.assertEqual(self.receipt(broker, "ann")["records"], 1000)
        self.assertEqual(files_with(broker.directory, SECRET), [])

    def test_bad_input_is_refused(self):
        broker = self.start()
        broker.out("topic", "create", "t", "-p", "1")
        for arguments, code, text in [
                ((), USAGE, "give either"),
                (("t",), USAGE, "--key"),
                (("none", "--key", "k"), NOT_FOUND, "none"),
                (("t", "--key", "k", "--list"), USAGE, "give either"),
                (("--receipt", "nope"), NOT_FOUND, "nope")]:
            self.assertIn(text, broker.run("erase", *arguments, expect=code).stderr)
        self.assertEqual(json.loads(broker.out("erase", "--list", "-o", "json")), [])


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
