#!/usr/bin/env python3
"""Consumer groups with many real members, in both protocols, against Runnel or Kafka.

rebalance: 50 members own 100 partitions, one is killed with SIGKILL. All partitions must be owned
again within the session timeout and one second; the time is printed.
restart: the broker is killed with SIGKILL and started again. Every member goes on: no assignment,
id or generation changes, records are read and offsets committed. franz-go's classic members give
up their session and rejoin when a connection is refused: they keep ids and partitions.

Exit code: 0 passed, 1 failed, 77 a toolchain is missing.
"""
import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time

import brokers
import maven
import suites

SESSION_MS = 6000
HEARTBEAT_MS = 500
GRACE_SECONDS = 1
PATIENCE_SECONDS = 90
PROTOCOLS = ("classic", "consumer")
REJOINS = "franz-go classic"
SKIPPED = 77

CONFLUENT = next(s for s in suites.ALL if s.name == "confluent-python")
FRANZ = next(s for s in suites.ALL if s.name == "franz-go")
JAVA = next(s for s in suites.ALL if s.name == "java")


def folder(name):
    path = maven.cache_directory() / name
    path.mkdir(exist_ok=True)
    return path


def confluent_command():
    CONFLUENT.prepare()
    return [str(CONFLUENT.python()), str(suites.CLIENTS / "members/members.py")]


def franz_command():
    program = folder("members") / "franz-go"
    subprocess.run(["go", "build", "-o", str(program), "./members"], cwd=suites.CLIENTS / "go",
                   check=True)
    return [str(program)]


def java_command():
    jars, classes = JAVA.jars(), folder("members")
    subprocess.run(["javac", "-nowarn", "-d", str(classes), "-cp", f"{jars}/*",
                    str(suites.CLIENTS / "members/Members.java")], check=True)
    return ["java", "-Xmx512m", "-cp", f"{classes}:{jars}/*", "Members"]


CLIENTS = {"confluent-kafka": (CONFLUENT, confluent_command),
           "franz-go": (FRANZ, franz_command), "java": (JAVA, java_command)}


class Members:
    """A process with members of one group, and what it has told."""

    def __init__(self, client, command, broker, group, topic, protocol, count):
        self.name = f"{client} {protocol}"
        self.process = subprocess.Popen(
            [*command, broker.address, group, topic, protocol, str(count), str(SESSION_MS),
             str(HEARTBEAT_MS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = count
        self.lines = queue.Queue()
        self.states = {}
        self.read = []
        self.errors = []
        self.changes = []
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put({"error": "the program ended"})

    def take(self, timeout):
        """Takes in one line; None when nothing came."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if "error" in line:
            self.errors.append(line["error"])
        elif "value" in line:
            self.read.append((line["partition"], line["value"]))
        else:
            self.states[line["member"]] = line
            self.changes.append(line)
        return line

    def places(self):
        """Who is who, and owns what."""
        return {m: (s["id"], s["partitions"]) for m, s in self.states.items()}

    def owned(self):
        return [p for state in self.states.values() for p in state["partitions"]]

    def kill(self):
        self.process.kill()
        self.process.wait()


def wait_for(members, condition, what):
    """Takes in lines until the condition holds; returns the last line's time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    at = time.time()
    while not condition():
        if time.monotonic() > deadline:
            told = "; ".join(f"{m.name}: {len(m.owned())} partitions owned, {len(m.read)} records "
                             f"read, errors {m.errors[:3]}" for m in members)
            raise AssertionError(f"after {PATIENCE_SECONDS} s still not: {what} ({told})")
        for each in members:
            line = each.take(0.05 / len(members))
            if line:
                at = line.get("at", at)
    return at


def create_topic(broker, name, partitions):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(PATIENCE_SECONDS)


def produce_round(broker, topic, partitions, word):
    """One record for each partition."""
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": broker.address})
    errors = []
    for partition in range(partitions):
        producer.produce(topic, word, partition=partition,
                         on_delivery=lambda error, _: errors.append(error) if error else None)
    if producer.flush(PATIENCE_SECONDS) or errors:
        raise AssertionError(f"the records of '{word}' were not stored: {errors[:3]}")


def read_round(groups, partitions, word):
    wanted = sorted((p, word) for p in range(partitions))
    wait_for(groups, lambda: all(sorted(r for r in g.read if r[1] == word) == wanted
                                 for g in groups), f"'{word}' is read once in every partition")


def rebalance(broker, client, command, protocol, count):
    partitions = 2 * count
    topic = f"many-{client}-{protocol}"
    create_topic(broker, topic, partitions)
    rest = Members(client, command, broker, topic, topic, protocol, count - 1)
    victim = Members(client, command, broker, topic, topic, protocol, 1)
    groups = (rest, victim)
    try:
        everything = list(range(partitions))
        wait_for(groups, lambda: sorted(rest.owned() + victim.owned()) == everything and
                 len(rest.states) == count - 1 and len(victim.owned()) == 2 and
                 all(len(s["partitions"]) == 2 for s in rest.states.values()),
                 "two partitions each")
        killed = time.time()
        victim.kill()
        owned = wait_for((rest,), lambda: sorted(rest.owned()) == everything,
                         "the others own everything")
        seconds = owned - killed
        allowed = SESSION_MS / 1000 + GRACE_SECONDS
        print(f"{count} members, {client}, {protocol}, {broker.name}: one killed, all "
              f"{partitions} partitions owned again after {seconds:.2f} s (session timeout "
              f"{SESSION_MS / 1000:g} s, allowed {allowed:g} s)", flush=True)
        produce_round(broker, topic, partitions, "after")
        read_round((rest,), partitions, "after")
        if rest.errors:
            raise AssertionError(f"members report {rest.errors[:3]}")
        if seconds > allowed:
            raise AssertionError(f"{seconds:.2f} s are more than {allowed:g} s")
    finally:
        for each in groups:
            each.kill()


def restart(broker, commands):
    partitions, count = 8, 4
    topic = "survivors"
    create_topic(broker, topic, partitions)
    groups = [Members(client, command, broker, f"{client}-{protocol}", topic, protocol, count)
              for client, command in commands.items() for protocol in PROTOCOLS]
    try:
        wait_for(groups, lambda: all(
            sorted(g.owned()) == list(range(partitions)) and len(g.states) == count and
            all(len(s["partitions"]) == 2 for s in g.states.values()) for g in groups),
            "every group's members own two partitions each")
        produce_round(broker, topic, partitions, "before")
        read_round(groups, partitions, "before")
        before = [len(g.changes) for g in groups]
        places = [g.places() for g in groups]
        broker.kill_and_restart()
        restarted = time.monotonic()
        produce_round(broker, topic, partitions, "restarted")
        read_round(groups, partitions, "restarted")
        # A member that the broker had forgotten, or did not hear, would be gone by then.
        end = restarted + SESSION_MS / 1000 + GRACE_SECONDS
        wait_for(groups, lambda: time.monotonic() > end, "a session timeout has passed")
        produce_round(broker, topic, partitions, "later")
        read_round(groups, partitions, "later")
        for group, known in zip(groups, before):
            generations = sorted({s["generation"] for s in group.states.values()}, key=str)
            print(f"{group.name}, {broker.name}: {len(group.changes) - known} changes of "
                  f"assignment, id or generation {generations} by kill -9 and restart of the "
                  "broker", flush=True)
            if group.errors:
                raise AssertionError(f"{group.name}: members report {group.errors[:3]}")
        moved = [f"{g.name}: {g.changes[known:]}" for g, known, where in
                 zip(groups, before, places)
                 if g.places() != where or (len(g.changes) != known and g.name != REJOINS)]
        if moved:
            raise AssertionError("members did not go on as they were: " + "\n".join(moved))
    finally:
        for each in groups:
            each.kill()


def make_broker(arguments):
    settings = {"group.consumer.session.timeout.ms": SESSION_MS,
                "group.consumer.heartbeat.interval.ms": HEARTBEAT_MS}
    if arguments.against == "kafka":
        return brokers.Kafka({**settings, "group.consumer.min.session.timeout.ms": SESSION_MS,
                              "group.consumer.min.heartbeat.interval.ms": HEARTBEAT_MS})
    binary = arguments.binary or os.environ.get("RUNNEL_BINARY")
    if not binary:
        sys.exit("members.py: which broker? Give --binary build/runnel or set RUNNEL_BINARY.")
    return brokers.Runnel(os.path.abspath(binary), settings)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("rebalance", "restart"))
    parser.add_argument("--against", choices=("runnel", "kafka"), default="runnel")
    parser.add_argument("--binary", help="the runnel binary (or RUNNEL_BINARY)")
    parser.add_argument("--client", action="append", choices=CLIENTS, help="repeatable")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="repeatable")
    parser.add_argument("--members", type=int, default=50, metavar="N")
    return parser.parse_args()


def run_in_clients_python():
    """The driver itself needs a client, for topics and records."""
    CONFLUENT.prepare()
    if not sys.prefix.startswith(str(CONFLUENT.folder())):
        python = str(CONFLUENT.python())
        os.execv(python, [python, "-B", *sys.argv])


def missing(names):
    return [f"{name}: {reason}" for name in names if (reason := CLIENTS[name][0].missing())]


def main():
    arguments = parse()
    names = arguments.client or (["confluent-kafka", "franz-go"] if arguments.what == "rebalance"
                                 else list(CLIENTS))
    absent = missing(names)
    if absent:
        print("skipped: " + "; ".join(absent))
        return 1 if os.environ.get("CI") else SKIPPED
    run_in_clients_python()
    commands = {name: CLIENTS[name][1]() for name in names}
    broker = make_broker(arguments)
    try:
        broker.start()
        if arguments.what == "restart":
            restart(broker, commands)
        else:
            for name, command in commands.items():
                for protocol in arguments.protocol or PROTOCOLS:
                    rebalance(broker, name, command, protocol, arguments.members)
    except AssertionError as error:
        print(f"failed: {error}\nbroker:\n{broker.log()[-2000:]}")
        return 1
    finally:
        broker.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
