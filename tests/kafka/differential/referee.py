#!/usr/bin/env python3
"""The same random requests to Runnel and to Apache Kafka, their answers compared field by field.

A run is many short sequences. A sequence has its own topics and groups and a seed of its own, which
is printed when it fails; --sequence SEED runs it again, --verbose shows every request and answer.
Exit code: 0 no difference but the allowed ones, 1 differences, 77 Kafka can't be had here.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time
from collections import Counter

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import allowed
import brokers
import pair
import schema
import world as worlds
from sequence import Sequence
from settler import Settler, warm_up

# Kafka shares partitions out anew at most once a second; Runnel does so at once.
KAFKA_SETTINGS = {"group.consumer.assignment.interval.ms": "0",
                  "group.consumer.min.assignment.interval.ms": "0"}


class Table:
    """The APIs that Runnel advertises, by name, with the versions that both have."""

    def __init__(self, messages, runnel_versions):
        self.apis = {}
        self.not_in_kafka = []  # what Runnel has besides, as "API version"
        for key, (low, high) in runnel_versions.items():
            if key in messages:
                request, response = messages[key]
                name = request.name[:-len("Request")]
                versions = max(low, request.versions[0]), min(high, request.versions[1])
                if versions[0] <= versions[1]:
                    self.apis[name] = (request, response, versions)
                self.not_in_kafka += [f"{name} {v}" for v in range(low, high + 1)
                                      if not versions[0] <= v <= versions[1]]
            else:
                self.not_in_kafka.append(f"API {key}")

    def pairs(self):
        """Every API and version that both have."""
        return [(name, v) for name, (_, _, (low, high)) in self.apis.items()
                for v in range(low, high + 1)]


class Totals:
    def __init__(self):
        self.requests = Counter()
        self.allowed = Counter()
        self.orders = Counter()
        self.again = Counter()  # requests that Kafka was sent again
        self.failed = {}
        self.sequences = 0
        self.details = {}  # the last lines of the log of the first sequence of each kind

    def add_failures(self, seed, failures):
        for difference in failures:
            self.failed.setdefault(difference.signature(), []).append((seed, difference))

    def report(self, limit, details):
        print(f"\n{sum(self.requests.values())} requests in {self.sequences} sequences; "
              f"{len({a for a, _ in self.requests})} APIs, {len(self.requests)} versions of them")
        print("\nAllowed differences:")
        for rule, count in self.allowed.most_common():
            print(f"  {count:7}  {rule.api} {rule.path}: {rule.reason}")
        print(f"  {sum(self.orders.values()):7}  order of a list, which has no meaning: "
              f"{', '.join(sorted(self.orders))}")
        print(f"  {sum(self.again.values()):7}  sent to Kafka again, which did not show yet what "
              f"it had answered: {', '.join(sorted(self.again))}")
        print("Never sent:")
        for _, each in allowed.LEFT_OUT:
            print(f"           {each}")
        unused = [r for r in allowed.LIST if r not in self.allowed]
        if unused:
            print("  not seen: " + "; ".join(f"{r.api} {r.path}" for r in unused))
        print(f"\n{len(self.failed)} kinds of differences that are not allowed")
        for _, found in sorted(self.failed.items(), key=lambda f: -len(f[1]))[:limit]:
            versions = sorted({d.version for _, d in found})
            print(f"  {len(found):5} x  {found[0][1]}\n           versions {versions}, "
                  f"sequences {sorted({s for s, _ in found})[:4]}")
            for line in self.details[found[0][1].signature()] if details else ():
                print(f"           {line[:1500]}")


def advertised(messages, port):
    connection = pair.Connection(port)
    request, response = messages[18]
    connection.send(request, 0, {})
    answer = schema.read_response(response, 0, connection.receive(20))[1]
    return {e["ApiKey"]: (e["MinVersion"], e["MaxVersion"]) for e in answer["ApiKeys"]}


def ask_missing(table, ports, settler, totals, seed):
    """Sequences for each API and version that chance has left out; gives those still missing."""
    for attempt in range(3):
        missing = [p for p in table.pairs() if p not in totals.requests]
        for api, version in missing:
            if not any(s[0] == api for s in worlds.STEPS.values()):
                continue
            seed += 1
            sequence = Sequence(seed, table, ports, settler, totals, False, (api, version))
            totals.add_failures(f"{seed} --wanted {api}:{version}", sequence.run())
            totals.sequences += 1
    return [p for p in table.pairs() if p not in totals.requests]


def run(arguments, ports):
    jars = brokers.kafka_jars(brokers.KAFKA_VERSION)
    messages = schema.load(jars / f"kafka-clients-{brokers.KAFKA_VERSION}.jar")
    table = Table(messages, advertised(messages, ports["runnel"]))
    settler = Settler(table, ports)
    warm_up(settler)
    totals = Totals()
    started = time.monotonic()
    if arguments.sequence is not None:
        wanted = arguments.wanted and arguments.wanted.split(":")
        sequence = Sequence(arguments.sequence, table, ports, settler, totals, arguments.verbose,
                            wanted and (wanted[0], int(wanted[1])))
        totals.add_failures(arguments.sequence, sequence.run())
        totals.sequences += 1
        totals.report(arguments.show, arguments.details)
        return 1 if totals.failed else 0
    while sum(totals.requests.values()) < arguments.requests:
        seed = arguments.seed * 1000000 + totals.sequences
        sequence = Sequence(seed, table, ports, settler, totals, arguments.verbose)
        totals.add_failures(seed, sequence.run())
        totals.sequences += 1
    missing = ask_missing(table, ports, settler, totals, arguments.seed * 1000000 + 900000)
    totals.report(arguments.show, arguments.details)
    pairs = table.pairs()
    print(f"{len(pairs) - len(missing)} of the {len(pairs)} versions of {len(table.apis)} APIs that "
          f"both have were asked; never: {', '.join(f'{a} {v}' for a, v in missing) or 'none'}")
    print(f"Runnel advertises besides, and Kafka not: {', '.join(table.not_in_kafka) or 'nothing'}")
    print(f"seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    return 1 if totals.failed or missing else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default="build/runnel")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--sequence", type=int, help="run this one sequence only")
    parser.add_argument("--wanted", help="with --sequence: API:VERSION that has to come in it")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--show", type=int, default=60, help="kinds of differences to print")
    parser.add_argument("--details", action="store_true", help="print the requests and answers too")
    parser.add_argument("--kafka-port", type=int, help="a Kafka that already runs")
    parser.add_argument("--runnel-port", type=int, help="a Runnel that already runs")
    arguments = parser.parse_args()
    started, ports = [], {}
    try:
        try:
            ports["kafka"] = arguments.kafka_port or start(
                lambda: brokers.Kafka(KAFKA_SETTINGS), started)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"skipped: Kafka can't be had here: {error}")
            return 77 if not os.environ.get("CI") else 1
        ports["runnel"] = arguments.runnel_port or start(
            lambda: brokers.Runnel(arguments.binary), started)
        return run(arguments, ports)
    finally:
        for broker in started:
            broker.remove()


def start(make, started):
    broker = make()
    started.append(broker)
    broker.start()
    return broker.port


if __name__ == "__main__":
    sys.exit(main())
