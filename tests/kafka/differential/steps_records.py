"""Records: written, read, found by time, deleted."""
import batches
from world import NO_ID, ODD_OFFSETS, Producer, step


def records(world, keyless=15):
    """A few records with all that a record may have."""
    def one():
        key = None if world.chance(keyless) else world.pick(b"a", b"b", b"key-1", b"")
        value = None if world.chance(8) else bytes([world.random.randrange(97, 123)]) * world.pick(
            0, 1, 5, 60, 300)
        headers = world.some(0, 2, lambda: (b"h", world.pick(None, b"", b"v"))) if world.chance(
            20) else []
        return world.pick(0, 0, 1, 5, -3), key, value, headers
    return world.some(1, 4, one)


LIES = (
    lambda w: {"crc": 12345}, lambda w: {"count": w.pick(0, 2, 9, -1, 2**31 - 1)},
    lambda w: {"last_delta": w.pick(0, 7, -1)}, lambda w: {"magic": w.pick(0, 1, 3, -1)},
    lambda w: {"length": w.pick(0, 10, 48, 49, -1, 2**31 - 1)}, lambda w: {"base_offset": w.pick(5, -1)},
    lambda w: {"leader_epoch": 7}, lambda w: {"body": b"\xff" * 9}, lambda w: {"body": b""},
    lambda w: {"max_time": w.pick(-1, 1, w.now + 10)},
    lambda w: {"attributes": batches.LOG_APPEND_TIME},
)


def stamps(world):
    return world.now + world.random.randrange(1000) if world.chance(95) else world.pick(
        -1, -2, 0, world.now + 2 * 86400000, world.now - 1000, world.now - 2 * 86400000)


def plain_batch(world, topic):
    codec = "gzip" if world.chance(15) else "none"
    return batches.batch(records(world), stamps(world), codec)


def false_batch(world, topic):
    chosen = world.random.randrange(len(LIES) + 6)
    if chosen < len(LIES):
        return batches.batch(records(world), stamps(world), **LIES[chosen](world))
    good = plain_batch(world, topic)
    return [b"", good[:-3], good + good, b"\0" * 61, good + b"x",
            batches.batch(records(world), stamps(world), attributes=batches.CONTROL)][
                chosen - len(LIES)]


def produced_partition(world, name, producer):
    partition = world.partition(name, odd=5)
    entry = {"Index": partition}
    if producer is not None:
        sequence = producer.next.get((name, partition), 0)
        content = records(world)
        if world.chance(12):
            sequence = max(0, sequence + world.pick(-1, 1, 5, -len(content)))
        epoch = max(0, producer.epoch + (world.pick(1, -1) if world.chance(4) else 0))
        made = batches.batch(content, stamps(world), producer=(0, epoch, sequence))
        # The producer's id is each broker's own.
        entry["Records"] = lambda side: batches.batch(
            content, made_time, producer=(producer.id.values[side], epoch, sequence))
        made_time = batches.parse(made)[0]["first_time"]
        entry["sequence"] = sequence + len(content)
        entry["count"] = len(content)
    else:
        entry["Records"] = plain_batch(world, name)
    return entry


@step("Produce", 16)
def produce(world, version):
    acks = world.random.choices([-1, 1, 2, -2], [85, 12, 1, 1])[0]
    producer = world.random.choice(world.producers) if world.producers and world.chance(40) else None
    topics, planned = [], []
    names = list(dict.fromkeys(world.topic_names(1, 2, odd=2, unknown=4)))
    for name in names:
        parts = {}
        for _ in range(world.random.randint(1, 2)):
            entry = produced_partition(world, name, producer)
            parts[entry["Index"]] = entry
        for entry in parts.values():
            planned.append((name, entry["Index"], entry.pop("sequence", None),
                            entry.pop("count", None)))
        topic = {"PartitionData": list(parts.values())}
        if version >= 13:
            topic["TopicId"] = world.topic_id(name)
        else:
            topic["Name"] = name
        topics.append(topic)
    if version >= 13:  # the same id twice would be one topic twice
        unique = {id(t["TopicId"]): t for t in topics}
        topics = list(unique.values())
    if producer is None and world.chance(15):
        # Alone: Kafka refuses all that comes in one request with a batch that can't be read.
        del topics[1:], topics[0]["PartitionData"][1:]
        topics[0]["PartitionData"][0]["Records"] = false_batch(world, names[0])
    fields = {"Acks": acks, "TimeoutMs": 15000, "TopicData": topics}

    def after(answers):
        names = {world.topics[n].id.values["kafka"]: n for n in world.topics}
        for topic in answers["kafka"]["Responses"]:
            name = topic.get("Name") or names.get(topic.get("TopicId"))
            for part in topic["PartitionResponses"]:
                if part["ErrorCode"] != 0 or name not in world.topics:
                    continue
                for planned_name, index, sequence, count in planned:
                    if (planned_name, index) == (name, part["Index"]) and sequence is not None:
                        known = producer.next.get((name, index), 0)
                        producer.next[name, index] = max(known, sequence)
                world.touched.add((name, part["Index"]))
    return fields, after


@step("Fetch", 10)
def fetch(world, version):
    topics = []
    names = list(dict.fromkeys(world.topic_names(1, 3, odd=2, unknown=5)))
    for name in names:
        parts = {}
        topic_id = world.topic_id(name)
        # Kafka fails over what it names behind a partition of a topic without an id.
        most = 1 if version >= 13 and topic_id == NO_ID else 3
        for partition in world.partitions(name, 1, most):
            entry = {"Partition": partition, "FetchOffset": world.offset(name, partition, odd=8),
                     "PartitionMaxBytes": world.pick(1048576, 1048576, 1048576, 500, 100, 1, 0)}
            if version >= 9:
                entry["CurrentLeaderEpoch"] = world.epoch()
            if version >= 12:
                entry["LastFetchedEpoch"] = world.pick(-1, -1, -1, 0)
            if version >= 5:
                entry["LogStartOffset"] = -1
            parts[partition] = entry
        topic = {"Partitions": list(parts.values())}
        topic.update({"TopicId": topic_id} if version >= 13 else {"Topic": name})
        topics.append(topic)
    if version >= 13:
        topics = list({id(t["TopicId"]): t for t in topics}.values())
        topics = [t for t in topics if t["TopicId"] is NO_ID] or topics
    fields = {"MaxWaitMs": world.pick(0, 0, 10), "MinBytes": world.pick(0, 1, 1, 100000),
              "MaxBytes": world.pick(52428800, 52428800, 52428800, 1000, 1, 0),
              "IsolationLevel": world.pick(0, 0, 1), "Topics": topics}
    if version >= 7:
        fields["SessionEpoch"] = world.pick(-1, -1, -1, -1, 0, 5)
        fields["SessionId"] = 0 if fields["SessionEpoch"] == -1 or world.chance(70) else 12345
    return fields


@step("ListOffsets", 6)
def list_offsets(world, version):
    def topic(name):
        return {"Name": name, "Partitions": [
            {"PartitionIndex": p, "Timestamp": world.pick(
                -1, -2, -1, -2, -3, -4, -5, -6, -9, 0, world.now, world.now + 5, world.now + 500,
                world.now + 10**9, 1), **({"CurrentLeaderEpoch": world.epoch()} if version >= 4
                                          else {})}
            for p in dict.fromkeys(world.partitions(name, 1, 3))]}
    fields = {"ReplicaId": world.pick(-1, -1, -1, -1, -2, 1) if world.chance(30) else -1,
              "Topics": [topic(n) for n in dict.fromkeys(world.topic_names(1, 2))]}
    if version >= 2:
        fields["IsolationLevel"] = world.pick(0, 1)
    if version >= 10:
        fields["TimeoutMs"] = 1000
    return fields


@step("OffsetForLeaderEpoch", 3)
def offset_for_leader_epoch(world, version):
    def topic(name):
        return {"Topic": name, "Partitions": [
            {"Partition": p, "LeaderEpoch": world.pick(0, 0, 0, -1, 1, 5, -3),
             "CurrentLeaderEpoch": world.epoch()}
            for p in dict.fromkeys(world.partitions(name))]}
    return {"ReplicaId": -1 if world.chance(70) else -2,
            "Topics": [topic(n) for n in dict.fromkeys(world.topic_names(1, 2))]} if version >= 3 \
        else {"Topics": [topic(n) for n in dict.fromkeys(world.topic_names(1, 2))]}


@step("DeleteRecords", 2)
def delete_records(world, version):
    def topic(name):
        return {"Name": name, "Partitions": [
            {"PartitionIndex": p, "Offset": world.random.choice(ODD_OFFSETS) if world.chance(
                30) else world.random.randint(0, world.end(name, p))}
            for p in dict.fromkeys(world.partitions(name))]}
    return {"Topics": [topic(n) for n in dict.fromkeys(world.topic_names(1, 2))],
            "TimeoutMs": 15000}


@step("InitProducerId", 2)
def init_producer_id(world, version):
    fields = {"TransactionalId": None, "TransactionTimeoutMs": world.pick(60000, 60000, 0, -1, 2**31 - 1)}
    if version >= 3 and world.chance(25):
        producer = world.random.choice(world.producers) if world.producers else None
        fields["ProducerId"] = producer.id if producer and world.chance(80) else world.pick(-1, 999999)
        fields["ProducerEpoch"] = producer.epoch if producer and world.chance(80) else world.pick(-1, 0, 5)

    def after(answers):
        if answers["kafka"]["ErrorCode"] == 0:
            symbol = world.symbol("producer", answers, lambda a: a["ProducerId"])
            epoch = answers["kafka"]["ProducerEpoch"]
            for producer in world.producers:
                if producer.id is symbol:
                    producer.epoch = epoch
                    producer.next.clear()
                    return
            world.producers.append(Producer(symbol, epoch))
    return fields, after
