#!/usr/bin/env python3
"""A directory with a flipped byte: check names it, repair puts it aside, all else is served.

usage: repair_test.py BINARY auto|epoll|io_uring
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, Broker, clean_environment

BINARY = ""
NET = "auto"
OK, DAMAGED, NOT_FOUND = 0, 6, 5
MARK = b"the one that goes"


class Repair(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="runnel-repair-")
        self.addCleanup(directory.cleanup)
        self.data = pathlib.Path(directory.name) / "data"

    def start(self):
        broker = Broker(BINARY, NET, str(self.data))
        self.addCleanup(broker.remove)
        return broker

    def offline(self, *command, expect):
        done = subprocess.run([BINARY, *command], capture_output=True, text=True, check=False,
                              timeout=PATIENCE_SECONDS, env=clean_environment())
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def test_what_is_damaged_is_put_aside(self):
        broker = self.start()
        broker.out("topic", "create", "t")
        for text in ("before\n", MARK.decode() + "\n", "after\n"):
            broker.run("produce", "t", text=text)
        self.assertEqual(broker.stop(), OK)
        self.assertIn("nothing is damaged", self.offline("repair", str(self.data), expect=OK))

        segment = self.data / "segments" / "0000000001.wal"
        with segment.open("r+b") as file:
            at = file.read().index(MARK)
            file.seek(at)
            file.write(b"T")
        found = self.offline("check", str(self.data), expect=DAMAGED)
        self.assertIn("segment 1 at byte ", found)
        self.assertIn("t[0] offsets 1 to 1", found)
        self.assertIn("runnel repair", found)

        said = self.offline("repair", str(self.data), "--dry-run", expect=DAMAGED)
        self.assertIn("lost: t[0] offsets 1 to 1", said)
        self.assertIn("nothing was changed", said)
        self.assertFalse((self.data / "quarantine").exists())
        said = self.offline("repair", str(self.data), expect=OK)
        self.assertIn("1 damaged place, 1 lost range of 1 offsets in all", said)
        kept = list((self.data / "quarantine").glob("*.bytes"))
        self.assertEqual(len(kept), 1)
        self.assertIn(b"The one that goes", kept[0].read_bytes())
        self.assertIn("note: quarantined: segments/0000000001.wal",
                      self.offline("check", str(self.data), expect=OK))

        broker = self.start()
        broker.wait_for(r"reading them answers corrupt: t\[0\] offsets 1 to 1")
        self.assertRegex(broker.out("stats"), r"store\.lost_offsets +1 ")
        read = broker.run("consume", "t", "-e", expect=None)
        self.assertEqual((read.returncode, read.stdout), (DAMAGED, "before\n"))
        self.assertIn("reading can go on at offset 2", read.stderr)
        self.assertEqual(broker.out("consume", "t", "-e", "-p", "0", "--from", "2"), "after\n")
        broker.run("produce", "t", text="later\n")
        self.assertEqual(broker.out("consume", "t", "-e", "-p", "0", "--from", "2"),
                         "after\nlater\n")
        refused = broker.run("repair", str(self.data), expect=None)
        self.assertNotEqual(refused.returncode, OK)
        self.assertIn("holds it; stop that process", refused.stderr)
        self.assertEqual(broker.stop(), OK)

    def test_what_changed_in_memory_gets_to_nobody(self):
        broker = self.start()
        broker.out("topic", "create", "t")
        broker.run("sql", "-c", "CREATE SOURCE s (mark VARCHAR) ON TOPIC 't' FORMAT JSON;"
                   "CREATE MATERIALIZED VIEW v AS SELECT mark, count(*) AS n FROM s GROUP BY mark")
        broker.run("view", "pause", "v")
        broker.run("produce", "t", text='{"mark": "%s"}\n' % MARK.decode())
        # Where the broker wrote it a moment ago, and has no reason to read it again.
        with (self.data / "segments" / "0000000001.wal").open("r+b") as file:
            file.seek(file.read().index(MARK))
            file.write(b"T")
        for command in (["consume", "t", "-e"], ["replay", "t", "--where", ".mark!=x"]):
            with self.subTest(command[0]):
                read = broker.run(*command, expect=None)
                self.assertEqual((read.returncode, read.stdout), (DAMAGED, ""), read.stderr)
        with self.subTest("HTTP"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(
                    f"http://{broker.address}/api/v1/topics/t/records?partition=0",
                    timeout=PATIENCE_SECONDS)
            self.assertIn("checksum", json.load(refused.exception)["detail"])
        with self.subTest("SQL"):
            read = broker.run("sql", "-c", "SELECT mark FROM s", expect=None)
            self.assertNotIn("The one", read.stdout)
            self.assertIn("checksum", read.stderr)
        with self.subTest("view"):
            broker.run("view", "resume", "v")
            deadline = time.monotonic() + PATIENCE_SECONDS
            view = {"state": ""}
            while view["state"] != "failed" and time.monotonic() < deadline:
                view = json.loads(broker.out("view", "list", "-o", "json"))[0]
            self.assertEqual(view["state"], "failed", view)

    def test_what_is_no_data_directory_is_refused(self):
        self.offline("repair", str(self.data), expect=NOT_FOUND)
        self.data.mkdir()
        self.offline("repair", str(self.data), expect=NOT_FOUND)


if __name__ == "__main__":
    BINARY, NET = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
