"""Two answers field by field."""
import dataclasses
from collections import Counter
from dataclasses import dataclass

import batches

ABSENT = "<absent>"
# Fields whose values each broker chooses for itself, by name. Equal values are equal all the same.
SYMBOLS = {"MemberId": "member", "Leader": "member", "TopicId": "topic", "ProducerId": "producer",
           "ClusterId": "cluster"}
# What names an element of an array, the strongest first.
KEYS = ("Name", "TopicName", "Topic", "GroupId", "Key", "ApiKey", "ResourceType", "ResourceName",
        "MemberId", "GroupInstanceId", "TopicId", "Index", "PartitionIndex", "Partition", "PartitionId",
        "BrokerId", "NodeId", "TransactionalId", "ProducerId", "PatternType", "User")


@dataclass(frozen=True)
class Difference:
    api: str
    version: int
    path: str
    kafka: object
    runnel: object
    fields: dict = dataclasses.field(default_factory=dict, compare=False)
    answers: dict = dataclasses.field(default_factory=dict, compare=False)

    def signature(self):
        return self.api, self.path, brief(self.kafka), brief(self.runnel)

    def __str__(self):
        return (f"{self.api} {self.version} {self.path}: Kafka {shown(self.kafka)}, "
                f"Runnel {shown(self.runnel)}")


def brief(value):
    """What is the same for all differences of a kind."""
    if isinstance(value, dict):
        return "element with error " + repr(value.get("ErrorCode"))
    return "text" if isinstance(value, str) and len(value) > 20 else shown(value)


def shown(value):
    text = repr(value)
    return text if len(text) < 160 else text[:150] + "..."


class Comparison:
    """One answer of each broker to one request."""

    def __init__(self, api, version, symbols, fields, answers):
        self.fields = fields
        self.answers = answers
        self.api = api
        self.version = version
        self.symbols = symbols
        self.differences = []
        self.orders = Counter()

    def differ(self, path, kafka, runnel):
        self.differences.append(Difference(self.api, self.version, path, kafka, runnel,
                                           self.fields, self.answers))

    def struct(self, fields, kafka, runnel, path=""):
        if kafka is None or runnel is None:
            if kafka is not runnel:
                self.differ(path, kafka, runnel)
            return
        for field in fields:
            if field.name in kafka or field.name in runnel:
                self.field(field, kafka.get(field.name), runnel.get(field.name),
                           f"{path}.{field.name}" if path else field.name)
        for name in set(kafka) ^ set(runnel):
            if name.startswith("tag "):
                self.differ(f"{path}.{name}", kafka.get(name, ABSENT), runnel.get(name, ABSENT))

    def field(self, field, kafka, runnel, path):
        if field.array:
            self.array(field, kafka, runnel, path)
        elif field.fields is not None:
            self.struct(field.fields, kafka, runnel, path)
        elif field.kind == "records":
            self.records(kafka, runnel, path)
        elif field.name in SYMBOLS and self.is_given(kafka, runnel):
            if not self.symbols.same(SYMBOLS[field.name], kafka, runnel):
                self.differ(path, self.named("kafka", field.name, kafka),
                            self.named("runnel", field.name, runnel))
        elif kafka != runnel:
            self.differ(path, kafka, runnel)

    def named(self, side, name, value):
        return self.symbols.find(side, SYMBOLS[name], value) or "a value never seen before"

    @staticmethod
    def is_given(*values):
        """Not empty, zero or -1, which say that there is none. 0 of both is what errors have."""
        return not all(v == 0 for v in values) and not any(
            v in (None, "", -1, bytes(16)) for v in values)

    def key_of(self, side, element):
        if not isinstance(element, dict):
            return (element,)
        key = []
        for name in KEYS:
            value = element.get(name)
            if name == "TopicId" and (element.get("Name") or element.get("TopicName")):
                continue
            if name == "ProducerId" and "TransactionalId" in element:
                continue
            if name in SYMBOLS:
                symbol = self.symbols.find(side, SYMBOLS[name], value)
                value = symbol.number if symbol else value if not self.is_given(value) else "new"
            key.append((name, "<null>" if value is None else value))
        return tuple(each for each in key if each[0] in element)

    def array(self, field, kafka, runnel, path):
        if kafka is None or runnel is None:
            if kafka is not runnel:
                self.differ(path, kafka, runnel)
            return
        order = lambda pair: [(str(type(v)), str(v)) for v in pair[0]]
        pairs = {"kafka": [(self.key_of("kafka", e), e) for e in kafka],
                 "runnel": [(self.key_of("runnel", e), e) for e in runnel]}
        if [k for k, _ in pairs["kafka"]] != [k for k, _ in pairs["runnel"]]:
            for side in pairs:
                pairs[side].sort(key=order)
            if [k for k, _ in pairs["kafka"]] == [k for k, _ in pairs["runnel"]]:
                self.orders[f"{self.api} {path}"] += 1
        left, right = pairs["kafka"], pairs["runnel"]
        while left or right:
            a = left[0] if left else None
            b = right[0] if right else None
            if a is not None and b is not None and a[0] == b[0]:
                self.element(field, a[1], b[1], self.element_path(path, a[1]))
                left, right = left[1:], right[1:]
            elif b is None or a is not None and order(a) < order(b):
                self.differ(self.element_path(path, a[1]), a[1], ABSENT)
                left = left[1:]
            else:
                self.differ(self.element_path(path, b[1]), ABSENT, b[1])
                right = right[1:]

    @staticmethod
    def element_path(path, element):
        """Configs are told apart by name, for each is a matter of its own."""
        if path.endswith("Configs") and isinstance(element, dict):
            return f"{path}[{element.get('Name')}]"
        if path.endswith("ApiKeys"):
            return f"{path}[{element.get('ApiKey')}]"
        return path

    def element(self, field, kafka, runnel, path):
        if field.fields is not None:
            self.struct(field.fields, kafka, runnel, path)
        elif kafka != runnel:
            self.differ(path, kafka, runnel)

    def records(self, kafka, runnel, path):
        a, b = batches.parse(kafka), batches.parse(runnel)
        if (kafka is None) != (runnel is None):
            self.differ(path, kafka, runnel)
        if len(a) != len(b):
            self.differ(f"{path}.batches", [(e["base"], e["count"]) for e in a],
                        [(e["base"], e["count"]) for e in b])
        for x, y in zip(a, b):
            compressed = x["attributes"] & 7 and x["body"] != y["body"]
            if compressed:
                self.differ(f"{path}.compressed", len(x["body"]), len(y["body"]))
            for name in x:
                if compressed and name in ("first_time", "max_time", "body"):
                    continue
                if x["attributes"] & batches.CONTROL and name in ("first_time", "max_time"):
                    continue  # of when the broker ended a transaction
                if name == "max_time" and x["attributes"] & batches.LOG_APPEND_TIME:
                    continue  # each has a clock
                if name == "producer" and x[name] >= 0 and y[name] >= 0:
                    if not self.symbols.same("producer", x[name], y[name]):
                        self.differ(f"{path}.{name}", x[name], y[name])
                elif x[name] != y[name]:
                    self.differ(f"{path}.{name}", x[name], y[name])
