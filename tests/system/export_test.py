#!/usr/bin/env python3
"""Export and import with the real binary, killed and started again.

usage: export_test.py BINARY NET
"""
import csv
import io
import json
import pathlib
import random
import signal
import sys
import time
import unittest

from harness import PATIENCE_SECONDS, BrokerCase

DAMAGED, NOT_FOUND, USAGE, LOCKED = 6, 5, 2, 7


def manifest(directory):
    path = pathlib.Path(directory, "manifest.jsonl")
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    entries = [json.loads(line) for line in lines[1:]]
    return [entry for entry in entries if "begins" not in entry]


def offsets(directory):
    """Partition → the offsets of its CSV files, in the manifest's order."""
    found = {}
    for entry in manifest(directory):
        assert "file" in entry, entry
        text = pathlib.Path(directory, entry["file"]).read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            found.setdefault(entry["partition"], []).append(int(row["offset"]))
    return found


class Export(BrokerCase):
    def export(self, broker, *arguments, **more):
        return broker.run("export", *arguments, **more)

    def test_killed_at_any_moment_it_goes_on_without_gap_or_overlap(self):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        dice = random.Random(seed)
        broker = self.start()
        out = self.directory() + "/out"
        broker.out("topic", "create", "a", "-p", "3")
        total = 0
        for _ in range(8):
            exporter = self.begin(broker, "export", "a", "--out", out, "--chunk", "1KiB")
            for _ in range(dice.randrange(1, 4)):
                broker.run("produce", "a", text="".join(
                    f"{i} {'x' * dice.randrange(40)}\n" for i in range(total, total + 300)))
                total += 300
            least = len(manifest(out)) + dice.randrange(6)
            self.wait_for(lambda least=least: len(manifest(out)) >= least)
            time.sleep(dice.random() / 20)  # any moment
            exporter.kill()
            exporter.wait()
        self.export(broker, "a", "--out", out, "--chunk", "1KiB", "-e")
        found = offsets(out)
        self.assertEqual(sum(map(len, found.values())), total)
        for numbers in found.values():
            self.assertEqual(numbers, list(range(len(numbers))))
        files = {p.name for p in pathlib.Path(out).iterdir()} - {".lock", "manifest.jsonl"}
        self.assertEqual(files, {entry["file"] for entry in manifest(out)})
        for entry in manifest(out):
            self.assertGreater(entry["to"], entry["from"])
        # Nothing new: nothing more.
        again = self.export(broker, "a", "--out", out, "--chunk", "1KiB", "-e")
        self.assertIn("exported 0 records in 0 files", again.stderr)

    def test_files_are_completed_in_time_and_at_the_end(self):
        broker = self.start()
        out = self.directory() + "/out"
        broker.out("topic", "create", "a", "-p", "1")
        exporter = self.begin(broker, "export", "a", "--out", out, "--every", "1s", "--format",
                              "jsonl")
        broker.run("produce", "a", text="1\n")
        self.wait_for(lambda: manifest(out))
        broker.run("produce", "a", text="2\n")
        self.wait_for(lambda: len(manifest(out)) == 2)
        broker.run("topic", "alter", "a", "-p", "2")
        broker.run("produce", "a", "-p", "1", text="3\n")
        self.wait_for(lambda: len(manifest(out)) == 3)
        exporter.send_signal(signal.SIGTERM)
        self.assertEqual(exporter.wait(PATIENCE_SECONDS), 0)
        self.assertIn("exported 3 records in 3 files", exporter.stderr.read())

    def test_where_it_began_is_kept(self):
        broker = self.start()
        out = self.directory() + "/out"
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="0\n1\n")
        self.export(broker, "a", "--out", out, "--from", "end", "-e")
        broker.run("produce", "a", text="2\n3\n")
        broker.out("topic", "alter", "a", "-p", "2")
        broker.run("produce", "a", "-p", "1", text="new\n")
        self.export(broker, "a", "--out", out, "--from", "end", "-e")
        self.assertEqual(offsets(out), {0: [2, 3], 1: [0]})

    def test_what_retention_took_is_told(self):
        broker = self.start()
        out = self.directory() + "/out"
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="0\n1\n")
        self.export(broker, "a", "--out", out, "-e")
        broker.run("produce", "a", text="2\n3\n")
        broker.out("topic", "alter", "a", "-c", "retention.ms=1")
        self.wait_for(lambda: not broker.out("consume", "a", "-e"))
        broker.out("topic", "alter", "a", "-c", "retention.ms=86400000")
        broker.run("produce", "a", text="4\n")
        gone = self.export(broker, "a", "--out", out, "-e", expect=None)
        self.assertNotEqual(gone.returncode, 0)
        self.assertIn("the records 2 to 3 of a[0] were removed", gone.stderr)
        self.export(broker, "a", "--out", out, "-e", "--skip-lost")
        self.assertEqual([(e["from"], e["to"], "lost" in e) for e in manifest(out)],
                         [(0, 2, False), (2, 4, True), (4, 5, False)])
        broker.out("topic", "delete", "a")
        broker.out("topic", "create", "a", "-p", "1")
        other = self.export(broker, "a", "--out", out, "-e", expect=USAGE)
        self.assertIn("another topic of that name", other.stderr)

    def test_imported_records_are_what_they_were_and_only_once(self):
        broker = self.start()
        rows = [{"partition": p, "offset": o, "timestamp": 1763700000000 + o,
                 "key": None if o % 3 == 0 else f"k{o}", "value": "" if o % 5 == 0 else f"v,\"{o}\"\r\n"}
                for p in range(2) for o in range(40)]
        broker.out("topic", "create", "a", "-p", "2")
        for p in range(2):
            broker.run("produce", "a", "-p", str(p), "--in", "jsonl", "--timestamp", ".timestamp",
                       "--key", ".key", "--value", ".value",
                       text="".join(json.dumps(r) + "\n" for r in rows
                                    if r["partition"] == p and r["key"] is not None))
        before = self.records(broker, "a")
        self.assertGreater(len(before), 40)
        for number, (form, codec) in enumerate([("csv", "none"), ("jsonl", "gzip"),
                                                ("batch", "zstd")]):
            out = self.directory() + "/out"
            self.export(broker, "a", "--out", out, "--format", form, "-z", codec, "--chunk", "1KiB",
                        "-e")
            other = self.start()
            other.out("topic", "create", "b", "-p", "2")
            first = other.run("import", "b", out)
            self.assertIn(f"imported {len(before)} records; 0 were", first.stderr)
            self.assertEqual(self.records(other, "b"), before, f"case {number}")
            again = other.run("import", "b", out)
            self.assertIn(f"imported 0 records; {len(before)} were", again.stderr)
            self.assertEqual(self.records(other, "b"), before)
            # Another topic is another place for them.
            other.out("topic", "create", "c", "-p", "2")
            self.assertIn(f"imported {len(before)} records", other.run("import", "c", out).stderr)
            self.assertEqual(self.records(other, "c"), before)

    def records(self, broker, topic):
        lines = broker.out("consume", topic, "-e", "-o", "jsonl").splitlines()
        found = [json.loads(line) for line in lines]
        for record in found:
            del record["topic"]
        return sorted(found, key=lambda r: (r["partition"], r["offset"]))

    def test_bad_input_is_refused_whole(self):
        broker = self.start()
        out = self.directory() + "/out"
        self.export(broker, "nope", "--out", out, "-e", expect=NOT_FOUND)
        broker.out("topic", "create", "a", "-p", "2")
        for partition in "01":
            broker.run("produce", "a", "-p", partition, text="".join(f"{i}\n" for i in range(50)))
        self.export(broker, "a", "--out", out, expect=USAGE)
        self.export(broker, "a", "--out", "/proc/nowhere", "-e", expect=1)
        self.export(broker, "a", "--out", out, "-e")
        self.export(broker, "a", "--out", out, "-e", "--format", "batch", expect=USAGE)
        broker.run("import", "a", out + "/none", expect=NOT_FOUND)
        broker.out("topic", "create", "small", "-p", "1")
        few = broker.run("import", "small", out, expect=USAGE)
        self.assertIn("the export has a partition 1", few.stderr)
        victim = pathlib.Path(out, manifest(out)[-1]["file"])
        damaged = bytearray(victim.read_bytes())
        damaged[-3] ^= 1
        victim.write_bytes(damaged)
        broker.out("topic", "create", "b", "-p", "2")
        refused = broker.run("import", "b", out, expect=DAMAGED)
        self.assertIn("is not what was exported", refused.stderr)
        self.assertEqual(broker.out("consume", "b", "-e"), "")
        running = self.begin(broker, "export", "a", "--out", out, "--every", "1h")
        inode = f":{pathlib.Path(out, '.lock').stat().st_ino} "
        self.wait_for(lambda: inode in pathlib.Path("/proc/locks").read_text(encoding="ascii"))
        self.export(broker, "a", "--out", out, "-e", expect=LOCKED)
        running.kill()
        running.wait()


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
