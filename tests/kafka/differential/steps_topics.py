"""Topics: made, changed, described, deleted."""
from world import step

TOPIC_CONFIGS = {
    "cleanup.policy": ["delete", "compact", "compact,delete", "delete,compact", "", "shred", "Delete"],
    "compression.type": ["producer", "gzip", "uncompressed", "none", "zstd", "bzip", ""],
    "max.message.bytes": ["1000", "1048588", "0", "-1", "abc", "33554432", "2147483648", "400"],
    "message.timestamp.type": ["CreateTime", "LogAppendTime", "createtime", "x"],
    "retention.ms": ["604800000", "-1", "-2", "86400000", "abc", "9223372036854775807", " 86400000 "],
    "retention.bytes": ["-1", "1000000000", "1.5"],
    "segment.bytes": ["1073741824", "1048576", "13", "1000"],
    "min.insync.replicas": ["1", "0", "-1"],
    "unclean.leader.election.enable": ["true", "false", "TRUE", "maybe"],
    "file.delete.delay.ms": ["60000", "-1", "0"],
    "flush.ms": ["1000", "-1", "9223372036854775807"],
    "flush.messages": ["1", "0", "9223372036854775807"],
    "segment.ms": ["604800000", "0", "1"],
    "min.cleanable.dirty.ratio": ["0.5", "0", "1", "1.1", "-0.1", "half"],
    "delete.retention.ms": ["86400000", "-1"],
    "min.compaction.lag.ms": ["0", "-1", "5"],
    "max.compaction.lag.ms": ["1", "0", "9223372036854775807"],
    "index.interval.bytes": ["4096", "0", "-1"],
    "segment.index.bytes": ["10485760", "3", "1048576"],
    "segment.jitter.ms": ["0", "-1", "3"],
    "preallocate": ["true", "false", "1"],
    "message.timestamp.before.max.ms": ["9223372036854775807", "86400000", "-1", "1.5"],
    "message.timestamp.after.max.ms": ["9223372036854775807", "3600000", "86400000", "-1"],
    "no.such.config": ["1"],
    "": ["x"],
}


def config(world, null=3):
    name = world.random.choice(list(TOPIC_CONFIGS))
    if world.chance(50):
        name = world.pick("cleanup.policy", "max.message.bytes", "message.timestamp.type",
                          "message.timestamp.before.max.ms", "message.timestamp.after.max.ms",
                          "retention.ms", "compression.type")
    value = TOPIC_CONFIGS[name][0] if world.chance(50) else world.random.choice(TOPIC_CONFIGS[name])
    return {"Name": name, "Value": None if world.chance(null) else value}


def new_topic(world):
    name = world.fresh_name() if world.chance(85) else world.topic_name(odd=30)
    topic = {"Name": name, "NumPartitions": world.pick(1, 2, 3, 4), "ReplicationFactor": 1}
    if world.chance(15):
        topic["NumPartitions"] = world.pick(-1, 0, -2, 5)
    if world.chance(15):
        topic["ReplicationFactor"] = world.pick(-1, 0, -2, 2, 3)
    if world.chance(8):
        if world.chance(80):
            topic["NumPartitions"] = topic["ReplicationFactor"] = -1
        topic["Assignments"] = [
            {"PartitionIndex": i if world.chance(90) else world.pick(0, -1, 5),
             "BrokerIds": [1] if world.chance(80) else world.pick([], [2], [1, 1], [1, 2], [-1])}
            for i in range(world.random.randint(1, 3))]
    if world.chance(40):
        topic["Configs"] = world.some(1, 2, lambda: config(world))
    return topic


@step("CreateTopics", 7)
def create_topics(world, version):
    fields = {"Topics": world.some(1, 2, lambda: new_topic(world)),
              "timeoutMs": 15000, "validateOnly": version > 0 and world.chance(10)}
    if world.chance(3):
        fields["Topics"] += [dict(fields["Topics"][0])]
    if world.chance(2):
        fields["Topics"] = []

    def after(answers):
        if fields["validateOnly"]:
            return
        for each in answers["kafka"]["Topics"]:
            if each["ErrorCode"] == 0:
                world.made_topics.append(each["Name"])
    return fields, after


@step("DeleteTopics", 1.2)
def delete_topics(world, version):
    def state():
        name = world.topic_name(unknown=15)
        if world.chance(50):
            return {"Name": name}
        # Both at once is refused.
        return {"Name": name if world.chance(5) else None, "TopicId": world.topic_id(name)}
    fields = {"TimeoutMs": 15000}
    if version < 6:
        fields["TopicNames"] = world.topic_names(1, 2, unknown=15)
        if world.chance(3):
            fields["TopicNames"] *= 2
    else:
        fields["Topics"] = world.some(1, 2, state)
        both = [t for t in fields["Topics"] if t["Name"] and t.get("TopicId")]
        if both:  # alone, or nothing tells its answer from the other's
            fields["Topics"] = both[:1]

    def after(answers):
        for each in answers["kafka"]["Responses"]:
            if each["ErrorCode"] == 0:
                world.deleted_topics.append(each["Name"])
    return fields, after


@step("CreatePartitions", 2)
def create_partitions(world, version):
    def topic():
        name = world.topic_name()
        known = world.topics.get(name)
        now = known.partitions if known else 1
        count = now + world.pick(1, 2) if world.chance(70) else world.pick(now, now - 1, 0, -1)
        made = {"Name": name, "Count": count}
        if world.chance(15):
            made["Assignments"] = [
                {"BrokerIds": [1] if world.chance(80) else world.pick([], [2], [1, 1], [1, 2])}
                for _ in range(max(count - now, 0) if world.chance(80) else 1)]
        return made
    fields = {"Topics": world.some(1, 2, topic), "TimeoutMs": 15000,
              "ValidateOnly": world.chance(10)}

    def after(answers):
        if fields["ValidateOnly"]:
            return
        counts = {t["Name"]: t["Count"] for t in fields["Topics"]}
        for each in answers["kafka"]["Results"]:
            if each["ErrorCode"] == 0:
                world.grown_topics.append((each["Name"], counts[each["Name"]]))
    return fields, after


@step("Metadata", 5)
def metadata(world, version):
    def topic():
        name = world.topic_name(unknown=12)
        if version >= 10 and world.chance(40):
            return {"Name": None if world.chance(90) else name, "TopicId": world.topic_id(name)}
        return {"Name": name}
    fields = {"Topics": world.some(0 if world.chance(10) else 1, 3, topic),
              "AllowAutoTopicCreation": version < 4 or world.chance(15)}
    if version > 0 and world.chance(10):
        fields["Topics"] = None
    if version < 4:
        # Version 0 to 3 may create whatever they name.
        fields["AllowAutoTopicCreation"] = True
    for name in ("IncludeClusterAuthorizedOperations", "IncludeTopicAuthorizedOperations"):
        if version >= 8 and (version <= 10 or "Topic" in name):
            fields[name] = world.chance(20)

    def after(answers):
        """An unknown topic is created by asking for it."""
        world.made_topics += answers.get("created", ())
    return fields, after


@step("DescribeTopicPartitions", 1)
def describe_topic_partitions(world, version):
    fields = {"Topics": [{"Name": n} for n in dict.fromkeys(world.topic_names(0, 3))],
              "ResponsePartitionLimit": world.pick(2000, 2000, 1, 2, 3, 0, -1)}
    if not fields["Topics"]:  # no page that ends within Kafka's own topics
        fields["ResponsePartitionLimit"] = 2000
    if world.chance(20):
        name = world.topic_name(odd=0)
        index = world.partition(name)  # Kafka adds to it, and the greatest becomes the least
        fields["Cursor"] = {"TopicName": name, "PartitionIndex": min(index, 2**31 - 2)}
    return fields


@step("DescribeCluster", 0.5)
def describe_cluster(world, version):
    fields = {"IncludeClusterAuthorizedOperations": world.chance(30)}
    if version >= 1:
        fields["EndpointType"] = world.pick(1, 1, 1, 2, 3, 0)
    if version >= 2:
        fields["IncludeFencedBrokers"] = world.chance(30)
    return fields


@step("FindCoordinator", 1)
def find_coordinator(world, version):
    kind = world.pick(0, 0, 0, 0, 3) if version >= 1 else 0
    if version >= 4:
        return {"KeyType": kind, "CoordinatorKeys": world.some(0, 3, world.group_name)}
    return {"KeyType": kind, "Key": world.group_name()} if version else {"Key": world.group_name()}


@step("ApiVersions", 0.7)
def api_versions(world, version):
    if version < 3:
        return {}
    return {"ClientSoftwareName": world.pick("referee", "a-b.c", "", "a b", "-x", "ü"),
            "ClientSoftwareVersion": world.pick("1", "1.0", "", "1 0", "-")}

