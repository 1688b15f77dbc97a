#!/usr/bin/env python3
"""What a backup costs: those who produce meanwhile, and how much of the bytes an incremental one copies.

usage: bench/backup.py BINARY [--gigabytes N] [--rate RECORDS/S] [--dir DIR] [--copy-rate RATE]

Fills a store, lets producers run, measures what they get through for as long as a backup takes
without one and with one, and then backs up again after a change of one hundredth. A rate of 0 is as
fast as it goes.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from harness import Broker, clean_environment

RECORD_BYTES = 1024
GIB = 1 << 30
MIB = 1 << 20


class Measurement:
    def __init__(self, arguments, root):
        self.arguments = arguments
        self.backups = root + "/backups"
        self.broker = Broker(arguments.binary, "auto", root + "/data")

    def runnel(self, *words):
        done = subprocess.run([self.arguments.binary, *map(str, words)], text=True, check=True,
                              stdout=subprocess.PIPE, env=self.environment())
        return done.stdout

    def environment(self):
        return clean_environment(RUNNEL_BROKER=self.broker.address)

    def produce(self, total_bytes, rate=0):
        """Begins producers that write this much."""
        return subprocess.Popen(
            [self.arguments.binary, "bench", "produce", "--topic", "load", "--keep", "--records",
             str(int(total_bytes) // RECORD_BYTES), "--rate", str(rate), "--connections", "4", "-o",
             "json"], stdout=subprocess.PIPE, text=True, env=self.environment())

    def appended(self):
        return json.loads(self.runnel("stats", "-o", "json"))["store.appended_bytes"]

    def rate_during(self, work):
        """(seconds, bytes a second that were appended meanwhile)."""
        before, began = self.appended(), time.monotonic()
        work()
        seconds = time.monotonic() - began
        return seconds, (self.appended() - before) / (time.monotonic() - began)

    def back_up(self):
        words = ["--rate", self.arguments.copy_rate] if self.arguments.copy_rate else []
        self.runnel("backup", "create", self.backups, *words)
        return json.loads(self.runnel("backup", "list", self.backups, "-o", "json"))[-1]

    def run(self):
        size = int(self.arguments.gigabytes * GIB)
        self.produce(size).communicate()
        load = self.produce(size * 20, self.arguments.rate)
        time.sleep(2)  # until all of them run
        seconds, with_backup = self.rate_during(self.back_up)
        _, without = self.rate_during(lambda: time.sleep(max(2.0, min(seconds, 20.0))))
        load.kill()
        load.communicate()
        first = json.loads(self.runnel("backup", "list", self.backups, "-o", "json"))[0]
        print(f"full: {first['added'] / GIB:.2f} GiB in {seconds:.1f} s, "
              f"{first['added'] / seconds / MIB:.0f} MiB/s; producers {with_backup / MIB:.0f} MiB/s "
              f"meanwhile, {without / MIB:.0f} without: {with_backup / without:.2f}")
        before = self.back_up()
        self.produce(before["bytes"] / 100).communicate()
        began = time.monotonic()
        after = self.back_up()
        print(f"incremental after 1 % more: {after['added'] / MIB:.1f} MiB of "
              f"{after['bytes'] / GIB:.2f} GiB, {after['added'] / after['bytes']:.2%}, in "
              f"{time.monotonic() - began:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("binary")
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50_000, help="records of 1 KiB a second")
    parser.add_argument("--copy-rate", default="", help="of the backup, like 200MiB/s")
    parser.add_argument("--dir", default=None)
    arguments = parser.parse_args()
    arguments.binary = str(pathlib.Path(arguments.binary).resolve())
    root = tempfile.mkdtemp(prefix="runnel-bench-backup-", dir=arguments.dir)
    measurement = Measurement(arguments, root)
    try:
        measurement.run()
    finally:
        measurement.broker.remove()
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
