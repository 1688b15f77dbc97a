#!/usr/bin/env python3
"""Backups of a running broker, restored and served.

usage: backup_test.py BINARY NET
"""
import json
import pathlib
import random
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import BrokerCase, clean_environment
from kafka_producers import IdempotentProducer

FAILED, USAGE, NOT_FOUND, DAMAGED, LOCKED, TRY_AGAIN = 1, 2, 5, 6, 7, 10


def time_text(millis):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis / 1000)) + f".{millis % 1000:03}Z"


class Backup(BrokerCase):
    def runnel(self, *arguments, expect=0):
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True,
                              check=False, timeout=60, env=clean_environment())
        if expect is not None:
            self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def records(self, broker, topic):
        return [json.loads(line) for line in
                broker.out("consume", topic, "-e", "-o", "jsonl").splitlines()]

    def listed(self, backups):
        return json.loads(self.runnel("backup", "list", backups, "-o", "json").stdout)

    def snapshots(self, directory):
        path = pathlib.Path(directory, "snapshots")
        return list(path.iterdir()) if path.exists() else []

    def restored(self, backups, *arguments):
        """A broker on what is restored."""
        into = self.directory() + "/data"
        self.runnel("backup", "restore", backups, "--into", into, *arguments)
        self.assertIn("all is well", self.runnel("check", into).stdout)
        return self.start(directory=into)

    def test_what_was_there_is_there_again(self):
        broker = self.start("--segment-bytes", "1MiB")
        backups = self.directory() + "/backups"
        broker.out("topic", "create", "a", "-p", "3", "-c", "retention.ms=86400000")
        stop = threading.Event()
        written = []

        def produce():
            while not stop.is_set():
                lines = "".join(f"{len(written)}-{i} {'x' * 100}\n" for i in range(3000))
                broker.run("produce", "a", text=lines)
                written.append(3000)

        producer = threading.Thread(target=produce)
        producer.start()
        known = []
        try:
            self.wait_for(lambda: len(written) >= 3)
            broker.out("consume", "a", "-g", "g", "-n", "100")
            for more in (3, 6, 9):
                self.wait_for(lambda more=more: len(written) >= more)
                known.append(sum(written))
                self.assertIn("were copied", broker.out("backup", "create", backups))
        finally:
            stop.set()
            producer.join()
        self.assertIn("3 backups, all is well", self.runnel("backup", "verify", backups).stdout)
        listed = self.listed(backups)
        self.assertLess(listed[2]["added"], listed[2]["bytes"] * 0.7)
        everything = {(r["partition"], r["offset"]): r for r in self.records(broker, "a")}
        offsets = json.loads(broker.out("group", "describe", "g", "-o", "json"))
        self.assertEqual(self.snapshots(broker.directory), [])
        for one, least in zip(listed, known):
            again = self.restored(backups, "--id", one["id"])
            found = self.records(again, "a")
            self.assertGreaterEqual(len(found), least)
            for partition in range(3):  # a beginning of each partition, whole
                mine = [r["offset"] for r in found if r["partition"] == partition]
                self.assertEqual(mine, list(range(len(mine))))
            for record in found:
                self.assertEqual(record, everything[record["partition"], record["offset"]])
            self.assertIn("retention.ms = 86400000", again.out("topic", "describe", "a"))
            there = json.loads(again.out("group", "describe", "g", "-o", "json"))
            self.assertEqual([p["committed"] for p in there["partitions"]],
                             [p["committed"] for p in offsets["partitions"]])
            again.run("produce", "a", text="goes on\n")
            again.stop()

    def test_repeats_are_known_after_a_restore(self):
        broker = self.start()
        backups, exported = self.directory() + "/backups", self.directory() + "/exported"
        broker.out("topic", "create", "a", "-p", "1")
        broker.out("topic", "create", "b", "-p", "1")
        producer = IdempotentProducer(broker.address)
        self.addCleanup(producer.close)
        batch = producer.batch("a", 0, [(b"k", b"once"), (b"k", b"twice")])
        self.assertEqual(producer.send("a", 0, batch), 0)
        broker.out("export", "a", "--format", "jsonl", "-e", "--out", exported)
        broker.out("import", "b", exported)
        broker.out("backup", "create", backups)
        again = self.restored(backups)
        producer.move_to(again.address)
        self.assertEqual(producer.send("a", 0, batch), 0)
        self.assertEqual([r["value"] for r in self.records(again, "a")], ["once", "twice"])
        again.out("import", "b", exported)
        self.assertEqual([r["value"] for r in self.records(again, "b")], ["once", "twice"])
        producer.stored("a", 0, 2)
        more = producer.batch("a", 0, [(b"k", b"new")])
        self.assertEqual(producer.send("a", 0, more), 2)

    def test_compacted_topics_and_data_segments(self):
        broker = self.start("--segment-bytes", "1MiB")  # what is moved is moved after 15 s
        backups = self.directory() + "/backups"
        broker.out("topic", "create", "c", "-p", "1", "-c", "cleanup.policy=compact", "-c",
                   "min.cleanable.dirty.ratio=0")
        rounds = 0
        newest = {}
        data = pathlib.Path(broker.directory, "segments")
        made = []
        while len(made) < 4:
            rounds += 1
            for key in range(50):
                newest[f"k{key}"] = f"{rounds} {'v' * 3000}"
            broker.run("produce", "c", "-K", "=",
                       text="".join(f"{k}={v}\n" for k, v in newest.items()))
            if rounds % 10 == 0 and any(data.glob("*.log")):
                broker.out("backup", "create", backups)
                made.append(dict(newest))
        self.assertIn("all is well", self.runnel("backup", "verify", backups).stdout)
        self.assertTrue(any(pathlib.Path(backups, "data", "segments").glob("*.log.*")))
        for one, expected in zip(self.listed(backups), made):
            again = self.restored(backups, "--id", one["id"])
            self.assertEqual({r["key"]: r["value"] for r in self.records(again, "c")}, expected)
            again.stop()

    def test_a_moment_between_two_backups(self):
        broker = self.start()
        backups = self.directory() + "/backups"
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="first\n")
        broker.out("backup", "create", backups)
        broker.run("produce", "a", text="second\n")
        broker.run("produce", "a", text="third\n")
        broker.out("consume", "a", "-g", "g", "-n", "3")
        written = int(time.time() * 1000)
        self.wait_for(lambda: time.time() * 1000 > written + 2)  # the clock stands between
        broker.run("produce", "a", text="mistake\n")
        broker.out("topic", "delete", "a")
        broker.out("backup", "create", backups)
        into = self.directory() + "/data"
        moment = ("--to-time", time_text(written + 1))
        plan = self.runnel("backup", "restore", backups, "--into", into, *moment, "--dry-run")
        self.assertIn("Dry run: nothing was written", plan.stdout)
        self.assertFalse(pathlib.Path(into).exists())
        again = self.restored(backups, *moment)
        self.assertEqual(again.out("consume", "a", "-e").split(), ["first", "second", "third"])
        group = json.loads(again.out("group", "describe", "g", "-o", "json"))
        self.assertEqual(group["partitions"][0]["committed"], 3)
        again.stop()
        # Before a record: the whole store of that moment, the group's position too.
        again = self.restored(backups, "--to-offset", "a[0]=2")
        self.assertEqual(again.out("consume", "a", "-e").split(), ["first", "second"])
        self.assertNotIn("g", again.out("group", "list").split())
        again.run("produce", "a", text="another\n")
        self.assertEqual(again.out("consume", "a", "-e").split()[2], "another")
        again.stop()
        for wrong, said, code in (
                (("--to-time", "2020-01-01"), "the first backup is of", NOT_FOUND),
                (("--to-time", "2100-01-01"), "what was committed from then on is in none",
                 NOT_FOUND),
                (("--to-time", "2100-01-01", "--dry-run"), "the last backup", NOT_FOUND),
                (("--to-offset", "a[0]=0"), "beyond offset 0 already", NOT_FOUND),
                (("--to-offset", "a[0]=99"), "in the backups it ends at offset 4", NOT_FOUND),
                (("--to-offset", "b[0]=1"), "no backup knows b[0]", NOT_FOUND),
                (("--to-offset", "a=1"), "is no TOPIC[PARTITION]=OFFSET", USAGE),
                (("--to-time", "yesterday"), "--to-time", USAGE)):
            refused = self.runnel("backup", "restore", backups, "--into", into, *wrong, expect=code)
            self.assertIn(said, refused.stderr)
            self.assertFalse(pathlib.Path(into).exists())

    def test_what_is_in_no_backup_is_said(self):
        broker = self.start()
        backups = self.directory() + "/backups"
        broker.out("topic", "create", "a", "-p", "1")
        for value in ("first", "second", "third"):
            broker.run("produce", "a", text=value + "\n")
            broker.out("backup", "create", backups)
        one, two, three = (b["id"] for b in self.listed(backups))
        into = self.directory() + "/data"
        ends = ("backup", "restore", backups, "--into", into, "--to-offset", "a[0]=3")
        self.assertIn("It may not lead there", self.runnel(*ends, "--dry-run").stdout)
        self.assertIn(f"what was committed after the last one, {three} of",
                      self.runnel(*ends).stdout)
        again = self.start(directory=into)
        self.assertEqual(again.out("consume", "a", "-e").split(), ["first", "second", "third"])
        again.stop()
        # A moment is looked for behind the backup that is named.
        again = self.restored(backups, "--to-offset", "a[0]=2", "--id", two)
        self.assertEqual(again.out("consume", "a", "-e").split(), ["first", "second"])
        again.stop()
        self.assertIn("beyond offset 1 already", self.runnel(
            "backup", "restore", backups, "--into", into + "2", "--to-offset", "a[0]=1", "--id",
            two, expect=NOT_FOUND).stderr)
        again = self.restored(backups, "--to-offset", "a[0]=1", "--id", one)
        self.assertEqual(again.out("consume", "a", "-e").split(), ["first"])

    def test_a_stopped_broker_and_bad_input(self):
        data, other = self.directory() + "/data", self.directory()
        backups = self.directory() + "/backups"
        broker = self.start(directory=data)
        broker.out("topic", "create", "a")
        broker.run("produce", "a", text="1\n")
        self.runnel("backup", "create", backups, "--data", data, expect=LOCKED)
        self.assertIn("/proc/nowhere",
                      broker.run("backup", "create", "/proc/nowhere", expect=FAILED).stderr)
        pathlib.Path(other, "something").touch()
        self.assertIn("holds something else",
                      broker.run("backup", "create", other, expect=USAGE).stderr)
        self.assertIn("holds no backups",
                      self.runnel("backup", "list", other, expect=NOT_FOUND).stderr)
        broker.stop()
        self.runnel("backup", "create", backups, "--data", data)
        self.runnel("backup", "create", backups, "--data", other, expect=NOT_FOUND)
        self.assertIn("is not empty", self.runnel("backup", "restore", backups, "--into", data,
                                                  expect=USAGE).stderr)
        self.runnel("backup", "restore", backups, "--into", data + "2", "--id", "no",
                    expect=NOT_FOUND)
        segment = next(pathlib.Path(backups, "data", "segments").iterdir())
        copy = backups + "-damaged"
        shutil.copytree(backups, copy)
        damaged = bytearray(segment.read_bytes())
        damaged[100] ^= 1
        pathlib.Path(copy, "data", "segments", segment.name).write_bytes(damaged)
        self.assertIn("is not what was backed up",
                      self.runnel("backup", "verify", copy, expect=DAMAGED).stdout)
        self.runnel("backup", "restore", copy, "--into", data + "2", expect=DAMAGED)
        self.assertFalse(pathlib.Path(data + "2").exists())
        again = self.restored(backups)
        self.assertEqual(again.out("consume", "a", "-e"), "1\n")
        stranger = self.start()
        self.assertIn("holds backups of store",
                      stranger.run("backup", "create", backups, expect=USAGE).stderr)
        one = self.listed(backups)[0]["id"]
        self.assertIn("Dry run", self.runnel("backup", "delete", backups, "--id", one,
                                             "--dry-run").stdout)
        self.runnel("backup", "delete", backups, "--id", one)
        self.assertEqual(self.listed(backups), [])
        self.assertFalse([p for p in pathlib.Path(backups, "data").rglob("*") if p.is_file()])

    def test_kill_at_any_moment(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        directory = self.directory()
        backups = self.directory() + "/backups"
        broker = self.start("--segment-bytes", "1MiB", directory=directory)
        broker.out("topic", "create", "a", "-p", "1")
        rows = "".join(f"{i} {'x' * 200}\n" for i in range(5000))
        for turn in range(12):
            broker.run("produce", "a", text=rows)
            create = self.begin(broker, "backup", "create", backups)
            time.sleep(dice.random() * 0.12)  # the moment is what is tried
            if turn % 3 == 2:
                broker.stop(signal.SIGKILL)
                create.communicate(timeout=60)
                broker = self.start("--segment-bytes", "1MiB", directory=directory)
                self.assertEqual(self.snapshots(directory), [], f"seed {seed}")
            else:
                create.kill()
                create.communicate(timeout=60)
            if pathlib.Path(backups).exists():
                checked = self.runnel("backup", "verify", backups, expect=None)
                self.assertIn(checked.returncode, (0, NOT_FOUND), f"seed {seed}: {checked.stdout}")
        broker.out("backup", "create", backups)
        self.assertIn("all is well", self.runnel("backup", "verify", backups).stdout)
        again = self.restored(backups)
        self.assertEqual(len(self.records(again, "a")), 12 * 5000, f"seed {seed}")

    def test_a_full_disk_leaves_no_half_backup(self):
        disk = tempfile.mkdtemp(prefix="runnel-backup-disk-")
        self.addCleanup(pathlib.Path(disk).rmdir)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk],
                          capture_output=True, check=False).returncode != 0:
            self.skipTest("this user may not mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        broker = self.start("--segment-bytes", "1MiB")
        backups = disk + "/backups"
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="first\n")
        broker.out("backup", "create", backups)
        broker.run("produce", "a", text=f"{'x' * 1000}\n" * 5000)
        full = broker.run("backup", "create", backups, expect=None)
        self.assertIn(full.returncode, (FAILED, TRY_AGAIN), full.stderr)
        self.assertIn("No space left on device", full.stderr)
        self.assertIn("1 backup, all is well", self.runnel("backup", "verify", backups).stdout)
        self.assertEqual(self.snapshots(broker.directory), [])
        # Nor a half directory.
        room = self.runnel("backup", "restore", backups, "--into", disk + "/data", expect=None)
        self.assertEqual(room.returncode, TRY_AGAIN, room.stdout)
        self.assertIn("are free where", room.stderr)
        self.assertFalse(pathlib.Path(disk, "data").exists())
        again = self.restored(backups)
        self.assertEqual(again.out("consume", "a", "-e"), "first\n")


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
