#!/usr/bin/env python3
"""Replays with the real binary, killed and started again.

usage: replay_test.py BINARY NET
"""
import json
import pathlib
import random
import signal
import sys
import time
import unittest

from harness import PATIENCE_SECONDS, BrokerCase

FAILED, USAGE, NOT_FOUND, REFUSED, INTERRUPTED = 1, 2, 5, 9, 130


class Replay(BrokerCase):
    def records(self, broker, topic):
        lines = broker.out("consume", topic, "-e", "-o", "jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def donations(self, broker, partitions=2, count=400):
        broker.out("topic", "create", "a", "-p", str(partitions))
        for partition in range(partitions):
            broker.run("produce", "a", "-p", str(partition), "--in", "jsonl", "--key", ".id",
                       text="".join(json.dumps({"id": f"{partition}-{i}", "amount": i / 100}) + "\n"
                                    for i in range(count)))

    def test_killed_at_any_moment_each_record_comes_once_and_in_order(self):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        dice = random.Random(seed)
        broker = self.start()
        self.donations(broker)
        broker.out("topic", "create", "b", "-p", "2")
        same = ("a", "--into", "b", "--name", "n", "--rate", "500/s")
        for _ in range(4):
            process = self.begin(broker, "replay", *same)
            self.assertIn("replay n", process.stderr.readline())
            time.sleep(dice.random() / 3)  # any moment
            process.kill()
            process.wait()
        done = broker.run("replay", *same[:-2], "--rate", "100k/s")
        self.assertIn("replay n goes on", done.stderr)
        source, copies = self.records(broker, "a"), self.records(broker, "b")
        for partition in range(2):
            wanted = [(r["key"], r["value"], r["timestamp"]) for r in source
                      if r["partition"] == partition]
            found = [r for r in copies if r["partition"] == partition]
            self.assertEqual([(r["key"], r["value"], r["timestamp"]) for r in found], wanted)
            for number, record in enumerate(found):
                self.assertEqual(record["headers"], [
                    {"key": "runnel.replay", "value": "n"},
                    {"key": "runnel.replay.origin", "value": f"a/{partition}/{number}"}])
        again = broker.run("replay", *same)
        self.assertIn("replayed 0 records", again.stderr)
        other = broker.run("replay", "a", "--into", "b", "--name", "n", "--from", "3", expect=USAGE)
        self.assertIn("begun with another topic, range", other.stderr)

    def test_a_second_run_ends_the_first(self):
        broker = self.start()
        self.donations(broker)
        broker.out("topic", "create", "b", "-p", "2")
        same = ("a", "--into", "b", "--name", "n", "--rate")
        first = self.begin(broker, "replay", *same, "20/s")
        self.assertIn("begins", first.stderr.readline())
        self.wait_for(lambda: self.records(broker, "b"))
        broker.run("replay", *same, "100k/s")
        self.assertEqual(first.wait(PATIENCE_SECONDS), REFUSED)
        self.assertIn("another run of replay n", first.stderr.read())
        self.assertEqual(len(self.records(broker, "b")), 800)

    def test_takeovers_at_full_speed_lose_and_repeat_nothing(self):
        broker = self.start()
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="".join(f"{i}\n" for i in range(150_000)))
        for take in range(4):
            broker.out("topic", "create", f"b{take}", "-p", "1")
            same = ("a", "--into", f"b{take}", "--name", f"n{take}")
            runs = [self.begin(broker, "replay", *same) for _ in range(3)]
            codes = [run.wait(PATIENCE_SECONDS) for run in runs]
            self.assertLessEqual(set(codes), {0, REFUSED})
            broker.run("replay", *same)
            values = broker.out("consume", f"b{take}", "-e").split()
            self.assertEqual(values, [str(i) for i in range(150_000)])

    def test_records_of_more_than_a_batch_may_hold(self):
        broker = self.start()
        broker.out("topic", "create", "a", "-p", "1")
        for topic, more in (("b", ()), ("c", ("-c", "max.message.bytes=2000"))):
            broker.out("topic", "create", topic, "-p", "1", *more)
        broker.run("produce", "a", text="".join(f"{i:0500}\n" for i in range(6000)))
        for topic in "bc":
            broker.run("replay", "a", "--into", topic)
            self.assertEqual(len(broker.out("consume", topic, "-e").split()), 6000)

    def test_ranges_conditions_and_standard_output(self):
        broker = self.start()
        self.donations(broker, 1)
        self.assertEqual(broker.out("replay", "a", "--from", "3:5", "-f", "%k\\n"), "0-3\n0-4\n")
        self.assertEqual(broker.out("replay", "a", "--where", ".amount>=3.97", "--where",
                                    "key!=0-398", "-f", "%k\\n"), "0-397\n0-399\n")
        plan = broker.run("replay", "a", "--from=-10", "--dry-run")
        self.assertIn("10", plan.stdout)
        self.assertIn("Dry run", plan.stdout)
        self.assertEqual(json.loads(broker.out("group", "list", "-o", "json")), [])

    def test_a_command_for_each_record_goes_on_where_it_failed(self):
        broker = self.start()
        self.donations(broker, 1, 5)
        seen = pathlib.Path(self.directory(), "seen")
        command = f"exec:cat >> {seen}; [ ! -e {seen}.stop ] || exit 3"
        pathlib.Path(f"{seen}.stop").touch()
        failed = broker.run("replay", "a", "--into", command, "--name", "n", expect=FAILED)
        self.assertIn("ended with exit code 3 at a[0] offset 0", failed.stderr)
        pathlib.Path(f"{seen}.stop").unlink()
        broker.run("replay", "a", "--into", command, "--name", "n")
        offsets = [json.loads(line)["offset"] for line in seen.read_text().splitlines()]
        self.assertEqual(offsets, [0, 0, 1, 2, 3, 4])

    def test_a_group_is_moved_only_when_asked(self):
        broker = self.start()
        self.donations(broker, 1, 10)
        broker.out("consume", "a", "-g", "g", "-e")
        shown = broker.run("replay", "a", "--from", "4", "--into", "group:g")
        self.assertIn("Dry run", shown.stdout)
        broker.run("replay", "a", "--from", "4", "--into", "group:g", "--execute")
        self.assertEqual(len(broker.out("consume", "a", "-g", "g", "-e").splitlines()), 6)

    def test_bad_input_is_refused_before_anything_is_done(self):
        broker = self.start()
        self.donations(broker, 2, 2)
        broker.out("topic", "create", "small", "-p", "1")
        for arguments, code, text in [
                (("nope",), NOT_FOUND, "nope"),
                (("a", "--into", "a"), USAGE, "into itself"),
                (("a", "--into", "none"), NOT_FOUND, "none"),
                (("a", "--into", "small"), USAGE, "only 1"),
                (("a", "--rate", "5"), USAGE, "is no rate"),
                (("a", "--where", "x"), USAGE, "no condition"),
                (("a", "--from", "9:3"), USAGE, "ends before it begins"),
                (("a", "--into", "small", "-o", "json"), USAGE, "--into stdout"),
                (("a", "--into", "group:g", "--where", "key=1"), USAGE, "--where")]:
            done = broker.run("replay", *arguments, expect=code)
            self.assertIn(text, done.stderr)
        self.assertEqual(self.records(broker, "small"), [])
        process = self.begin(broker, "replay", "a", "--rate", "1/s", "--name", "slow")
        self.assertTrue(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE_SECONDS), INTERRUPTED)
        self.assertIn("to go on: the same command with --name slow", process.stderr.read())


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
