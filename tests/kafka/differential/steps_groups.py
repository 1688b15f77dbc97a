"""Groups: joined, synchronised, left, described, with their offsets."""
import struct

from world import Member, step

SESSION_MS = 600000
# Kafka's way of saying what a consumer subscribes to, and what it was given.
ASSIGNMENT = struct.pack(">hi", 0, 0) + b"\xff\xff\xff\xff"


def subscription(world):
    names = [n.encode() for n in list(world.topics)[:2]]
    return struct.pack(">hi", 0, len(names)) + b"".join(
        struct.pack(">h", len(n)) + n for n in names) + b"\xff\xff\xff\xff"


def protocols(world):
    sets = [["range"], ["range", "roundrobin"], ["roundrobin", "range"], ["sticky"]]
    names = sets[1] if world.chance(70) else world.random.choice(sets)
    if world.chance(3):
        return []
    return [{"Name": n, "Metadata": subscription(world)} for n in names]


def groups_member(world, group):
    return world.random.choice(group.members) if group and group.members else None


def joining(world, version):
    """The group and the member that joins, or None for a new one."""
    name = world.group_name()
    group = world.groups.get(name)
    member = groups_member(world, group) if world.chance(55) else None
    return name, group, member


@step("JoinGroup", 8)
def join_group(world, version):
    name, group, member = joining(world, version)
    instance = None
    if version >= 5 and world.chance(25):
        instance = member.instance if member and world.chance(85) else world.pick("i1", "i2")
    elif version >= 5 and member and world.chance(90):
        instance = member.instance
    fields = {"GroupId": name, "SessionTimeoutMs": SESSION_MS,
              "MemberId": member.id if member else "",
              "ProtocolType": "consumer" if world.chance(95) else world.pick("connect", ""),
              "Protocols": protocols(world)}
    if world.chance(3):
        fields["SessionTimeoutMs"] = world.pick(0, -1, 5999, 1800001, 2**31 - 1)
    if version >= 1:
        fields["RebalanceTimeoutMs"] = SESSION_MS if world.chance(97) else 60000
    if version >= 5:
        fields["GroupInstanceId"] = instance
    if member is None and world.chance(5):
        fields["MemberId"] = "never-given"
    if version >= 8:
        fields["Reason"] = world.pick(None, "why", "")

    def after(answers):
        kafka = answers["kafka"]
        if kafka["ErrorCode"] == 23 and not (group and group.members):
            world.forget_group(name)
        if group is None or not kafka["MemberId"] or kafka["ErrorCode"] not in (0, 79):
            return
        symbol = world.symbol("member", answers, lambda a: a["MemberId"])
        known = next((m for m in group.members if m.id is symbol), None)
        if known is None:
            known = Member(group, symbol, instance)
            group.members = [m for m in group.members if instance is None or m.instance != instance]
            group.members.append(known)
        if kafka["ErrorCode"] == 0:
            known.generation = group.generation = kafka["GenerationId"]
            known.leader = kafka["Leader"] == kafka["MemberId"]
            group.protocol = (fields["ProtocolType"], kafka["ProtocolName"])
    return fields, after


def who(world, odd=6):
    """Group, member and generation of somebody, most often right."""
    member = world.member()
    if member is None or world.chance(odd):
        return (world.group_name(), world.pick("", "never-given", member.id if member else ""),
                world.pick(-1, 0, 1, 5), None)
    generation = member.generation if world.chance(92) else member.generation + world.pick(-1, 1)
    return member.group.name, member.id, generation, member


@step("SyncGroup", 7)
def sync_group(world, version):
    name, member_id, generation, member = who(world)
    if member and member.group.members and world.chance(40):
        leader = next((m for m in member.group.members if m.leader), member)
        member, member_id, generation = leader, leader.id, leader.generation
    fields = {"GroupId": name, "MemberId": member_id, "GenerationId": generation,
              "Assignments": []}
    if member and (member.leader or world.chance(5)):
        given = [m for m in member.group.members if world.chance(90)]
        fields["Assignments"] = [{"MemberId": m.id, "Assignment": ASSIGNMENT + bytes([i])}
                                 for i, m in enumerate(given)]
        if world.chance(5):
            fields["Assignments"] = []
    if version >= 3:
        fields["GroupInstanceId"] = member.instance if member and world.chance(95) else world.pick(
            None, "i1", "unknown")
    if version >= 5:
        kind, protocol = member.group.protocol if member else ("consumer", "range")
        fields["ProtocolType"] = kind if world.chance(93) else world.pick(None, "connect")
        fields["ProtocolName"] = protocol if world.chance(93) else world.pick(None, "other")
    return fields


@step("Heartbeat", 5)
def heartbeat(world, version):
    name, member_id, generation, member = who(world, odd=12)
    fields = {"GroupId": name, "MemberId": member_id, "GenerationId": generation}
    if version >= 3:
        fields["GroupInstanceId"] = member.instance if member and world.chance(90) else world.pick(
            None, "i1", "unknown")
    return fields


@step("LeaveGroup", 2)
def leave_group(world, version):
    name, member_id, _, member = who(world, odd=15)
    if member and member.generation < 0:
        # Kafka rebalances a group when somebody leaves who was only given an id.
        member, member_id = None, "never-given"
    if version < 3:
        fields = {"GroupId": name, "MemberId": member_id}
        leaving = [member] if member else []
    else:
        leaving = [member] if member else []
        members = [{"MemberId": member_id,
                    "GroupInstanceId": member.instance if member else None}]
        if member and member.instance and world.chance(40):
            members[0]["MemberId"] = ""
        if world.chance(10):
            members.append({"MemberId": world.pick("", "never-given"),
                            "GroupInstanceId": world.pick(None, "i1", "unknown")})
        if world.chance(4):
            members = []
        if version >= 5:
            for each in members:
                each["Reason"] = world.pick(None, "enough")
        fields = {"GroupId": name, "Members": members}

    def after(answers):
        kafka = answers["kafka"]
        if kafka["ErrorCode"] != 0:
            return
        failed = version >= 3 and (not kafka["Members"] or kafka["Members"][0]["ErrorCode"] != 0)
        for each in leaving:
            if not failed and each in each.group.members:
                each.group.members.remove(each)
                if each.group.generation < 0 and not each.group.members:
                    world.forget_group(name)
    return fields, after


@step("DescribeGroups", 3)
def describe_groups(world, version):
    fields = {"Groups": list(dict.fromkeys(world.some(0 if world.chance(5) else 1, 2,
                                                      world.group_name)))}
    if version >= 3:
        fields["IncludeAuthorizedOperations"] = world.chance(20)
    return fields


@step("ListGroups", 1.5)
def list_groups(world, version):
    fields = {}
    if version >= 4:
        fields["StatesFilter"] = world.pick([], [], ["Stable"], ["stable", "Empty"], ["Odd"],
                                            ["PreparingRebalance"], ["Dead"], [""])
    if version >= 5:
        fields["TypesFilter"] = world.pick([], [], ["classic"], ["Consumer"], ["odd"], ["share"], [""])
    return fields


@step("DeleteGroups", 1)
def delete_groups(world, version):
    fields = {"GroupsNames": world.some(1, 2, world.group_name)}

    def after(answers):
        for each in answers["kafka"]["Results"]:
            if each["ErrorCode"] == 0:
                for groups in (world.groups, world.consumer_groups):
                    if each["GroupId"] in groups:
                        groups[each["GroupId"]].members.clear()
    return fields, after


# ---------------------------------------------------------------- offsets
def commit_topics(world, version):
    topics = []
    for name in dict.fromkeys(world.topic_names(1, 2, odd=4)):
        parts = [{"PartitionIndex": p, "CommittedOffset": max(0, world.offset(name, p)),
                  "CommittedLeaderEpoch": world.pick(-1, 0, 3) if version >= 6 else -1,
                  "CommittedMetadata": world.pick("", "m", None, "x" * 4096, "x" * 4097, "ü" * 2048,
                                                  "ü" * 3000)}
                 for p in dict.fromkeys(world.partitions(name))]
        topic = {"Partitions": parts}
        topic.update({"TopicId": world.topic_id(name)} if version >= 10 else {"Name": name})
        topics.append(topic)
    if version >= 10:
        topics = list({id(t["TopicId"]): t for t in topics}.values())
    return topics


@step("OffsetCommit", 7)
def offset_commit(world, version):
    name, member_id, generation, member = who(world, odd=15)
    if world.chance(35):  # somebody without a membership
        name, member_id, generation, member = world.group_name(), "", -1, None
    fields = {"GroupId": name, "GenerationIdOrMemberEpoch": generation, "MemberId": member_id,
              "Topics": commit_topics(world, version)}
    if version >= 7:
        fields["GroupInstanceId"] = member.instance if member and world.chance(95) else world.pick(
            None, None, "i1")
    if version <= 4:
        fields["RetentionTimeMs"] = world.pick(-1, -1, 10**9)

    def after(answers):
        """Kafka has made a group even of a commit with too much metadata."""
        refused = {p["ErrorCode"] for t in answers["kafka"]["Topics"] for p in t["Partitions"]}
        group = world.groups.get(name)
        if refused and refused <= {3, 12, 100} and not (group and group.members):
            world.forget_group(name)
    return fields, after


def asked_topics(world, by_id):
    topics = []
    for name in dict.fromkeys(world.topic_names(0 if world.chance(10) else 1, 3, odd=4)):
        topic = {"PartitionIndexes": list(dict.fromkeys(world.partitions(name, 1, 3)))}
        topic.update({"TopicId": world.topic_id(name)} if by_id else {"Name": name})
        topics.append(topic)
    return list({id(t["TopicId"]): t for t in topics}.values()) if by_id else topics


@step("OffsetFetch", 5)
def offset_fetch(world, version):
    stable = {"RequireStable": world.chance(30)} if version >= 7 else {}
    if version < 8:
        fields = {"GroupId": world.group_name(), "Topics": asked_topics(world, False), **stable}
        if version >= 2 and world.chance(30):
            fields["Topics"] = None
        return fields
    groups = []
    for name in dict.fromkeys(world.some(1, 2, world.group_name)):
        topics = None if world.chance(30) else asked_topics(world, version >= 10)
        group = {"GroupId": name, "Topics": topics}
        if version >= 9 and world.chance(30):
            member = groups_member(world, world.groups.get(name)) or groups_member(
                world, world.consumer_groups.get(name))
            group["MemberId"] = member.id if member and world.chance(80) else world.pick(
                None, "never-given", "")
            group["MemberEpoch"] = member.epoch() if member and world.chance(80) else world.pick(
                -1, 0, 9)
        groups.append(group)
    return {"Groups": groups, **stable}


@step("OffsetDelete", 1.5)
def offset_delete(world, version):
    return {"GroupId": world.group_name(), "Topics": [
        {"Name": n, "Partitions": [{"PartitionIndex": p}
                                   for p in dict.fromkeys(world.partitions(n))]}
        for n in dict.fromkeys(world.topic_names(1, 2))]}


# ---------------------------------------------------------------- KIP-848
@step("ConsumerGroupHeartbeat", 3)
def consumer_group_heartbeat(world, version):
    name = world.random.choice(list(world.consumer_groups)) if world.chance(97) else world.pick(
        "", f"{world.prefix}nobody")
    group = world.consumer_groups.get(name)
    member = groups_member(world, group) if world.chance(70) else None
    if member is None:
        world.made += 1
        own = f"{world.prefix}m{world.made}"
        fields = {"GroupId": name, "MemberId": own if version >= 1 and world.chance(95) else "",
                  "MemberEpoch": 0 if world.chance(95) else world.pick(1, -1, -2, -3),
                  "RebalanceTimeoutMs": SESSION_MS if world.chance(95) else world.pick(-1, 0),
                  "SubscribedTopicNames": list(dict.fromkeys(
                      world.topic_names(0 if world.chance(10) else 1, 2, odd=1))),
                  "TopicPartitions": [] if world.chance(95) else None}
        if world.chance(10):
            fields["InstanceId"] = world.pick("ci1", "")
        if world.chance(15):
            fields["ServerAssignor"] = world.pick("uniform", "range", "nonsense", "")
        if world.chance(4):
            fields["SubscribedTopicNames"] = None
    else:
        fields = {"GroupId": name, "MemberId": member.id, "MemberEpoch": member.epoch(),
                  "InstanceId": member.instance}
        if world.chance(10):
            fields["MemberEpoch"] = world.pick(-1, 999, 0, -2)
        if world.chance(20):
            fields["SubscribedTopicNames"] = list(dict.fromkeys(world.topic_names(1, 2, odd=1)))
        if member.owned is not None and world.chance(60):
            fields["TopicPartitions"] = member.owned

    def after(answers):
        kafka = answers["kafka"]
        if group is None or kafka["ErrorCode"] != 0 or not kafka["MemberId"]:
            return
        symbol = world.symbol("member", answers, lambda a: a["MemberId"])
        known = next((m for m in group.members if m.id.number == symbol.number), None)
        if kafka["MemberEpoch"] < 0:
            group.members = [m for m in group.members if m is not known]
            return
        if known is None:
            known = Member(group, symbol, fields.get("InstanceId"))
            group.members.append(known)
        known.generation = kafka["MemberEpoch"]
        known.epochs = {side: answers[side]["MemberEpoch"] for side in ("kafka", "runnel")}
        if kafka["Assignment"] is not None:
            known.owned = [
                {"TopicId": world.symbols.find("kafka", "topic", t["TopicId"]) or t["TopicId"],
                 "Partitions": t["Partitions"]} for t in kafka["Assignment"]["TopicPartitions"]]
    return fields, after


@step("ConsumerGroupDescribe", 1)
def consumer_group_describe(world, version):
    def name():
        return world.random.choice(list(world.consumer_groups)) if world.chance(85) else \
            world.group_name()
    return {"GroupIds": list(dict.fromkeys(world.some(1, 2, name))),
            "IncludeAuthorizedOperations": world.chance(20)}
