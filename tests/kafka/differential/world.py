"""What a sequence of requests has made so far, and what its next requests are drawn from."""
import random
import time

NO_ID = bytes(16)
ODD_NAMES = ["", ".", "..", "a b", "a/b", "a,b", "ü", "x" * 249, "x" * 250, "a:b", "\x00", "-", "_"]
ODD_NUMBERS = [-1, -2, 0, 1, 2, 7, 2**31 - 1, -2**31]
ODD_OFFSETS = [-1, -2, -5, 0, 1, 3, 100, 2**63 - 1, -2**63]
# Steps by name of the API, as (weight, function).
STEPS = {}


def step(api, weight=1.0, name=None):
    """A function (world, version) that makes a request of `api`: fields, or fields and what is done
    with (the answer of Kafka, the fields)."""
    def register(function):
        STEPS.setdefault(name or function.__name__, (api, weight, function))
        return function
    return register


class Topic:
    def __init__(self, name, partitions, symbol):
        self.name = name
        self.id = symbol
        self.ends = [0] * partitions

    @property
    def partitions(self):
        return len(self.ends)


class Member:
    def __init__(self, group, symbol, instance):
        self.group = group
        self.id = symbol
        self.instance = instance
        self.generation = -1
        self.leader = False
        self.epochs = None  # by broker, of the KIP-848 protocol
        self.owned = None  # what it was told to own, by the KIP-848 protocol


    def epoch(self):
        """What it says its generation or epoch is: each broker counts epochs in its own way."""
        return (lambda side: self.epochs[side]) if self.epochs else self.generation


class Group:
    def __init__(self, name):
        self.name = name
        self.kind = "unused"
        self.protocol = ("consumer", "range")
        self.members = []
        self.generation = -1


class Producer:
    def __init__(self, symbol, epoch):
        self.id = symbol
        self.epoch = epoch
        self.next = {}


class World:
    def __init__(self, seed, symbols, versions):
        self.random = random.Random(seed)
        self.symbols = symbols
        self.versions = versions
        self.now = int(time.time() * 1000)
        # A sequence that runs again on the same brokers meets nothing of its first run.
        self.prefix = f"s{seed}-{self.now % 10**7:07}-"
        self.topics = {}
        self.gone = []
        self.groups = {f"{self.prefix}g{i}": Group(f"{self.prefix}g{i}") for i in range(3)}
        self.consumer_groups = {f"{self.prefix}c{i}": Group(f"{self.prefix}c{i}") for i in range(2)}
        self.producers = []
        self.transactional = {}
        self.ended = False  # a transaction has: its markers are written a little later
        self.ghosts = set()
        self.made = 0
        # What the last step changed, by Kafka's answer: names; (name, partitions); (name, partition).
        self.made_topics = []
        self.deleted_topics = []
        self.grown_topics = []
        self.touched = set()
        self.altered = False

    # ------------------------------------------------------------ chance
    def chance(self, percent):
        return self.random.random() * 100 < percent

    def pick(self, *values):
        return self.random.choice(values)

    def some(self, low, high, make):
        return [make() for _ in range(self.random.randint(low, high))]

    # ------------------------------------------------------------ pools
    def fresh_name(self):
        self.made += 1
        return f"{self.prefix}t{self.made}"

    def unknown_name(self):
        if self.gone and self.chance(40):
            return self.random.choice(self.gone).name
        return f"{self.prefix}nowhere"

    def topic_name(self, odd=3, unknown=8):
        if self.chance(odd):
            return self.random.choice(ODD_NAMES)
        if not self.topics or self.chance(unknown):
            return self.unknown_name()
        return self.random.choice(list(self.topics))

    def topic_id(self, name):
        """The id of a known topic; else zero, one that is gone, or one that never was."""
        if name in self.topics:
            return self.topics[name].id
        if self.gone and self.chance(40):
            return self.random.choice(self.gone).id
        return self.pick(NO_ID, b"\x01" * 16)

    def topic_names(self, low=1, high=3, **odds):
        return self.some(low, high, lambda: self.topic_name(**odds))

    def partition(self, name, odd=8):
        topic = self.topics.get(name)
        if self.chance(odd):
            return self.pick(-1, 100, 2**31 - 1, topic.partitions if topic else 0)
        return self.random.randrange(topic.partitions) if topic else 0

    def partitions(self, name, low=1, high=2, **odds):
        return self.some(low, high, lambda: self.partition(name, **odds))

    def end(self, name, partition):
        topic = self.topics.get(name)
        return topic.ends[partition] if topic and 0 <= partition < topic.partitions else 0

    def offset(self, name, partition, odd=15):
        if self.chance(odd):
            return self.random.choice(ODD_OFFSETS)
        return self.random.randint(0, self.end(name, partition) + 1)

    def epoch(self):
        """A client's idea of the leader's epoch."""
        return self.random.choices([-1, 0, 1, 5, -2], [70, 20, 4, 3, 3])[0]

    def group_name(self, odd=4):
        if self.chance(odd):
            return self.pick("", f"{self.prefix}nobody", self.prefix.ljust(249, "g"), f" {self.prefix}")
        if self.chance(6):
            return self.random.choice(list(self.consumer_groups))
        return self.random.choice(list(self.groups))

    def forget_group(self, name):
        """Kafka keeps a group whose first member it refused, Runnel does not: it is left alone."""
        self.ghosts.add(name)
        if self.groups.pop(name, None):
            self.made += 1
            self.groups[f"{self.prefix}h{self.made}"] = Group(f"{self.prefix}h{self.made}")

    def member(self):
        members = [m for g in self.groups.values() for m in g.members]
        return self.random.choice(members) if members else None

    # ------------------------------------------------------------ what the brokers gave
    def symbol(self, kind, answers, get):
        """The symbol of what get(answer) says in both answers."""
        a, b = get(answers["kafka"]), get(answers["runnel"])
        found = self.symbols.find("kafka", kind, a)
        return found or self.symbols.pair(kind, a, b)

    def add_topic(self, name, partitions, symbol):
        self.topics[name] = Topic(name, partitions, symbol)

    def remove_topic(self, name):
        self.gone.append(self.topics.pop(name))

