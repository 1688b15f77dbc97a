"""Proofs of the reasons in `allowed`, asked of the brokers."""
import batches
from pair import SIDES, resolve

MARKER_BYTES = 78  # of a batch with a transaction's marker

def is_forgotten(of):
    """Proves that Kafka knows but the names of the groups of(difference), and Runnel nothing."""
    def proof(ask, difference):
        groups = of(difference)
        if not groups:
            return False
        for side, states in (("kafka", ("Empty", "Dead")), ("runnel", ("Dead",))):
            described = ask(side, "DescribeGroups", 5, {"Groups": groups})["Groups"]
            if any(g["GroupState"] not in states or g["ProtocolType"] or g["Members"]
                   for g in described):
                return False
        fetched = ask("kafka", "OffsetFetch", 8, {"Groups": [
            {"GroupId": g, "Topics": None} for g in groups]})["Groups"]
        return not any(g["Topics"] for g in fetched)
    return proof


def group_named(difference):
    return [difference.fields["GroupId"]]


def groups_dead(difference):
    """Those that Runnel alone says are dead."""
    theirs = {g["GroupId"]: g for g in difference.answers["kafka"]["Groups"]}
    return [g["GroupId"] for g in difference.answers["runnel"]["Groups"]
            if g["GroupState"] == "Dead" and theirs[g["GroupId"]]["GroupState"] != "Dead"]


def groups_unlisted(difference):
    return [difference.kafka["GroupId"]]


def groups_not_found(difference):
    """Those that Kafka has deleted and Runnel not found."""
    theirs = {g["GroupId"]: g for g in difference.answers["kafka"]["Results"]}
    return [g["GroupId"] for g in difference.answers["runnel"]["Results"]
            if g["ErrorCode"] == 69 and theirs[g["GroupId"]]["ErrorCode"] == 0]


def is_shared_out(ask, difference):
    """Proves that the group's several members have the same partitions together."""
    name = difference.fields["GroupId"]
    given = {}
    for side in ("kafka", "runnel"):
        group = ask(side, "ConsumerGroupDescribe", 1, {"GroupIds": [name]})["Groups"][0]
        given[side] = len(group["Members"]), sorted(
            (t["TopicName"], p) for m in group["Members"]
            for t in m["TargetAssignment"]["TopicPartitions"] for p in t["Partitions"])
    return given["kafka"] == given["runnel"] and given["kafka"][0] > 1


def is_consumer_group(ask, difference):
    """Proves that Runnel has a group of the `consumer` protocol by that name."""
    described = ask("runnel", "ConsumerGroupDescribe", 1, {"GroupIds": group_named(difference)})
    return described["Groups"][0]["ErrorCode"] == 0


def is_even_vote(ask, difference):
    """Proves that two protocols may have as many votes each: the members are even in number."""
    counts = {len(ask(side, "DescribeGroups", 5, {"Groups": group_named(difference)})["Groups"][0][
        "Members"]) for side in SIDES}
    return len(counts) == 1 and counts.pop() % 2 == 0


def is_classic_group(ask, difference):
    """Proves that Runnel has a group of the classic protocol by that name, with members."""
    described = ask("runnel", "DescribeGroups", 5, {"Groups": group_named(difference)})
    return bool(described["Groups"][0]["Members"])


def is_no_writer(ask, difference):
    """Proves of each marker that Runnel alone refuses that its partition does not know the
    producer, or by another epoch; and that Kafka took it, or had no room for it."""
    codes = {side: {(m["ProducerId"], t["Name"], p["PartitionIndex"]): p["ErrorCode"]
                    for m in answer["Markers"] for t in m["Topics"] for p in t["Partitions"]}
             for side, answer in difference.answers.items()}
    for marker in difference.fields["Markers"]:
        ids = {side: resolve(marker["ProducerId"], side) for side in SIDES}
        epoch = resolve(marker["ProducerEpoch"], "runnel")
        for topic in marker["Topics"]:
            for index in topic["PartitionIndexes"]:
                kafka, runnel = (codes[s].get((ids[s], topic["Name"], index)) for s in SIDES)
                if kafka != runnel and not (
                        is_refused_marker(ask, topic["Name"], index, ids["runnel"], epoch, runnel)
                        and (kafka == 0 or holds_no_marker(ask, topic["Name"]))):
                    return False
    return True


def is_refused_marker(ask, topic, index, producer, epoch, code):
    known = ask("runnel", "DescribeProducers", 0, {"Topics": [
        {"Name": topic, "PartitionIndexes": [index]}]})["Topics"][0]["Partitions"][0]
    epochs = {p["ProducerId"]: p["ProducerEpoch"] for p in known["ActiveProducers"]}
    return producer not in epochs if code == 59 else epochs.get(producer, epoch) != epoch


def holds_no_marker(ask, topic):
    configs = ask("kafka", "DescribeConfigs", 4, {"Resources": [
        {"ResourceType": 2, "ResourceName": topic,
         "ConfigurationKeys": ["max.message.bytes"]}]})["Results"][0]["Configs"]
    return int(configs[0]["Value"]) < MARKER_BYTES


def is_repeated(ask, difference):
    """Proves that a time that Kafka gives is no broker's but that of a producer's batch in the log."""
    found = False
    for topic in difference.answers["kafka"]["Responses"]:
        for part in topic["PartitionResponses"]:
            if part["LogAppendTimeMs"] != difference.kafka:
                continue
            name = {"Topic": topic["Name"]} if topic.get("Name") else {"TopicId": topic["TopicId"]}
            answer = ask("kafka", "Fetch", 12 if "Topic" in name else 13, {
                "MaxBytes": 1 << 20, "SessionEpoch": -1, "Topics": [{**name, "Partitions": [
                    {"Partition": part["Index"], "FetchOffset": part["BaseOffset"],
                     "CurrentLeaderEpoch": -1, "LastFetchedEpoch": -1, "LogStartOffset": -1,
                     "PartitionMaxBytes": 1 << 20}]}]})
            known = batches.parse(answer["Responses"][0]["Partitions"][0]["Records"])
            if not known or known[0]["attributes"] & batches.LOG_APPEND_TIME or \
                    (known[0]["base"], known[0]["max_time"]) != (
                        part["BaseOffset"], part["LogAppendTimeMs"]):
                return False
            found = True
    return found


def has_error(answer, code):
    if isinstance(answer, dict):
        if code in (answer.get("ErrorCode"), answer.get("PartitionErrorCode")):
            return True
        return any(has_error(v, code) for v in answer.values())
    return isinstance(answer, list) and any(has_error(v, code) for v in answer)
