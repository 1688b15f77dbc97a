#!/usr/bin/env python3
"""A disk that is really full: a broker on a small tmpfs takes records until nothing more fits.

usage: full_disk_test.py BINARY auto|epoll|io_uring
Exit code 77: this user may not mount a tmpfs.
"""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, Broker, clean_environment

BINARY = ""
NET = "auto"
OK, TRY_AGAIN, INTERRUPTED = 0, 10, 130
ROW = "x" * 1000


def mount(directory, megabytes):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory],
                          capture_output=True, check=False).returncode == 0


class FullDisk(unittest.TestCase):
    def disk(self, megabytes):
        directory = tempfile.mkdtemp(prefix="runnel-full-disk-")
        self.addCleanup(pathlib.Path(directory).rmdir)
        self.assertTrue(mount(directory, megabytes))
        self.addCleanup(subprocess.run, ["umount", directory], check=True)
        return directory

    def start(self, directory, listen="127.0.0.1:0"):
        broker = Broker(BINARY, NET, f"{directory}/data", listen=listen)
        self.addCleanup(broker.remove)
        return broker

    def fill(self, broker, megabytes):
        """How many records were acknowledged before the disk refused."""
        rows = "".join(f"{i} {ROW}\n" for i in range(megabytes * 1100))
        done = broker.run("produce", "t", "--timeout", "2s", text=rows, expect=TRY_AGAIN)
        self.assertIn("runnel: the broker takes no records: the disk is too full", done.stderr)
        self.assertIn("trying for up to 2s (--timeout)", done.stderr)
        self.assertIn("not stored within the delivery time-out: the disk is too full", done.stderr)
        self.assertNotIn("without an answer", done.stderr)
        stored = int(re.search(r"^(\d+) records? stored in t", done.stderr, re.M).group(1))
        self.assertGreater(stored, 0)
        return stored

    def give_up(self, broker):
        """Two interrupts: the first ends the reading, the second the wait for answers."""
        produce = subprocess.Popen([BINARY, "produce", "t"], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env=clean_environment(RUNNEL_BROKER=broker.address))
        self.addCleanup(produce.stderr.close)
        self.addCleanup(produce.stdin.close)
        produce.stdin.write("no answer\n")
        produce.stdin.flush()
        self.assertIn("the broker takes no records: the disk is too full",
                      produce.stderr.readline())
        produce.send_signal(signal.SIGINT)
        self.assertEqual(produce.stderr.readline(),
                         "runnel: waiting for 1 answer; Ctrl-C again gives up\n")
        produce.send_signal(signal.SIGINT)
        self.assertEqual(produce.wait(PATIENCE_SECONDS), INTERRUPTED)
        self.assertIn("0 records stored in t, 1 without an answer (maybe stored)",
                      produce.stderr.read())

    def numbers(self, broker):
        return [int(n) for n in broker.out("consume", "t", "-e", "-f", "%s\n").split()[::2]]

    def life_of_a_full_disk(self, megabytes):
        directory = self.disk(megabytes)
        broker = self.start(directory)
        broker.out("topic", "create", "t")
        stored = self.fill(broker, megabytes)
        self.give_up(broker)

        # Reads, commits and the restart after a kill go on.
        self.assertEqual(self.numbers(broker)[:stored], list(range(stored)))
        broker.out("consume", "t", "-g", "g", "-e", "-n", "5")
        self.assertEqual(broker.stop(signal.SIGKILL), -signal.SIGKILL)
        broker = self.start(directory)
        self.assertEqual(self.numbers(broker)[:stored], list(range(stored)))
        group = json.loads(broker.out("group", "describe", "g", "-o", "json"))
        self.assertIn(5, [p["committed"] for p in group["partitions"]])

        # Space comes back, and with it the producers.
        broker.out("topic", "delete", "t")
        broker.wait_for("there is space again")
        broker.out("topic", "create", "u")
        broker.run("produce", "u", text="1\n2\n3\n")
        self.assertEqual(broker.out("consume", "u", "-e").split(), ["1", "2", "3"])
        self.assertEqual(broker.stop(), OK)
        checked = subprocess.run([BINARY, "check", f"{directory}/data"], capture_output=True,
                                 text=True, check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(checked.returncode, OK, checked.stdout + checked.stderr)

    def test_a_neighbour_takes_the_last_byte(self):
        directory = self.disk(64)
        broker = self.start(directory)
        broker.out("topic", "create", "t")
        broker.run("produce", "t", text="1\n2\n3\n")
        neighbour = pathlib.Path(directory) / "neighbour"

        def take_all():
            with neighbour.open("ab", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass

        # Commits go on until the index has to be written, also into what is kept for emergencies.
        for i in range(2000):
            take_all()
            if broker.run("topic", "create", f"t{i}", expect=None).returncode != OK:
                break
        broker.wait_for("the disk is full, the room kept for this included")
        self.assertEqual(broker.out("consume", "t", "-e").split(), ["1", "2", "3"])
        self.assertEqual(broker.run("topic", "delete", "t", expect=None).returncode, TRY_AGAIN)

        neighbour.unlink()
        broker.wait_for("there is space again")
        broker.run("produce", "t", text="4\n")
        self.assertEqual(broker.out("consume", "t", "-e").split(), ["1", "2", "3", "4"])
        self.assertEqual(broker.stop(), OK)

    def test_8_mb(self):
        self.life_of_a_full_disk(8)

    def test_16_mb(self):
        self.life_of_a_full_disk(16)

    def test_64_mb(self):
        self.life_of_a_full_disk(64)


def may_mount():
    with tempfile.TemporaryDirectory() as directory:
        if not mount(directory, 1):
            return False
        subprocess.run(["umount", directory], check=True)
        return True


if __name__ == "__main__":
    BINARY, NET = sys.argv[1:3]
    if not may_mount():
        print("skipped: only root may mount a tmpfs")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
