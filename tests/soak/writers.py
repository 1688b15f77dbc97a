"""Those who write. Each knows what was acknowledged to it, and goes on across restarts."""
import json
import random
import threading
import time

from kafka_producers import Connection, IdempotentProducer, Refused

PAUSE_SECONDS = 0.02
# Codes that say "not now": loading, not available, timed out, a transaction that is still ending.
RETRIABLE = {5, 6, 7, 14, 15, 16, 19, 51}


class Actor(threading.Thread):
    """Does its work again and again until the soak ends; an exception is a failure of the soak."""

    def __init__(self, place, name, seed):
        super().__init__(name=name, daemon=True)
        self.place = place
        self.dice = random.Random(f"{seed} {name}")
        self.done = 0  # of what it does, for the summary

    def run(self):
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-except
            self.place.fail(f"{self.name}: {type(error).__name__}: {error}")

    def work(self):
        raise NotImplementedError

    def again(self, what):
        """what() until it is answered; a broker that is down is waited for."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return what()
            except (OSError, Refused) as error:
                if isinstance(error, Refused) and error.args[0] not in RETRIABLE:
                    raise
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


class Writer(Actor):
    """Numbered records into each partition of a topic, and which offset each one got."""

    def __init__(self, place, name, seed, topic, partitions, bytes_each=100):
        super().__init__(place, name, seed)
        self.topic = topic
        self.partitions = partitions
        self.filler = "x" * bytes_each
        self.acknowledged = {p: [] for p in range(partitions)}  # (offset, value)
        self.producer = None

    def counts(self):
        """How many records were acknowledged in each partition."""
        return {p: len(records) for p, records in self.acknowledged.items()}

    def connected(self):
        if self.producer is None:
            self.producer = IdempotentProducer(self.place.address)
        elif self.producer.socket is None:
            self.producer.move_to(self.place.address)
        return self.producer

    def send(self, partition, batch):
        try:
            return self.connected().send(self.topic, partition, batch)
        except OSError:
            if self.producer:
                self.producer.close()
            raise

    def store(self, partition, records):
        """The base offset, the same batch being sent until it is acknowledged."""
        self.again(self.connected)
        batch = self.producer.batch(self.topic, partition, records)
        base = self.again(lambda: self.send(partition, batch))
        self.producer.stored(self.topic, partition, len(records))
        self.done += len(records)
        return base

    def work(self):
        number = 0
        while self.place.wait(PAUSE_SECONDS):
            partition = self.dice.randrange(self.partitions)
            values = []
            for _ in range(self.dice.randint(1, 20)):
                number += 1
                values.append(f"{self.name} {number} {self.filler}")
            base = self.store(partition, [(b"k", v.encode()) for v in values])
            for i, value in enumerate(values):
                self.acknowledged[partition].append((base + i, value))
            self.after(partition)

    def after(self, partition):
        pass


class Trimmer(Writer):
    """A Writer whose topic loses its beginning again and again."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.trimmed = {p: 0 for p in range(self.partitions)}

    def after(self, partition):
        if self.dice.randrange(40):
            return
        end = self.acknowledged[partition][-1][0] + 1
        before = self.dice.randint(self.trimmed[partition], end)

        def trim():
            connection = Connection(self.place.address)
            try:
                return connection.delete_records(self.topic, partition, before)
            finally:
                connection.close()
        self.trimmed[partition] = self.again(trim)
        if self.trimmed[partition] < before:
            self.place.fail(f"{self.name}: trimmed to {self.trimmed[partition]}, asked for {before}")


class Eraser(Writer):
    """A Writer that has all records with one of its keys erased again and again. The value begins
    with the key."""

    KEYS = 20

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.erasures = {}  # id -> (key, {partition: records before this offset are meant})

    def work(self):
        number = 0
        while self.place.wait(PAUSE_SECONDS):
            partition = self.dice.randrange(self.partitions)
            keys = [f"erasable-{self.dice.randrange(self.KEYS)}"
                    for _ in range(self.dice.randint(1, 20))]
            values = []
            for key in keys:
                number += 1
                values.append(f"{key} {number} {self.filler}")
            base = self.store(partition, [(k.encode(), v.encode()) for k, v in zip(keys, values)])
            for i, value in enumerate(values):
                self.acknowledged[partition].append((base + i, value))
            if self.dice.randrange(100) == 0:
                self.erase()

    def erase(self):
        key, name = f"erasable-{self.dice.randrange(self.KEYS)}", f"soak-{len(self.erasures)}"
        out = self.place.patiently("erase", self.topic, "--key", key, "--id", name, "-o", "json")
        if out:
            parts = json.loads(out)["partitions"]
            self.erasures[name] = (key, {p["partition"]: p["before"] for p in parts})


class Keyed(Writer):
    """New values of the same keys, some of them deletions; the newest of each is what counts."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.newest = {p: {} for p in range(self.partitions)}

    def work(self):
        number = 0
        while self.place.wait(PAUSE_SECONDS):
            partition = self.dice.randrange(self.partitions)
            records = []
            for _ in range(self.dice.randint(1, 20)):
                number += 1
                key = f"k{self.dice.randrange(300)}"
                value = None if self.dice.random() < 0.05 else f"{number} {self.filler}"
                records.append((key, value))
            self.store(partition, [(k.encode(), None if v is None else v.encode())
                                   for k, v in records])
            self.newest[partition].update(records)


class Transactions(Actor):
    """Transactions over two partitions, committed and aborted."""

    def __init__(self, place, name, seed, topic):
        super().__init__(place, name, seed)
        self.topic = topic
        self.committed, self.aborted, self.maybe = [], [], []
        self.producer = None

    def begin(self):
        if self.producer is None:
            self.producer = IdempotentProducer(self.place.address, "soak")
        elif self.producer.socket is None:
            self.producer.move_to(self.place.address)
            self.producer.begin_anew()

    def work(self):
        number = 0
        while self.place.wait(PAUSE_SECONDS * 5):
            self.again(self.begin)
            number += 1
            commit = self.dice.random() < 0.8
            ending = False
            try:
                self.again_in(lambda: self.producer.add_partitions(self.topic, [0, 1]))
                for partition in (0, 1):
                    records = [(b"t", f"{number} {partition} {i}".encode()) for i in range(3)]
                    batch = self.producer.batch(self.topic, partition, records)
                    self.producer.send(self.topic, partition, batch)
                    self.producer.stored(self.topic, partition, len(records))
                ending = True
                self.again_in(lambda: self.producer.end(commit))
                (self.committed if commit else self.aborted).append(number)
                self.done += 1
            except (OSError, Refused) as error:
                # Whoever begins anew ends what was open; an end that was asked for may have come.
                (self.maybe if ending and commit else self.aborted).append(number)
                if isinstance(error, Refused) and error.args[0] not in RETRIABLE | {47, 48, 90}:
                    raise
                self.producer.close()

    def again_in(self, what):
        """Within a connection; what is refused for now is tried again."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return what()
            except Refused as error:
                if error.args[0] not in RETRIABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
