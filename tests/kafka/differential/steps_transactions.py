"""Transactions: begun, written to, joined by groups, committed, aborted, listed."""
import batches
from steps_groups import groups_member
from steps_records import records, stamps
from world import step


class Transactional:
    """A transactional id, with the producer that its last owner was given."""

    def __init__(self, name):
        self.name = name
        self.id = None
        self.epochs = {"kafka": -1, "runnel": -1}
        self.next = {}
        self.partitions = set()

    def epoch(self, more=0):
        """As each broker gave it, and `more`."""
        return lambda side: max(0, self.epochs[side] + more)

    def take_epochs(self, answers):
        self.epochs = {side: answers[side]["ProducerEpoch"] for side in self.epochs}


def ids(world):
    if not world.transactional:
        for i in range(2):
            name = f"{world.prefix}x{i}"
            world.transactional[name] = Transactional(name)
    return world.transactional


def some_id(world):
    return world.random.choice(list(ids(world).values()))


def who(world):
    """Transactional id, producer id and epoch as a request names them, most often right."""
    found = some_id(world)
    name, producer, epoch = found.name, found.id if found.id is not None else 7777777, found.epoch()
    if world.chance(4):
        name = world.pick("", f"{world.prefix}nobody")
    if world.chance(3):
        producer = world.pick(-1, 7777777)
    if world.chance(6):
        epoch = found.epoch(world.pick(-1, 1))
    return found, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch}


@step("InitProducerId", 3, name="init_transactional")
def init_transactional(world, version):
    found = some_id(world)
    fields = {"TransactionalId": found.name if world.chance(95) else "",
              "TransactionTimeoutMs": 60000 if world.chance(93) else world.pick(0, -1, 900001)}
    if version >= 3 and found.id is not None and world.chance(35):
        fields["ProducerId"] = found.id if world.chance(90) else 7777777
        fields["ProducerEpoch"] = found.epoch(0 if world.chance(85) else world.pick(-1, 1))

    def after(answers):
        kafka = answers["kafka"]
        if kafka["ErrorCode"] == 0:
            found.id = world.symbol("producer", answers, lambda a: a["ProducerId"])
            found.take_epochs(answers)
            world.touched |= {p for p in found.partitions if p[0] in world.topics}
            found.next, found.partitions = {}, set()
            world.ended = True
    return fields, after


@step("AddPartitionsToTxn", 3)
def add_partitions_to_txn(world, version):
    found, named = who(world)
    topics = {n: list(dict.fromkeys(world.partitions(n, odd=3)))
              for n in dict.fromkeys(world.topic_names(1, 2, odd=1, unknown=4))}
    fields = {f"V3AndBelow{k}": v for k, v in named.items()}
    fields["V3AndBelowTopics"] = [{"Name": n, "Partitions": p} for n, p in topics.items()]

    def after(answers):
        for topic in answers["kafka"]["ResultsByTopicV3AndBelow"]:
            for part in topic["ResultsByPartition"]:
                if part["PartitionErrorCode"] == 0:
                    found.partitions.add((topic["Name"], part["PartitionIndex"]))
    return fields, after


@step("Produce", 6, name="produce_transactional")
def produce_transactional(world, version):
    found = some_id(world)
    places = sorted(p for p in found.partitions if p[0] in world.topics)
    if places and world.chance(88):
        name, index = world.random.choice(places)
    else:
        name = world.topic_name(odd=0, unknown=3)
        index = world.partition(name, odd=3)
    content, time = records(world), stamps(world)
    sequence = found.next.get((name, index), 0)
    if world.chance(6):
        sequence = max(0, sequence + world.pick(-1, 1, -len(content)))
    epoch = found.epoch(world.pick(1, -1) if world.chance(4) else 0)
    transactional = batches.TRANSACTIONAL if world.chance(94) else 0

    def content_of(side):
        producer = found.id.values[side] if found.id is not None else 7777777
        return batches.batch(content, time, producer=(producer, epoch(side), sequence),
                             attributes=transactional)
    topic = {"PartitionData": [{"Index": index, "Records": content_of}]}
    topic.update({"TopicId": world.topic_id(name)} if version >= 13 else {"Name": name})
    fields = {"TransactionalId": found.name if world.chance(97) else f"{world.prefix}x0",
              "Acks": -1, "TimeoutMs": 15000, "TopicData": [topic]}

    def after(answers):
        part = answers["kafka"]["Responses"][0]["PartitionResponses"][0]
        if part["ErrorCode"] == 0:
            found.next[name, index] = max(found.next.get((name, index), 0),
                                          sequence + len(content))
            found.partitions.add((name, index))
            world.touched.add((name, index))
    return fields, after


@step("AddOffsetsToTxn", 2)
def add_offsets_to_txn(world, version):
    _, named = who(world)
    return {**named, "GroupId": world.random.choice(list(world.groups))}


@step("TxnOffsetCommit", 3)
def txn_offset_commit(world, version):
    _, named = who(world)
    name = world.random.choice(list(world.groups))
    topics = [{"Name": n, "Partitions": [
        {"PartitionIndex": p, "CommittedOffset": max(0, world.offset(n, p)),
         "CommittedMetadata": world.pick("", "t", None)} for p in dict.fromkeys(
             world.partitions(n))]} for n in dict.fromkeys(world.topic_names(1, 2, odd=1, unknown=4))]
    fields = {**named, "GroupId": name, "Topics": topics}
    if version >= 3 and world.chance(40):
        member = groups_member(world, world.groups[name])
        if member is not None:
            fields.update({"MemberId": member.id, "GenerationId": member.generation,
                           "GroupInstanceId": member.instance})
        elif world.chance(30):
            fields.update({"MemberId": "never-given", "GenerationId": 1})
    return fields


@step("EndTxn", 3)
def end_txn(world, version):
    found, named = who(world)
    fields = {**named, "Committed": world.chance(60)}

    def after(answers):
        kafka = answers["kafka"]
        if kafka["ErrorCode"] != 0:
            return
        world.touched |= {p for p in found.partitions if p[0] in world.topics}
        found.partitions = set()
        world.ended = True
        if version >= 5 and kafka["ProducerId"] >= 0:
            found.id = world.symbol("producer", answers, lambda a: a["ProducerId"])
            found.take_epochs(answers)
            found.next = {}
    return fields, after


@step("WriteTxnMarkers", 2)
def write_txn_markers(world, version):
    """What only brokers send, and anybody can: a marker past the coordinator. Its coordinator epoch
    is never ahead, for Kafka's own markers would be refused from then on."""
    markers = {}
    for _ in range(world.pick(1, 1, 1, 2)):
        found, named = who(world)
        topics = {}
        for name, index in sorted(found.partitions):
            if world.chance(60):
                topics.setdefault(name, []).append(index)
        if not topics or world.chance(15):
            name = world.topic_name(odd=1)
            topics.setdefault(name, []).append(world.partition(name))
        markers[id(found)] = {  # a producer once, and a partition
            "ProducerId": named["ProducerId"], "ProducerEpoch": named["ProducerEpoch"],
            "TransactionResult": world.chance(50), "CoordinatorEpoch": world.pick(0, 0, 0, 0, -1),
            "Topics": [{"Name": n, "PartitionIndexes": list(dict.fromkeys(p))}
                       for n, p in topics.items()] if world.chance(97) else []}
        world.touched |= {(n, p) for n, ps in topics.items() for p in ps if n in world.topics}
    unique = {str(m["ProducerId"]): m for m in markers.values()}

    def is_written(marker):
        return any(t["Name"] in world.topics and 0 <= p < world.topics[t["Name"]].partitions
                   for t in marker["Topics"] for p in t["PartitionIndexes"])
    return {"Markers": sorted(unique.values(), key=is_written)}, lambda answers: None


@step("DescribeTransactions", 1, name="describe_some_transactions")
def describe_some_transactions(world, version):
    return {"TransactionalIds": [t.name for t in ids(world).values()][:world.pick(1, 2)] +
            ([f"{world.prefix}nobody"] if world.chance(15) else [])}


@step("ListTransactions", 1, name="list_own_transactions")
def list_own_transactions(world, version):
    fields = {"StateFilters": world.pick([], ["Ongoing"], ["Empty", "CompleteCommit"], ["Odd"]),
              "ProducerIdFilters": []}
    if version >= 2:
        fields["TransactionalIdPattern"] = world.pick(None, "", f"{world.prefix}.*", ".*x0", "[")
    return fields
