#!/usr/bin/env python3
"""Everything at once, for long: one broker that is killed again and again, and all that is done with
it; at the end everything that was promised is looked up.

usage: soak.py BINARY [--minutes N] [--seed N] [--keep]

RUNNEL_SOAK_MINUTES and RUNNEL_SEED say the same. The seed decides what each actor does, not how the
machine schedules them. Exit code 1: something did not hold; the directory is kept then.
"""
import argparse
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from place import Place
from users import Backups, Consumer, Exporter, Importer, Reaper, Replayer, Topics, Watcher
from verify import Verifier
from writers import Eraser, Keyed, Transactions, Trimmer, Writer

KILL_SECONDS = (4, 15)
PARTITIONS = 3
TOPICS = {
    "kept": (PARTITIONS, ["retention.ms=-1"]),
    "imported": (PARTITIONS, ["retention.ms=-1"]),
    "trimmed": (2, ["retention.ms=-1"]),
    "short": (2, ["retention.ms=-1", "retention.bytes=1000000"]),
    "transactions": (2, ["retention.ms=-1"]),
    "erased": (2, ["retention.ms=-1"]),
    "latest": (2, ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.1"]),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("binary")
    parser.add_argument("--minutes", type=float,
                        default=float(os.environ.get("RUNNEL_SOAK_MINUTES", "30")))
    parser.add_argument("--seed", type=int,
                        default=int(os.environ.get("RUNNEL_SEED", random.randrange(1 << 32))))
    parser.add_argument("--keep", action="store_true", help="leave the directory")
    return parser.parse_args()


def make_actors(place, seed):
    kept = Writer(place, "kept", seed, "kept", PARTITIONS)
    return {
        "kept": kept,
        "short": Writer(place, "short", seed, "short", 2, 1000),
        "trimmed": Trimmer(place, "trimmed", seed, "trimmed", 2),
        "erased": Eraser(place, "erased", seed, "erased", 2),
        "latest": Keyed(place, "latest", seed, "latest", 2, 500),
        "transactions": Transactions(place, "transactions", seed, "transactions"),
        "consumer": Consumer(place, "consumer", seed, "kept"),
        "topics": Topics(place, "topics", seed),
        "exports": Exporter(place, "exports", seed),
        "imports": Importer(place, "imports", seed),
        "replays": Replayer(place, "replays", seed, kept),
        "backups": Backups(place, "backups", seed, kept),
        "ends": Reaper(place, "ends", seed, KILL_SECONDS),
        "watcher": Watcher(place, "watcher", seed),
    }


def summary(place, actors, verifier, seed, minutes):
    made = ", ".join(f"{a.done} {name}" for name, a in actors.items() if a.done)
    watcher, transactions = actors["watcher"], actors["transactions"]
    print(f"seed {seed}, {minutes:.1f} minutes: {place.kills} kills, {place.stops} orderly stops, "
          f"slowest start {place.slowest_start:.2f} s\n"
          f"done: {made}\n"
          f"transactions: {len(transactions.committed)} committed, {len(transactions.aborted)} "
          f"aborted, {len(transactions.maybe)} not known\n"
          f"memory {watcher.most_memory >> 20} MiB at most, disk {watcher.most_disk >> 20} MiB\n"
          f"verified: {verifier.checked['records']} records read, "
          f"{verifier.checked['backups']} backups, {verifier.checked['expectations']} "
          f"expectations, {len(place.failures)} failed", flush=True)


def main():
    arguments = parse()
    print(f"seed {arguments.seed}, {arguments.minutes} minutes", flush=True)
    root = tempfile.mkdtemp(prefix="runnel-soak-")
    place = Place(str(pathlib.Path(arguments.binary).resolve()), root)
    place.start()
    for name, (partitions, configs) in TOPICS.items():
        place.must("topic", "create", name, "-p", str(partitions),
                   *(word for config in configs for word in ("-c", config)))
    actors = make_actors(place, arguments.seed)
    for actor in actors.values():
        actor.start()
    began = time.monotonic()
    while time.monotonic() - began < arguments.minutes * 60 and not place.failures:
        time.sleep(min(1.0, arguments.minutes * 60))
    place.stopping.set()
    for actor in actors.values():
        actor.join(180)
        if actor.is_alive():
            place.fail(f"{actor.name} did not end")
    verifier = Verifier(place, actors, random.Random(arguments.seed))
    try:
        verifier.run()
    finally:
        summary(place, actors, verifier, arguments.seed, (time.monotonic() - began) / 60)
        place.broker.remove()
        if place.failures or arguments.keep:
            print(f"everything is in {root}", flush=True)
        else:
            shutil.rmtree(root)
    return 1 if place.failures else 0


if __name__ == "__main__":
    sys.exit(main())
