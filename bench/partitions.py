#!/usr/bin/env python3
"""What many partitions cost: memory at rest, idle CPU, a restart after kill -9, reads, throughput.

usage: bench/partitions.py BINARY [--topics N] [--partitions N] [--rounds N] [--gigabytes N] [--dir DIR]

Makes the topics, writes into each, kills the broker while one is being written, and starts it again.
Then as much is produced to as many partitions in one topic as to a single one, in turns, synced.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from harness import Broker, clean_environment

MIB = 1 << 20
RECORD_BYTES = 1024
TICKS = os.sysconf("SC_CLK_TCK")
TOPICS_A_COMMAND = 100
READS = 100


def memory_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Measurement:
    def __init__(self, arguments, root):
        self.arguments = arguments
        self.directory = root + "/data"
        self.topics = [f"t{n:04}" for n in range(arguments.topics)]
        self.broker = None
        self.seconds_to_start = 0.0

    def start(self):
        began = time.monotonic()
        self.broker = Broker(self.arguments.binary, "auto", self.directory)
        self.broker.out("stats", "-o", "json")
        self.seconds_to_start = time.monotonic() - began

    def restart_killed(self):
        self.broker.remove()
        self.start()

    def pid(self):
        return self.broker.process.pid

    def make_topics(self):
        for first in range(0, len(self.topics), TOPICS_A_COMMAND):
            self.broker.out("topic", "create", *self.topics[first:first + TOPICS_A_COMMAND], "-p",
                            str(self.arguments.partitions))

    def write_to_each(self):
        """Enough keys that each partition gets some."""
        lines = "".join(f"{n},value {n}\n" for n in range(self.arguments.partitions * 8))
        for topic in self.topics:
            self.broker.run("produce", topic, "-K", ",", text=lines)

    def idle(self, seconds=10):
        """(bytes resident, share of a core)."""
        before = cpu_seconds(self.pid())
        time.sleep(seconds)
        return memory_bytes(self.pid()), (cpu_seconds(self.pid()) - before) / seconds

    def read_some(self):
        """Milliseconds a topic that is read whole takes, the command's own start included."""
        chosen = random.Random(1).sample(self.topics, min(READS, len(self.topics)))
        times = []
        for topic in chosen:
            began = time.monotonic()
            self.broker.out("consume", topic, "--from", "start", "-e")
            times.append((time.monotonic() - began) * 1e3)
        return statistics.median(times), max(times)

    def produce(self, partitions):
        """MB/s, synced."""
        done = subprocess.run(
            [self.arguments.binary, "bench", "produce", "--partitions", str(partitions),
             "--records", str(int(self.arguments.gigabytes * 1e9) // RECORD_BYTES), "-o", "json"],
            text=True, check=True, stdout=subprocess.PIPE,
            env=clean_environment(RUNNEL_BROKER=self.broker.address))
        return json.loads(done.stdout)

    def show_idle(self, when):
        resident, share = self.idle()
        print(f"{when}: {resident / MIB:.1f} MiB resident, {share:.2%} of a core when idle",
              flush=True)

    def run(self):
        self.start()
        self.show_idle("empty")
        began = time.monotonic()
        self.make_topics()
        count = len(self.topics) * self.arguments.partitions
        print(f"{count:,} partitions in {len(self.topics):,} topics made in "
              f"{time.monotonic() - began:.1f} s", flush=True)
        self.write_to_each()
        self.show_idle("written to each")
        print("a topic read whole, warm: {:.1f} ms median, {:.1f} at most".format(*self.read_some()))
        self.restart_killed()
        print(f"after kill -9: {self.seconds_to_start * 1e3:.0f} ms until statistics were answered",
              flush=True)
        self.show_idle("after the restart")
        print("a topic read whole after it: {:.1f} ms median, {:.1f} at most".format(
            *self.read_some()))
        self.compare_throughput(count)
        print(f"at the end: {memory_bytes(self.pid()) / MIB:.1f} MiB resident", flush=True)
        self.restart_killed()
        print(f"after kill -9: {self.seconds_to_start * 1e3:.0f} ms until statistics were answered",
              flush=True)
        self.show_idle("after the restart")

    def compare_throughput(self, many):
        ratios = []
        for turn in range(self.arguments.rounds):
            rates = {n: self.produce(n)["mb_per_second"] for n in (1, many)}
            ratios.append(rates[many] / rates[1])
            print(f"turn {turn + 1}: 1 partition {rates[1]:.0f} MB/s, {many:,} {rates[many]:.0f}: "
                  f"{ratios[-1]:.2f}", flush=True)
        print(f"median: {statistics.median(ratios):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("binary")
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=10, help="of each topic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--dir", default=None)
    arguments = parser.parse_args()
    arguments.binary = str(pathlib.Path(arguments.binary).resolve())
    root = tempfile.mkdtemp(prefix="runnel-bench-partitions-", dir=arguments.dir)
    measurement = Measurement(arguments, root)
    try:
        measurement.run()
    finally:
        if measurement.broker:
            measurement.broker.remove()
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
