"""Where Runnel's answers may differ from Kafka's, and why. Everything else is a failure."""
import fnmatch
from dataclasses import dataclass
from typing import Callable

import batches
from compare import ABSENT
from proofs import (group_named, groups_dead, groups_not_found, groups_unlisted, has_error,
                    is_classic_group, is_consumer_group, is_even_vote, is_forgotten,
                    is_no_writer, is_repeated, is_shared_out)


@dataclass(frozen=True)
class Allowed:
    # The anchor in docs/kafka-compatibility.md of what it tells users; see allowed_test.py.
    place: str
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
    "kafka-fails", "*", "",
    "Kafka answers UNKNOWN_SERVER_ERROR: it failed over the request, Runnel does not",
    ends=True)
OWN_CLOCK = Allowed(
    "own-values", "ListOffsets", "Topics.Partitions.Timestamp",
    "each stamps with its own clock: fetched from both, what lies at the offset is a marker or of"
    " a topic with LogAppendTime, and has that time",
    never)
DELETED = Allowed(
    "deleted-max-timestamp", "ListOffsets", "Topics.Partitions.*",
    "asked for the greatest timestamp, Kafka names a record that is deleted, if its batch is not:"
    " both brokers' logs are asked where they begin",
    never)
SEGMENTS = Allowed(
    "segments", "Fetch", "*.Records.batches",
    "an answer of Kafka ends with a segment: asked on from there, it gave the rest of what Runnel"
    " gave at once",
    never)
STALE_START = Allowed(
    "stale-start", "InitProducerId", "*",
    "a producer that names another epoch than the open transaction's is refused; Kafka aborts the"
    " transaction of the one that replaced it: it is open here",
    never, ends=True)
CREATED_AT_ONCE = Allowed(
    "created-at-once", "Metadata", "Topics",
    "a topic that is created because it was asked for is described at once; Kafka says that it is"
    " unknown and expects the client to ask again")


def only_unknown_enums(difference):
    """Kafka can't read filters with a type, operation or permission that it does not know."""
    return difference.kafka == "closed" and isinstance(difference.runnel, dict)


FORGOTTEN = ("a group without members and offsets is forgotten; Kafka keeps it until it next looks "
             "for expired offsets")

LIST = [
    FAILED_INSIDE,
    CREATED_AT_ONCE,
    Allowed("write-txn-markers", "WriteTxnMarkers", "Markers.Topics.Partitions.ErrorCode",
            "a marker for a producer that the partition does not know, or of an epoch that only "
            "the coordinator could bring, is refused; Kafka lets anybody lock a producer out with"
            " it",
            # 10: the topic's max.message.bytes is less than Kafka's marker has.
            lambda d: d.kafka in (0, 10) and d.runnel in (59, 47), ends=True, proof=is_no_writer),
    Allowed("own-values", "*", "*ErrorMessage",
            "texts are each broker's own, and so is whether there is one"),
    Allowed("fetch-sessions", "Fetch", "SessionId",
            "Runnel keeps no fetch sessions: 0 says so, and clients go on in full",
            lambda d: d.runnel == 0),
    Allowed("own-values", "DescribeConfigs", "*Documentation",
            "texts are each broker's own"),
    Allowed("elect-leaders", "ElectLeaders", "ReplicaElectionResults",
            "asked for all, Kafka names topics with nothing in them",
            lambda d: d.runnel == ABSENT and not d.kafka["PartitionResult"]),
    Allowed("own-values", "*", "*LogDir",
            "each has its own directory"),
    Allowed("own-values", "*", "*Host",
            "address of the broker asked"),
    Allowed("own-values", "*", "*Port",
            "address of the broker asked"),
    Allowed("not-advertised", "ApiVersions", "ApiKeys*",
            "what is not done is not advertised",
            lambda d: d.runnel == ABSENT or d.path.endswith("Version") and d.runnel <= d.kafka),
    Allowed("not-advertised", "ApiVersions", "SupportedFeatures",
            "features of Kafka's cluster"),
    Allowed("not-advertised", "ApiVersions", "FinalizedFeatures*",
            "features of Kafka's cluster"),
    Allowed("one-node", "*", "*Configs{min.insync.replicas}*",
            "Kafka sets it for all brokers when its directory is formatted"),
    Allowed("schema-validation", "*", "*Configs{confluent.*}",
            "topics may ask that their records have schemas",
            lambda d: d.kafka == ABSENT),
    Allowed("group-configs", "DescribeConfigs", "Results*",
            "there are no configs of groups and client metrics",
            lambda d: d.fields["Resources"][0]["ResourceType"] in (16, 32)),
    Allowed("kafka-fails", "*Acls", "connection",
            "Kafka closes the connection over an enumeration's number that it does not know; "
            "Runnel answers SECURITY_DISABLED to everything about ACLs",
            only_unknown_enums),
    Allowed("own-values", "ConsumerGroup*", "*Epoch",
            "each broker counts epochs in its own way",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("own-values", "Fetch", "Responses.Partitions.AbortedTransactions",
            "null and empty both say none",
            lambda d: not d.kafka and not d.runnel),
    Allowed("metadata-bytes", "OffsetCommit", "Topics.Partitions.ErrorCode",
            "offset.metadata.max.bytes counts bytes; Kafka counts characters",
            lambda d: (d.kafka, d.runnel) == (0, 12), ends=True),
    Allowed("retention-source", "DescribeConfigs", "Results.Configs{*retention.ms}.Synonyms*",
            "a default that comes from log.retention.hours is shown with that source"),
    Allowed("retention-source", "DescribeConfigs", "Results.Configs{*retention.ms}.ConfigSource",
            "a default that comes from log.retention.hours is shown with that source"),
    Allowed("first-mistake", "Produce", "Responses.PartitionResponses.ErrorCode",
            "records for a partition that is not there are not looked at",
            lambda d: d.kafka in (2, 87, 76) and d.runnel in (3, 100)),
    Allowed("validated-only-id", "CreateTopics", "Topics.TopicId",
            "what is only validated gets no id",
            lambda d: d.fields["validateOnly"]),
    Allowed("config-values", "CreateTopics", "*Configs{*}.Value",
            "values are kept without blanks around them",
            lambda d: isinstance(d.kafka, str) and d.kafka.strip().lower() == d.runnel),
    Allowed("trailing-bytes", "Produce", "Responses.PartitionResponses.*",
            "Kafka cuts off what follows a batch and is none; Runnel refuses it",
            lambda d: has_trailing_bytes(d.fields), ends=True),
    Allowed("log-start", "Produce", "Responses.PartitionResponses.LogStartOffset",
            "Kafka names the log's start along with some errors",
            lambda d: d.runnel == -1),
    Allowed("own-values", "Produce", "Responses.PartitionResponses.LogAppendTimeMs",
            "each has its clock",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("last-timestamp", "DescribeProducers", "*.LastTimestamp",
            "Runnel: the broker's clock at the last write; Kafka: the largest timestamp of the "
            "last batch",
            lambda d: d.runnel > 0),
    Allowed("own-values", "DescribeLogDirs", "Results.*Bytes",
            "free space changes while one asks"),
    Allowed("partition-size", "DescribeLogDirs", "*.PartitionSize",
            "Kafka counts whole files, with what is deleted"),
    Allowed("heartbeat-interval", "ConsumerGroupHeartbeat", "HeartbeatIntervalMs",
            "members are told to ask more often while partitions are on their way",
            lambda d: d.runnel == 500),
    Allowed("nameless-group", "OffsetCommit", "Topics.Partitions.ErrorCode",
            "nothing is committed to a group without a name (INVALID_GROUP_ID)",
            lambda d: d.fields["GroupId"] == "" and d.runnel == 24, ends=True),
    Allowed("group-configs", "*AlterConfigs", "Responses.*",
            "there are no configs of groups and client metrics",
            lambda d: any(r["ResourceType"] in (16, 32) for r in d.fields["Resources"])),
    Allowed("unknown-producer", "Produce", "Responses.PartitionResponses.*",
            "a producer id that the broker never gave is refused (UNKNOWN_PRODUCER_ID)",
            lambda d: has_error(d.answers["runnel"], 59), ends=True),
    Allowed("one-protocol", "ConsumerGroupHeartbeat", "*",
            "a group's members speak one protocol: who speaks the other is refused",
            lambda d: d.answers["runnel"]["ErrorCode"] == 69 and
            d.answers["kafka"]["ErrorCode"] == 0, ends=True, proof=is_classic_group),
    Allowed("own-values", "DescribeTransactions", "*.TransactionStartTimeMs",
            "each has its clock",
            lambda d: d.kafka > 0 and d.runnel > 0),
    Allowed("forgotten-groups", "ListGroups", "Groups",
            FORGOTTEN,
            lambda d: d.runnel == ABSENT, ends=True, proof=is_forgotten(groups_unlisted)),
    Allowed("forgotten-groups", "DescribeGroups", "Groups.*",
            FORGOTTEN,
            lambda d: (d.kafka, d.runnel) in (("Empty", "Dead"), (0, 69)) or
            d.path.endswith("AuthorizedOperations"), ends=True, proof=is_forgotten(groups_dead)),
    Allowed("forgotten-groups", "DeleteGroups", "Results.ErrorCode",
            FORGOTTEN,
            lambda d: (d.kafka, d.runnel) == (0, 69), ends=True,
            proof=is_forgotten(groups_not_found)),
    Allowed("offset-delete", "OffsetDelete", "Topics.Partitions.ErrorCode",
            "what a member subscribes to that is joining is kept (GROUP_SUBSCRIBED_TO_TOPIC); "
            "Kafka asks only those of the last rebalance that ended",
            lambda d: (d.kafka, d.runnel) == (0, 86), ends=True),
    Allowed("forgotten-groups", "OffsetDelete", "Topics",
            FORGOTTEN,
            lambda d: d.runnel == ABSENT and has_error(d.answers["runnel"], 69), ends=True,
            proof=is_forgotten(group_named)),
    Allowed("forgotten-groups", "OffsetDelete", "ErrorCode",
            FORGOTTEN,
            lambda d: (d.kafka, d.runnel) == (0, 69), ends=True, proof=is_forgotten(group_named)),
    Allowed("loggers", "DescribeConfigs", "Results.Configs*",
            "Runnel has no loggers of Kafka's",
            lambda d: any(r["ResourceType"] == 8 for r in d.fields["Resources"])),
    Allowed("first-mistake", "TxnOffsetCommit", "Topics.Partitions.ErrorCode",
            "of two mistakes Runnel names the group's first, Kafka the transaction's",
            lambda d: d.kafka in (47, 48, 49, 90, 120) and d.runnel in (22, 25, 82), ends=True),
    Allowed("forgotten-groups", "OffsetCommit", "Topics.Partitions.ErrorCode",
            FORGOTTEN,
            lambda d: d.kafka == 25 and d.runnel in (22, 69), ends=True,
            proof=is_forgotten(group_named)),
    Allowed("first-mistake", "Produce", "Responses.PartitionResponses.ErrorCode",
            "refused by both; Kafka takes what follows a batch for another one",
            lambda d: (d.kafka, d.runnel) == (2, 87)),
    Allowed("first-mistake", "JoinGroup", "ErrorCode",
            "of two mistakes Runnel names the member's first",
            lambda d: (d.kafka, d.runnel) == (23, 25) and not (
                d.fields["Protocols"] and d.fields["ProtocolType"]), ends=True),
    Allowed("replaced-join", "JoinGroup", "connection",
            "a join that the same member's next one replaces is told so (REBALANCE_IN_PROGRESS); "
            "Kafka never answers it",
            lambda d: d.kafka == "no answer" and has_error(d.runnel, 27), ends=True),
    Allowed("first-mistake", "AlterReplicaLogDirs", "Results.Partitions.ErrorCode",
            "refused by both; Kafka finds the name too long for that of the directory that it "
            "would make first",
            lambda d: (d.kafka, d.runnel) == (17, 57) and any(
                len(t["Name"]) > 200 for i in d.fields["Dirs"] for t in i["Topics"])),
    Allowed("no-offsets-topic", "DescribeTransactions", "*.Topics",
            "positions of groups lie in no topic",
            lambda d: d.runnel == ABSENT and d.kafka["Topic"] == "__consumer_offsets"),
    Allowed("topic-change", "ConsumerGroupDescribe", "Groups.*",
            "Runnel shares partitions out anew when a topic has changed, Kafka when a member next"
            " reports",
            lambda d: "GroupState" in d.path or "Assignment.TopicPartitions" in d.path, ends=True),
    Allowed("assignor", "ConsumerGroupHeartbeat", "Assignment*",
            "which of several members gets which partition is up to each broker's assignor",
            lambda d: d.kafka is not None and d.runnel is not None, ends=True, proof=is_shared_out),
    Allowed("group-added", "TxnOffsetCommit", "Topics.Partitions.ErrorCode",
            "a group has to be added to the transaction; Kafka asks for the partition of its "
            "topic of offsets, which groups share",
            lambda d: d.kafka == 0 and d.runnel in (48, 120), ends=True),
    Allowed("repeated-batch", "Produce", "Responses.PartitionResponses.LogAppendTimeMs",
            "the broker has not stamped a repeated batch of a topic with CreateTime: there is no "
            "time to give; Kafka gives its greatest timestamp",
            lambda d: d.kafka > 0 and d.runnel == -1, proof=is_repeated),
    Allowed("config-values", "*", "*Configs{min.cleanable.dirty.ratio}*",
            "numbers are shown as they were set",
            lambda d: isinstance(d.kafka, str) and float(d.kafka) == float(d.runnel)),
    Allowed("delete-compacted", "DeleteRecords", "Topics.Partitions.*",
            "records of topics that only compact can be deleted too; Kafka's policy forbids it",
            lambda d: has_error(d.answers["kafka"], 44), ends=True),
    Allowed("topic-change", "ListGroups", "Groups",
            "Runnel shares partitions out anew when a topic has changed, and the group is not "
            "stable then; Kafka when a member next reports",
            lambda d: d.fields.get("StatesFilter") and "-c" in (
                d.kafka if d.runnel == ABSENT else d.runnel)["GroupId"], ends=True),
    Allowed("topic-change", "ListGroups", "Groups.GroupState",
            "the same: the group's members have not reported yet",
            lambda d: {d.kafka, d.runnel} <= {"Stable", "Assigning", "Reconciling"}, ends=True),
    Allowed("whole-batches", "Fetch", "*.Records.batches",
            "an answer has whole batches only, and what room they leave is the next partition's; "
            "Kafka fills it with a piece of a batch",
            lambda d: len(d.kafka) < len(d.runnel) and ends_in_a_piece(d)),
    Allowed("protocol-vote", "JoinGroup", "ProtocolName",
            "of protocols that as many members prefer, Runnel takes the leader's, Kafka any",
            lambda d: d.kafka and d.runnel, ends=True, proof=is_even_vote),
    Allowed("group-leader", "JoinGroup", "[ML]e*",
            "after a leader has left, the next one is any member: the first of each broker's table",
            lambda d: d.answers["runnel"]["GenerationId"] > 1 and
            leads(d.answers["kafka"]) != leads(d.answers["runnel"]), ends=True),
    Allowed("compressed-anew", "Fetch", "*.Records.compressed",
            "each compresses anew in its own way"),
    Allowed("one-protocol", "JoinGroup", "*",
            "a group's members speak one protocol: who speaks the other is refused "
            "(INCONSISTENT_GROUP_PROTOCOL); Kafka lets groups change with their members",
            lambda d: has_error(d.answers.get("runnel", d.runnel), 23), ends=True,
            proof=is_consumer_group),
    Allowed("no-offsets-topic", "DescribeTopicPartitions", "NextCursor*",
            "Kafka's own topics are in its listing",
            lambda d: not d.fields["Topics"]),
]


def has_trailing_bytes(fields):
    for topic in fields["TopicData"]:
        for part in topic["PartitionData"]:
            records = part["Records"]
            if isinstance(records, bytes) and len(records) > 61:
                left = len(records) - 12 - int.from_bytes(records[8:12], "big", signed=True)
                if 0 < left < 61:
                    return True
    return False


def ends_in_a_piece(difference):
    """Whether Kafka's answer does so anywhere, and Runnel's keeps to what was asked for."""
    def sizes(side):
        for topic in difference.answers[side]["Responses"]:
            for part in topic["Partitions"]:
                records = part["Records"] or b""
                yield len(records), len(records) - batches.whole(records)
    return any(rest for _, rest in sizes("kafka")) and \
        sum(size for size, _ in sizes("runnel")) <= difference.fields["MaxBytes"]


def leads(joined):
    return joined["Leader"] == joined["MemberId"]


def find(difference, ask):
    for rule in LIST:
        if rule.matches(difference) and (rule.proof is None or rule.proof(ask, difference)):
            return rule
    return None


# What is never sent, because the answers differ for a reason that says nothing new each time: the
# place in the documentation, and what.
LEFT_OUT = [
    ("group-names", "group names of more than 249 bytes: Runnel refuses them (INVALID_GROUP_ID)"),
    ("config-values", "max.message.bytes above 33554432: Runnel refuses it (INVALID_CONFIG)"),
    ("config-values", "retention.bytes below -1: Runnel refuses it (INVALID_CONFIG), Kafka takes "
                      "it for no limit"),
    ("config-values", "nothing appended to or subtracted from a list: Kafka refuses the empty "
                      "item"),
    ("whole-request", "a batch that can't be read beside good ones: Kafka refuses them all, Runnel "
                      "only the one"),
    ("whole-request", "DescribeConfigs with a resource of unknown type beside others: the same"),
    ("named-twice", "a resource twice in DescribeConfigs: Runnel refuses the second"),
    ("named-twice", "a group twice in OffsetFetch and descriptions, or a transaction: Runnel "
                    "refuses the second"),
    ("named-twice", "DescribeTopicPartitions with a topic twice or with a cursor on a bad name"),
    ("forgotten-groups", "a first join that is refused, and its group: Kafka keeps an empty group, "
                         "Runnel none"),
    ("forgotten-groups", "groups of which Kafka only knows a refused commit: Kafka lists them"),
    ("one-protocol", "ConsumerGroupHeartbeat to a classic group: Kafka moves it to the new "
                     "protocol"),
    ("unjoined-member", "a member that was only given its id leaves: Kafka rebalances the group, "
                        "Runnel does not"),
    ("first-mistake", "AddOffsetsToTxn without a group's name: Runnel says so first "
                      "(INVALID_GROUP_ID)"),
    ("no-epoch", "batches of a producer without an epoch: Kafka remembers none"),
    ("negative-offsets", "commits of offsets below 0: Runnel forgets the position, Kafka keeps -1 "
                         "with its metadata"),
    ("compressed-header", "a compressed batch whose header lies about its greatest timestamp: "
                          "Runnel believes it"),
    ("older-versions", "versions that Kafka 4 has dropped: it closes the connection"),
    ("write-txn-markers", "WriteTxnMarkers with a producer twice: Kafka answers once"),
    ("write-txn-markers", "WriteTxnMarkers with a coordinator epoch ahead: Kafka can never end "
                          "that transaction then"),
    ("kafka-fails", "WriteTxnMarkers without a marker or with a partition twice: Kafka never "
                    "answers"),
    ("kafka-fails", "WriteTxnMarkers with a marker that goes nowhere behind one that does: Kafka "
                    "never answers"),
    ("kafka-fails", "AlterConfigs with one resource twice: Kafka never answers"),
    ("kafka-fails", "segment.index.bytes below an entry: Kafka creates such a topic and can't open "
                    "its log"),
    ("kafka-fails", "a null instead of records: Kafka never answers"),
    ("kafka-fails", "Fetch 13 or later with topic id zero beside other partitions: Kafka fails or "
                    "never answers"),
    ("kafka-fails", "DescribeTopicPartitions with a cursor at partition 2147483647: Kafka's answer "
                    "has a negative one"),
]
