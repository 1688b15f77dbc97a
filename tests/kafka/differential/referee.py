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
import batches
import brokers
import pair
import schema
import steps_admin  # noqa: F401  registers its steps, as do the next four
import steps_groups  # noqa: F401
import steps_records  # noqa: F401
import steps_topics  # noqa: F401
import steps_transactions
import world as worlds
from compare import Comparison, Difference, shown

STEPS_OF_A_SEQUENCE = 40
WANTED_EVERY = 4  # steps
LANES = 3
# Kafka shares partitions out anew at most once a second; Runnel does so at once.
KAFKA_SETTINGS = {"group.consumer.assignment.interval.ms": "0",
                  "group.consumer.min.assignment.interval.ms": "0"}
# How long an answer that may wait for other members is waited for.
BLOCK_SECONDS = 0.2
MAY_BLOCK = {"JoinGroup", "SyncGroup"}
SETTLE_SECONDS = 8
EARLIEST, MAX_TIMESTAMP = -2, -3  # instead of a time, in ListOffsets
CONCURRENT = 51  # CONCURRENT_TRANSACTIONS: try again
# Array of each API that lists everything there is: only the sequence's own is compared.
LISTS = {"ListGroups": ("Groups", "GroupId"), "Metadata": ("Topics", "Name"),
         "DescribeTopicPartitions": ("Topics", "Name"), "DescribeLogDirs": ("Topics", "Name"),
         "ListTransactions": ("TransactionStates", "TransactionalId")}


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


class Settler:
    """Waits until Kafka shows what it has acknowledged, which it does a little later."""

    def __init__(self, table, ports):
        self.table = table
        self.lane = pair.Lane(ports)

    def ask(self, side, name, version, value):
        connection = self.lane.connections[side]
        request, response, _ = self.table.apis[name]
        connection.send(request, version, pair.resolve(value, side))
        frame = connection.receive(pair.ANSWER_SECONDS)
        return schema.read_response(response, version, frame)[1]

    def topic(self, side, name):
        answer = self.ask(side, "Metadata", 12, {"Topics": [{"Name": name}],
                                                 "AllowAutoTopicCreation": False})
        return answer["Topics"][0]

    def offsets(self, name, partitions, timestamp, side="kafka"):
        """By partition; None where Kafka does not lead it yet."""
        answer = self.ask(side, "ListOffsets", 7, {"ReplicaId": -1, "Topics": [
            {"Name": name, "Partitions": [{"PartitionIndex": p, "Timestamp": timestamp}
                                          for p in range(partitions)]}]})
        return [None if p["ErrorCode"] else p["Offset"] for p in sorted(
            answer["Topics"][0]["Partitions"], key=lambda p: p["PartitionIndex"])]

    def records(self, side, name, partition, offset):
        answer = self.ask(side, "Fetch", 11, {
            "MaxWaitMs": 0, "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [
                {"Topic": name, "Partitions": [{"Partition": partition, "FetchOffset": offset,
                                                "CurrentLeaderEpoch": -1, "LogStartOffset": -1,
                                                "PartitionMaxBytes": 1 << 20}]}]})
        return answer["Responses"][0]["Partitions"][0]["Records"] or b""

    def stamp(self, side, name, partition, offset):
        """When the broker made or took the batch at `offset`; None if the producer said when."""
        found = batches.parse(self.records(side, name, partition, offset))
        by_broker = batches.LOG_APPEND_TIME | batches.CONTROL
        return found[0]["max_time"] if found and found[0]["attributes"] & by_broker else None

    def until(self, what, check):
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            found = check()
            if found is not None:
                return found
            time.sleep(0.005)
        raise TimeoutError(what)

    def present(self, name, partitions=None):
        def check():
            topic = self.topic("kafka", name)
            if topic["ErrorCode"] or any(p["LeaderId"] < 0 for p in topic["Partitions"]):
                return None
            if partitions is not None and len(topic["Partitions"]) != partitions:
                return None
            if None in self.offsets(name, len(topic["Partitions"]), -1):
                return None
            return topic
        return self.until(f"topic {name}", check)

    def transactions_ended(self, world):
        """Kafka answers first and writes the markers then."""
        answer = self.ask("kafka", "DescribeTransactions", 0, {
            "TransactionalIds": list(world.transactional)})
        return None if any(t["TransactionState"].startswith("Prepare")
                           for t in answer["TransactionStates"]) else True

    def settle(self, world):
        made, gone, grown = world.made_topics, world.deleted_topics, world.grown_topics
        for name in world.made_topics:
            kafka = self.present(name)
            runnel = self.topic("runnel", name)
            if name not in world.topics:
                symbol = world.symbols.find("kafka", "topic", kafka["TopicId"]) or \
                    world.symbols.pair("topic", kafka["TopicId"], runnel["TopicId"])
                world.add_topic(name, len(kafka["Partitions"]), symbol)
        for name in world.deleted_topics:
            self.until(f"topic {name} to go",
                       lambda n=name: True if self.topic("kafka", n)["ErrorCode"] == 3 else None)
            world.remove_topic(name)
            time.sleep(0.05)  # groups forget their offsets behind it
        for name, partitions in world.grown_topics:
            self.present(name, partitions)
            topic = world.topics[name]
            topic.ends += [0] * (partitions - topic.partitions)
        if world.ended:
            self.until("the end of transactions", lambda: self.transactions_ended(world))
        for name, _ in world.touched:
            if name in world.topics:
                world.topics[name].ends = self.offsets(name, world.topics[name].partitions, -1)
        if (made or grown or gone) and any(g.members for g in world.consumer_groups.values()):
            time.sleep(2.5)  # Runnel looks about once a second whether a group's topics have changed
        if world.altered:
            time.sleep(0.04)
        world.made_topics, world.deleted_topics, world.grown_topics = [], [], []
        world.touched, world.altered, world.ended = set(), False, False


class Sequence:
    """`wanted`: an API and a version of it that have to come, too."""

    def __init__(self, seed, table, ports, settler, totals, verbose, wanted=None):
        self.table = table
        self.wanted = wanted
        self.totals = totals
        self.verbose = verbose
        self.symbols = pair.Symbols()
        self.world = worlds.World(seed, self.symbols, table)
        self.random = self.world.random
        self.lanes = [pair.Lane(ports) for _ in range(LANES)]
        self.settler = settler
        self.afters = {}
        self.failures = []
        self.over = False
        self.log = []

    def run(self):
        # Groups that are told their partitions make every change of a topic slow: see Settler.
        told = self.world.chance(20)
        transactional = not told and self.world.chance(40)
        if self.wanted:
            told, transactional = self.wanted[0] == "ConsumerGroupHeartbeat", True
        steps = [(name, s) for name, s in worlds.STEPS.items() if s[0] in self.table.apis and
                 (told or s[0] != "ConsumerGroupHeartbeat") and
                 (transactional or s[2].__module__ != steps_transactions.__name__)]
        weights = [s[1] for _, s in steps]
        try:
            for number in range(STEPS_OF_A_SEQUENCE):
                free = [lane for lane in self.lanes if lane.pending is None]
                if not free:
                    break
                _, (api, _, function) = self.random.choices(steps, weights)[0]
                version = self.random.randint(*self.table.apis[api][2])
                if self.wanted and number % WANTED_EVERY == 0:
                    api, version = self.wanted
                    function = self.random.choice([s[2] for _, s in steps if s[0] == api])
                self.step(self.random.choice(free), api, version, function)
                for lane in self.lanes:
                    if lane.pending is not None and not self.over:
                        self.finish(lane, 0.01)
                if self.over:
                    break
        finally:
            for lane in self.lanes:
                lane.close()
            self.clean()
        return self.failures

    def step(self, lane, api, version, function):
        request, response, _ = self.table.apis[api]
        made = function(self.world, version)
        fields, after = made if isinstance(made, tuple) else (made, None)
        self.note(f"{api} {version} {fields}")
        lane.send((request, response, api), version, fields)
        self.afters[id(lane)] = after
        self.totals.requests[api, version] += 1
        self.finish(lane, BLOCK_SECONDS if api in MAY_BLOCK else pair.ANSWER_SECONDS)

    def finish(self, lane, seconds):
        (request, response, api), version, fields = lane.pending
        frames = lane.collect(seconds)
        if frames is None:
            if api not in MAY_BLOCK:
                self.fail(Difference(api, version, "", "no answer", "no answer"))
            return
        if any(not isinstance(frame, bytes) for frame in frames.values()):
            self.not_answered(lane, api, version, frames, fields)
            return
        answers = {}
        for side, frame in frames.items():
            try:
                answers[side] = schema.read_response(response, version, frame)[1]
            except Exception as error:
                self.fail(Difference(api, version, f"the answer of {side}", error, frame.hex()))
                return
        self.ask_again(lane, (request, response, api), version, fields, answers)
        self.only_own(api, fields, answers)
        if api == "ListOffsets":
            self.take_deleted(fields, answers)
            self.take_clocks(answers)
        for rule in allowed.prepare(api, version, fields, answers):
            self.totals.allowed[rule] += 1
            self.over = self.over or rule.ends
        for side in pair.SIDES:
            self.note(f"    {side}: {answers[side]}")
        if api == "Fetch":
            self.take_segments(fields, answers)
        comparison = Comparison(api, version, self.symbols, fields, answers)
        comparison.struct(response.fields, answers["kafka"], answers["runnel"])
        self.totals.orders.update(comparison.orders)
        for difference in comparison.differences:
            rule = allowed.find(difference, self.settler.ask)
            if rule is None:
                self.fail(difference)
            else:
                self.totals.allowed[rule] += 1
                self.over = self.over or rule.ends
        after = self.afters.pop(id(lane))
        if not self.over and after is not None:
            after(answers)
            try:
                self.settler.settle(self.world)
            except TimeoutError as error:
                self.fail(Difference(api, version, "settling", f"does not show {error}", ""))

    def take_clocks(self, answers):
        """Times that the brokers stamped on what lies at the same offset differ. That they did is
        not believed but looked up: each broker's answer has to be the time of such a batch."""
        theirs = {(t["Name"], p["PartitionIndex"]): p for t in answers["kafka"]["Topics"]
                  for p in t["Partitions"]}
        for topic in answers["runnel"]["Topics"]:
            for own in topic["Partitions"]:
                place = topic["Name"], own["PartitionIndex"]
                found = theirs.get(place, own)
                if (found.get("Timestamp") == own.get("Timestamp") or
                        found["Offset"] != own["Offset"]):
                    continue
                if all(self.settler.stamp(side, *place, own["Offset"]) == part["Timestamp"]
                       for side, part in (("kafka", found), ("runnel", own))):
                    own["Timestamp"] = found["Timestamp"]
                    self.totals.allowed[allowed.OWN_CLOCK] += 1

    def take_deleted(self, fields, answers):
        """Kafka names a record that is deleted where the greatest timestamp is asked for and there
        are others of its batch. Runnel's answer has to lie in the log, which begins where Kafka's
        does, and to be no later in time."""
        asked = {(t["Name"], p["PartitionIndex"]) for t in fields["Topics"]
                 for p in t["Partitions"] if p["Timestamp"] == MAX_TIMESTAMP}
        own = {(t["Name"], p["PartitionIndex"]): p for t in answers["runnel"]["Topics"]
               for p in t["Partitions"]}
        for topic in answers["kafka"]["Topics"]:
            for part in topic["Partitions"]:
                name, index = place = topic["Name"], part["PartitionIndex"]
                if place not in asked or part["ErrorCode"] or part["Offset"] < 0 or \
                        own[place]["Offset"] <= part["Offset"]:
                    continue
                starts = [self.settler.offsets(name, index + 1, EARLIEST, side)[index]
                          for side in pair.SIDES]
                if starts[0] == starts[1] and part["Offset"] < starts[0] <= own[place]["Offset"] and \
                        own[place]["Timestamp"] <= part["Timestamp"]:
                    part.update({n: own[place][n] for n in ("Offset", "Timestamp")})
                    self.totals.allowed[allowed.DELETED] += 1

    def take_segments(self, fields, answers):
        """One answer of Kafka ends with a segment of its log. Where it gave less than Runnel, it is
        asked on from there, and has to give the rest, which it was given the room for."""
        limits = {(t["Topic"] if "Topic" in t else pair.resolve(t["TopicId"], "runnel"),
                   p["Partition"]):
                  min(p["PartitionMaxBytes"], fields["MaxBytes"])
                  for t in fields["Topics"] for p in t["Partitions"]}
        names = {t.id.values["runnel"]: n for n, t in self.world.topics.items()}
        theirs = {(t["Topic"] if "Topic" in t else
                   self.symbols.find("kafka", "topic", t["TopicId"]), p["PartitionIndex"]): p
                  for t in answers["kafka"].get("Responses", ()) for p in t["Partitions"]}
        for topic in answers["runnel"].get("Responses", ()):
            named = "Topic" in topic
            key = topic["Topic"] if named else topic["TopicId"]
            for own in topic["Partitions"]:
                place = (key if named else self.symbols.find("runnel", "topic", key),
                         own["PartitionIndex"])
                given = theirs.get(place, own)["Records"]
                kafka, runnel = batches.parse(given), batches.parse(own["Records"])
                if not 0 < len(kafka) < len(runnel) or \
                        len(own["Records"]) > limits[key, own["PartitionIndex"]]:
                    continue
                first = runnel[len(kafka)]["base"]
                rest = self.settler.records("kafka", key if named else names[key],
                                            own["PartitionIndex"], first)
                theirs[place]["Records"] = given + rest[:len(own["Records"]) - len(given)]
                self.totals.allowed[allowed.SEGMENTS] += 1

    @staticmethod
    def is_behind(api, answers):
        """Kafka says that a transaction is still ending, Runnel that it has ended; or Kafka does not
        show a group yet that it has answered a member of."""
        kafka, runnel = answers["kafka"], answers["runnel"]
        if api == "DescribeGroups":
            known = {g["GroupId"] for g in runnel["Groups"] if g["Members"]}
            return any(g["GroupState"] == "Dead" and g["GroupId"] in known for g in kafka["Groups"])
        return allowed.has_error(kafka, CONCURRENT) and not allowed.has_error(runnel, CONCURRENT)

    def ask_again(self, lane, message, version, fields, answers):
        request, response, api = message
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.is_behind(api, answers) and time.monotonic() < deadline:
            time.sleep(0.02)
            connection = lane.connections["kafka"]
            connection.send(request, version, pair.resolve(fields, "kafka"))
            frame = connection.receive(pair.ANSWER_SECONDS)
            answers["kafka"] = schema.read_response(response, version, frame)[1]
            self.totals.again[api] += 1

    def not_answered(self, lane, api, version, frames, fields):
        words = {side: "closed" if frame is None else "no answer" if isinstance(frame, str) else
                 "answered" for side, frame in frames.items()}
        self.note(f"    {words}")
        if len(set(words.values())) == 1:
            lane.reset()
            return
        for side, frame in frames.items():
            if isinstance(frame, bytes):
                response = self.table.apis[api][1]
                words[side] = schema.read_response(response, version, frame)[1]
        difference = Difference(api, version, "connection", words["kafka"], words["runnel"], fields)
        rule = allowed.find(difference, self.settler.ask)
        if rule is None:
            self.fail(difference)
            return
        self.totals.allowed[rule] += 1
        self.over = rule.ends
        lane.reset()

    def only_own(self, api, fields, answers):
        if api not in LISTS or fields.get("Topics"):
            return
        array, name = LISTS[api]
        for answer in answers.values():
            if api == "DescribeLogDirs":
                answer = answer["Results"][0]
            answer[array] = [e for e in answer[array] or []
                             if (e[name] or "").startswith(self.world.prefix) and
                             e[name] not in self.world.ghosts]

    def note(self, text):
        self.log.append(text)
        if self.verbose:
            print(text if len(text) < 40000 else text[:40000] + "...")

    def fail(self, difference):
        self.failures.append(difference)
        self.over = True
        self.totals.details.setdefault(difference.signature(), self.log[-3:])

    def clean(self):
        """Topics go, so that listings stay short. Groups stay; no other sequence has their names."""
        names = list(self.world.topics)
        for side in pair.SIDES:
            if names:
                self.settler.ask(side, "DeleteTopics", 3, {"TopicNames": names, "TimeoutMs": 9000})


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
        for each in allowed.LEFT_OUT:
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


def warm_up(settler):
    """Kafka makes its own topics when they are first needed."""
    groups = [f"warm-{i}" for i in range(40)]

    def ready():
        for name in groups:
            found = settler.ask("kafka", "FindCoordinator", 1, {"Key": name, "KeyType": 0})
            if found["ErrorCode"]:
                return None
            if settler.ask("kafka", "FindCoordinator", 1, {"Key": name, "KeyType": 1})["ErrorCode"]:
                return None
            fetched = settler.ask("kafka", "OffsetFetch", 5, {"GroupId": name, "Topics": []})
            if fetched["ErrorCode"]:
                return None
        made = settler.ask("kafka", "InitProducerId", 1, {"TransactionalId": None,
                                                          "TransactionTimeoutMs": 60000})
        return None if made["ErrorCode"] else True
    settler.until("the coordinators", ready)


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
