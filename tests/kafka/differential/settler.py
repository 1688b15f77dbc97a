"""Waits until Kafka shows what it has acknowledged, and asks either broker what lies where."""
import time

import batches
import pair
import schema

SETTLE_SECONDS = 8


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
