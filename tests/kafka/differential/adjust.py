"""What is taken out of two answers before they are compared: differences of more than a field,
each looked up at the brokers. Every function gives the rules of `allowed` that it used."""
import allowed
import batches
import pair
from proofs import has_error

EARLIEST, MAX_TIMESTAMP = -2, -3  # instead of a time, in ListOffsets
FENCED = (47, 90)  # INVALID_PRODUCER_EPOCH, PRODUCER_FENCED


def adjust(settler, world, api, fields, answers, again):
    """`again`: Kafka was asked until it no longer said that a transaction is ending."""
    kafka, runnel = answers["kafka"], answers["runnel"]
    if has_error(kafka, -1) and not has_error(runnel, -1):
        clear(answers)
        yield allowed.FAILED_INSIDE
    elif api == "InitProducerId" and again:
        yield from take_stale_start(settler, fields, answers)
    elif api == "ListOffsets":
        yield from take_deleted(settler, fields, answers)
        yield from take_clocks(settler, answers)
    elif api == "Fetch":
        merge_topics(kafka)
        yield from take_segments(settler, world, fields, answers)
    elif api == "Metadata" and fields["AllowAutoTopicCreation"]:
        answers["created"] = take_created(kafka, runnel)
        for _ in answers["created"]:
            yield allowed.CREATED_AT_ONCE


def clear(answers):
    for side in pair.SIDES:
        answers[side].clear()


def take_stale_start(settler, fields, answers):
    """Kafka has ended an open transaction for a producer that names another epoch than it has.
    Runnel has refused it, and the transaction has to be open, of that other epoch."""
    if answers["runnel"]["ErrorCode"] not in FENCED:
        return
    found = settler.ask("runnel", "DescribeTransactions", 0, {
        "TransactionalIds": [fields["TransactionalId"]]})["TransactionStates"][0]
    named = pair.resolve(fields, "runnel")["ProducerEpoch"]
    if found["TransactionState"] == "Ongoing" and found["ProducerEpoch"] != named:
        clear(answers)
        yield allowed.STALE_START


def take_clocks(settler, answers):
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
            if all(settler.stamp(side, *place, own["Offset"]) == part["Timestamp"]
                   for side, part in (("kafka", found), ("runnel", own))):
                own["Timestamp"] = found["Timestamp"]
                yield allowed.OWN_CLOCK


def take_deleted(settler, fields, answers):
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
            starts = [settler.offsets(name, index + 1, EARLIEST, side)[index]
                      for side in pair.SIDES]
            if starts[0] == starts[1] and part["Offset"] < starts[0] <= own[place]["Offset"] and \
                    own[place]["Timestamp"] <= part["Timestamp"]:
                part.update({n: own[place][n] for n in ("Offset", "Timestamp")})
                yield allowed.DELETED


def take_segments(settler, world, fields, answers):
    """One answer of Kafka ends with a segment of its log. Where it gave less than Runnel, it is
    asked on from there, and has to give the rest, which it was given the room for."""
    limits = {(t["Topic"] if "Topic" in t else pair.resolve(t["TopicId"], "runnel"),
               p["Partition"]):
              min(p["PartitionMaxBytes"], fields["MaxBytes"])
              for t in fields["Topics"] for p in t["Partitions"]}
    names = {t.id.values["runnel"]: n for n, t in world.topics.items()}
    theirs = {(t["Topic"] if "Topic" in t else
               world.symbols.find("kafka", "topic", t["TopicId"]), p["PartitionIndex"]): p
              for t in answers["kafka"].get("Responses", ()) for p in t["Partitions"]}
    for topic in answers["runnel"].get("Responses", ()):
        named = "Topic" in topic
        key = topic["Topic"] if named else topic["TopicId"]
        for own in topic["Partitions"]:
            place = (key if named else world.symbols.find("runnel", "topic", key),
                     own["PartitionIndex"])
            given = theirs.get(place, own)["Records"]
            kafka, runnel = batches.parse(given), batches.parse(own["Records"])
            if not 0 < len(kafka) < len(runnel) or \
                    len(own["Records"]) > limits[key, own["PartitionIndex"]]:
                continue
            first = runnel[len(kafka)]["base"]
            rest = settler.records("kafka", key if named else names[key],
                                   own["PartitionIndex"], first)
            theirs[place]["Records"] = given + rest[:len(own["Records"]) - len(given)]
            yield allowed.SEGMENTS


def merge_topics(answer):
    """Kafka may name a topic twice: for its partitions with errors and for the others."""
    topics = {}
    for topic in answer["Responses"]:
        known = topics.setdefault(topic.get("Topic") or topic.get("TopicId"), topic)
        if known is not topic:
            known["Partitions"] += topic["Partitions"]
    answer["Responses"] = list(topics.values())


def take_created(kafka, runnel):
    """The names of unknown topics of Kafka's answer that Runnel has made."""
    made = {t["Name"] for t in runnel["Topics"] if t["ErrorCode"] == 0} & {
        t["Name"] for t in kafka["Topics"] if t["ErrorCode"] in (3, 5)}
    for answer in (kafka, runnel):
        answer["Topics"] = [t for t in answer["Topics"] if t["Name"] not in made]
    return sorted(made)
