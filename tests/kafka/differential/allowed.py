"""Where Runnel's answers may differ from Kafka's, and why. Everything else is a failure."""
import fnmatch
from dataclasses import dataclass
from typing import Callable

import batches

ABSENT = "<absent>"


@dataclass(frozen=True)
class Allowed:
    api: str
    path: str
    reason: str
    # Of a Difference, beyond API and path.
    when: Callable = lambda d: True
    # What follows in the same sequence can't be compared any more.
    ends: bool = False
    # Whether the reason holds, which the brokers are asked: (ask, Difference). `ask` takes a side
    # and a request's API, version and fields.
    proof: Callable = None

    def matches(self, difference):
        return (fnmatch.fnmatchcase(difference.api, self.api) and
                fnmatch.fnmatchcase(difference.path.replace("[", "{").replace("]", "}"), self.path)
                and self.when(difference))


def never(difference):
    """Of differences that the referee proves before it compares."""
    return False


FAILED_INSIDE = Allowed(
    "*", "", "Kafka answers UNKNOWN_SERVER_ERROR: it failed over the request, Runnel does not",
    ends=True)
OWN_CLOCK = Allowed(
    "ListOffsets", "Topics.Partitions.Timestamp", "each stamps with its own clock: fetched from both, "
    "what lies at the offset is a marker or of a topic with LogAppendTime, and has that time", never)
DELETED = Allowed(
    "ListOffsets", "Topics.Partitions.*", "asked for the greatest timestamp, Kafka names a record "
    "that is deleted, if its batch is not: both brokers' logs are asked where they begin", never)
SEGMENTS = Allowed(
    "Fetch", "*.Records.batches", "an answer of Kafka ends with a segment: asked on from there, it "
    "gave the rest of what Runnel gave at once", never)
CREATED_AT_ONCE = Allowed(
    "Metadata", "Topics", "a topic that is created because it was asked for is described at once; "
    "Kafka says that it is unknown and expects the client to ask again")


def only_unknown_enums(difference):
    """Kafka can't read filters with a type, operation or permission that it does not know."""
    return difference.kafka == "closed" and isinstance(difference.runnel, dict)


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


FORGOTTEN = ("a group without members and offsets is forgotten; Kafka keeps it until it next looks "
             "for expired offsets")

LIST = [
    FAILED_INSIDE,
    CREATED_AT_ONCE,
    Allowed("WriteTxnMarkers", "Markers.Topics.Partitions.ErrorCode",
            "a marker for a producer that the partition does not know, or of an epoch that only the "
            "coordinator could bring, is refused; Kafka lets anybody lock a producer out with it",
            # 10: or its topic's max.message.bytes is too small even for it
            lambda d: d.kafka in (0, 10) and d.runnel in (59, 47), ends=True),
    Allowed("*", "*ErrorMessage", "texts are each broker's own, and so is whether there is one"),
    Allowed("Fetch", "SessionId",
            "Runnel keeps no fetch sessions: 0 says so, and clients go on in full",
            lambda d: d.runnel == 0),
    Allowed("DescribeConfigs", "*Documentation", "texts are each broker's own"),
    Allowed("ElectLeaders", "ReplicaElectionResults", "asked for all, Kafka names topics with "
            "nothing in them", lambda d: d.runnel == ABSENT and not d.kafka["PartitionResult"]),
    Allowed("*", "*LogDir", "each has its own directory"),
    Allowed("*", "*Host", "address of the broker asked"),
    Allowed("*", "*Port", "address of the broker asked"),
    Allowed("ApiVersions", "ApiKeys*", "what is not done is not advertised",
            lambda d: d.runnel == ABSENT or d.path.endswith("Version") and d.runnel <= d.kafka),
    Allowed("ApiVersions", "SupportedFeatures", "features of Kafka's cluster"),
    Allowed("ApiVersions", "FinalizedFeatures*", "features of Kafka's cluster"),
    Allowed("*", "*Configs{min.insync.replicas}*",
            "Kafka sets it for all brokers when its directory is formatted"),
    Allowed("DescribeConfigs", "Results*", "there are no configs of groups and client metrics",
            lambda d: d.fields["Resources"][0]["ResourceType"] in (16, 32)),
    Allowed("*Acls", "connection",
            "Kafka closes the connection over an enumeration's number that it does not know; "
            "Runnel answers SECURITY_DISABLED to everything about ACLs", only_unknown_enums),
    Allowed("ConsumerGroup*", "*Epoch", "each broker counts epochs in its own way",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("Fetch", "Responses.Partitions.AbortedTransactions", "null and empty both say none",
            lambda d: not d.kafka and not d.runnel),
    Allowed("OffsetCommit", "Topics.Partitions.ErrorCode",
            "offset.metadata.max.bytes counts bytes; Kafka counts characters",
            lambda d: (d.kafka, d.runnel) == (0, 12), ends=True),
    Allowed("DescribeConfigs", "Results.Configs{*retention.ms}.Synonyms*",
            "a default that comes from log.retention.hours is shown with that source"),
    Allowed("DescribeConfigs", "Results.Configs{*retention.ms}.ConfigSource",
            "a default that comes from log.retention.hours is shown with that source"),
    Allowed("Produce", "Responses.PartitionResponses.ErrorCode",
            "records for a partition that is not there are not looked at",
            lambda d: d.kafka in (2, 87, 76) and d.runnel in (3, 100)),
    Allowed("CreateTopics", "Topics.TopicId", "what is only validated gets no id",
            lambda d: d.fields["validateOnly"]),
    Allowed("CreateTopics", "*Configs{*}.Value", "values are kept without blanks around them",
            lambda d: isinstance(d.kafka, str) and d.kafka.strip().lower() == d.runnel),
    Allowed("Produce", "Responses.PartitionResponses.*",
            "Kafka cuts off what follows a batch and is none; Runnel refuses it",
            lambda d: has_trailing_bytes(d.fields), ends=True),
    Allowed("Produce", "Responses.PartitionResponses.LogStartOffset",
            "Kafka names the log's start along with some errors", lambda d: d.runnel == -1),
    Allowed("Produce", "Responses.PartitionResponses.LogAppendTimeMs", "each has its clock",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("DescribeProducers", "*.LastTimestamp", "Runnel: the broker's clock at the last write; "
            "Kafka: the largest timestamp of the last batch",
            lambda d: d.runnel > 0),
    Allowed("DescribeLogDirs", "Results.*Bytes", "free space changes while one asks"),
    Allowed("DescribeLogDirs", "*.PartitionSize", "Kafka counts whole files, with what is deleted"),
    Allowed("ConsumerGroupHeartbeat", "HeartbeatIntervalMs",
            "members are told to ask more often while partitions are on their way",
            lambda d: d.runnel == 500),
    Allowed("OffsetCommit", "Topics.Partitions.ErrorCode",
            "nothing is committed to a group without a name (INVALID_GROUP_ID)",
            lambda d: d.fields["GroupId"] == "" and d.runnel == 24, ends=True),
    Allowed("*AlterConfigs", "Responses.*", "there are no configs of groups and client metrics",
            lambda d: any(r["ResourceType"] in (16, 32) for r in d.fields["Resources"])),
    Allowed("Produce", "Responses.PartitionResponses.*",
            "a producer id that the broker never gave is refused (UNKNOWN_PRODUCER_ID)",
            lambda d: has_error(d.answers["runnel"], 59), ends=True),
    Allowed("ConsumerGroupHeartbeat", "*", "a group's members speak one protocol: who speaks the "
            "other is refused", lambda d: d.answers["runnel"]["ErrorCode"] == 69 and
            d.answers["kafka"]["ErrorCode"] == 0, ends=True),
    Allowed("DescribeTransactions", "*.TransactionStartTimeMs", "each has its clock",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("ListGroups", "Groups", FORGOTTEN, lambda d: d.runnel == ABSENT, ends=True,
            proof=is_forgotten(groups_unlisted)),
    Allowed("DescribeGroups", "Groups.*", FORGOTTEN, lambda d: (d.kafka, d.runnel) in (
        ("Empty", "Dead"), (0, 69)), ends=True, proof=is_forgotten(groups_dead)),
    Allowed("DeleteGroups", "Results.ErrorCode", FORGOTTEN,
            lambda d: (d.kafka, d.runnel) == (0, 69), ends=True,
            proof=is_forgotten(groups_not_found)),
    Allowed("OffsetDelete", "Topics.Partitions.ErrorCode",
            "what a member subscribes to that is joining is kept (GROUP_SUBSCRIBED_TO_TOPIC); Kafka "
            "asks only those of the last rebalance that ended",
            lambda d: (d.kafka, d.runnel) == (0, 86), ends=True),
    Allowed("OffsetDelete", "Topics", FORGOTTEN,
            lambda d: d.runnel == ABSENT and has_error(d.answers["runnel"], 69), ends=True,
            proof=is_forgotten(group_named)),
    Allowed("OffsetDelete", "ErrorCode", FORGOTTEN, lambda d: (d.kafka, d.runnel) == (0, 69),
            ends=True, proof=is_forgotten(group_named)),
    Allowed("DescribeConfigs", "Results.Configs*", "Runnel has no loggers of Kafka's",
            lambda d: any(r["ResourceType"] == 8 for r in d.fields["Resources"])),
    Allowed("TxnOffsetCommit", "Topics.Partitions.ErrorCode",
            "of two mistakes Runnel names the group's first, Kafka the transaction's",
            lambda d: d.kafka in (47, 48, 49, 90, 120) and d.runnel in (22, 25, 82), ends=True),
    Allowed("OffsetCommit", "Topics.Partitions.ErrorCode", FORGOTTEN,
            lambda d: d.kafka == 25 and d.runnel in (22, 69), ends=True,
            proof=is_forgotten(group_named)),
    Allowed("Produce", "Responses.PartitionResponses.ErrorCode",
            "refused by both; Kafka takes what follows a batch for another one",
            lambda d: (d.kafka, d.runnel) == (2, 87)),
    Allowed("JoinGroup", "ErrorCode", "of two mistakes Runnel names the member's first",
            lambda d: (d.kafka, d.runnel) == (23, 25) and not (
                d.fields["Protocols"] and d.fields["ProtocolType"]), ends=True),
    Allowed("JoinGroup", "connection", "a join that the same member's next one replaces is told so "
            "(REBALANCE_IN_PROGRESS); Kafka never answers it",
            lambda d: d.kafka == "no answer" and has_error(d.runnel, 27), ends=True),
    Allowed("AlterReplicaLogDirs", "Results.Partitions.ErrorCode", "refused by both; Kafka finds the "
            "name too long for that of the directory that it would make first",
            lambda d: (d.kafka, d.runnel) == (17, 57) and any(
                len(t["Name"]) > 200 for i in d.fields["Dirs"] for t in i["Topics"])),
    Allowed("DescribeTransactions", "*.Topics", "positions of groups lie in no topic",
            lambda d: d.runnel == ABSENT and d.kafka["Topic"] == "__consumer_offsets"),
    Allowed("ConsumerGroupDescribe", "Groups.*", "Runnel shares partitions out anew when a topic "
            "has changed, Kafka when a member next reports", lambda d: "GroupState" in d.path or
            "Assignment.TopicPartitions" in d.path, ends=True),
    Allowed("ConsumerGroupHeartbeat", "Assignment*",
            "which of several members gets which partition is up to each broker's assignor",
            lambda d: d.kafka is not None and d.runnel is not None, ends=True,
            proof=is_shared_out),
    Allowed("TxnOffsetCommit", "Topics.Partitions.ErrorCode",
            "a group has to be added to the transaction; Kafka asks for the partition of its topic "
            "of offsets, which groups share",
            lambda d: d.kafka == 0 and d.runnel in (48, 120), ends=True),
    Allowed("Produce", "Responses.PartitionResponses.LogAppendTimeMs",
            "the broker has not stamped a repeated batch of a topic with CreateTime: there is no time "
            "to give; Kafka gives its greatest timestamp",
            lambda d: d.kafka > 0 and d.runnel == -1, proof=is_repeated),
    Allowed("*", "*Configs{min.cleanable.dirty.ratio}*", "numbers are shown as they were set",
            lambda d: isinstance(d.kafka, str) and float(d.kafka) == float(d.runnel)),
    Allowed("DeleteRecords", "Topics.Partitions.*",
            "records of topics that only compact can be deleted too; Kafka's policy forbids it",
            lambda d: has_error(d.answers["kafka"], 44), ends=True),
    Allowed("ListGroups", "Groups", "Runnel shares partitions out anew when a topic has changed, "
            "and the group is not stable then; Kafka when a member next reports",
            lambda d: d.fields.get("StatesFilter") and "-c" in (d.kafka if d.runnel == ABSENT
                                                                else d.runnel)["GroupId"],
            ends=True),
    Allowed("Fetch", "*.Records.compressed", "each compresses anew in its own way"),
    Allowed("JoinGroup", "*", "a group's members speak one protocol: who speaks the other is "
            "refused (INCONSISTENT_GROUP_PROTOCOL); Kafka lets groups change with their members",
            lambda d: has_error(d.answers.get("runnel", d.runnel), 23), ends=True,
            proof=is_consumer_group),
    Allowed("DescribeTopicPartitions", "NextCursor*", "Kafka's own topics are in its listing",
            lambda d: not d.fields["Topics"]),
]


def prepare(api, version, fields, answers):
    """Takes out of both answers what is allowed to differ as a whole; gives the rules."""
    kafka, runnel = answers["kafka"], answers["runnel"]
    if has_error(kafka, -1) and not has_error(runnel, -1):
        kafka.clear()
        runnel.clear()
        return [FAILED_INSIDE]
    if api == "Fetch":
        merge_topics(kafka)
    if api == "Metadata" and fields["AllowAutoTopicCreation"]:
        answers["created"] = take_created(kafka, runnel)
        return [CREATED_AT_ONCE] * len(answers["created"])
    return []


def has_trailing_bytes(fields):
    for topic in fields["TopicData"]:
        for part in topic["PartitionData"]:
            records = part["Records"]
            if isinstance(records, bytes) and len(records) > 61:
                left = len(records) - 12 - int.from_bytes(records[8:12], "big", signed=True)
                if 0 < left < 61:
                    return True
    return False


def merge_topics(answer):
    """Kafka may name a topic twice: for its partitions with errors and for the others."""
    topics = {}
    for topic in answer["Responses"]:
        known = topics.setdefault(topic.get("Topic") or topic.get("TopicId"), topic)
        if known is not topic:
            known["Partitions"] += topic["Partitions"]
    answer["Responses"] = list(topics.values())


def has_error(answer, code):
    if isinstance(answer, dict):
        if code in (answer.get("ErrorCode"), answer.get("PartitionErrorCode")):
            return True
        return any(has_error(v, code) for v in answer.values())
    return isinstance(answer, list) and any(has_error(v, code) for v in answer)


def take_created(kafka, runnel):
    """The names of unknown topics of Kafka's answer that Runnel has made."""
    made = {t["Name"] for t in runnel["Topics"] if t["ErrorCode"] == 0} & {
        t["Name"] for t in kafka["Topics"] if t["ErrorCode"] in (3, 5)}
    for answer in (kafka, runnel):
        answer["Topics"] = [t for t in answer["Topics"] if t["Name"] not in made]
    return sorted(made)


def find(difference, ask):
    for rule in LIST:
        if rule.matches(difference) and (rule.proof is None or rule.proof(ask, difference)):
            return rule
    return None


# What is never sent, because the answers differ for a reason that says nothing new each time.
LEFT_OUT = [
    "group names of more than 249 bytes: Runnel refuses them (INVALID_GROUP_ID)",
    "max.message.bytes above 33554432: Runnel refuses it (INVALID_CONFIG)",
    "AlterConfigs with one resource twice: Kafka never answers",
    "a batch that can't be read beside good ones: Kafka refuses them all, Runnel only the one",
    "DescribeConfigs with a resource of unknown type beside others: the same",
    "a resource twice in DescribeConfigs: Runnel refuses the second",
    "a group twice in OffsetFetch and descriptions, or a transaction: Runnel refuses the second",
    "a first join that is refused, and its group: Kafka keeps an empty group, Runnel none",
    "ConsumerGroupHeartbeat to a classic group: Kafka moves it to the new protocol",
    "a member that was only given its id leaves: Kafka rebalances the group, Runnel does not",
    "groups of which Kafka only knows a refused commit: Kafka lists them",
    "DescribeTopicPartitions with a topic twice or with a cursor on a bad name",
    "retention.bytes below -1: Runnel refuses it (INVALID_CONFIG), Kafka takes it for no limit",
    "AddOffsetsToTxn without a group's name: Runnel says so first (INVALID_GROUP_ID)",
    "batches of a producer without an epoch: Kafka remembers none",
    "nothing appended to or subtracted from a list: Kafka refuses the empty item",
    "commits of offsets below 0: Runnel forgets the position, Kafka keeps -1 with its metadata",
    "segment.index.bytes below an entry: Kafka creates such a topic and can't open its log",
    "a null instead of records: Kafka never answers",
    "Fetch 13 or later with topic id zero beside other partitions: Kafka fails or never answers",
    "WriteTxnMarkers without a marker or with a partition twice: Kafka never answers",
    "WriteTxnMarkers with a producer twice: Kafka answers once",
    "WriteTxnMarkers with a marker that goes nowhere behind one that does: Kafka never answers",
    "WriteTxnMarkers with a coordinator epoch ahead: Kafka can never end that transaction then",
    "versions that Kafka 4 has dropped: it closes the connection",
    "DescribeTopicPartitions with a cursor at partition 2147483647: Kafka's answer has a negative one",
    "a compressed batch whose header lies about its greatest timestamp: Runnel believes it",
]
