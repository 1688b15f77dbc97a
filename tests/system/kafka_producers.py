"""Kafka producers that can be told to repeat themselves, across connections and restarts."""
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "kafka" / "differential"))
import batches  # pylint: disable=wrong-import-position

PRODUCE, DELETE_RECORDS, INIT_PRODUCER, ADD_PARTITIONS, END_TRANSACTION = 0, 21, 22, 24, 26
ANSWER_SECONDS = 30


class Refused(Exception):
    """The broker's error code."""


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


class Connection:
    """To one broker at a time. OSError where it ends."""

    def __init__(self, address):
        self.socket = None
        self.move_to(address)

    def move_to(self, address):
        """Goes on with the broker at `address`."""
        self.close()
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def ask(self, key, version, body):
        """The answer behind its correlation id."""
        if self.socket is None:
            raise ConnectionError("not connected")
        frame = struct.pack(">hhi", key, version, 1) + text("test") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack_from(">i", answer)[0]:
            more = self.socket.recv(1 << 16)
            if not more:
                raise ConnectionError("the broker closed the connection")
            answer += more
        return answer[8:]

    def delete_records(self, topic, partition, before):
        """The new first offset of a partition."""
        body = struct.pack(">i", 1) + text(topic)
        body += struct.pack(">iiqi", 1, partition, before, ANSWER_SECONDS * 1000)
        frame = self.ask(DELETE_RECORDS, 0, body)
        start, error = struct.unpack_from(">qh", frame, 4 + 4 + 2 + len(topic) + 4 + 4)
        if error:
            raise Refused(error)
        return start


class IdempotentProducer(Connection):
    """One producer id; each partition's sequence goes on from send to send."""

    def __init__(self, address, transactional_id=None):
        super().__init__(address)
        self.transactional_id = transactional_id
        self.begin_anew()

    def begin_anew(self):
        """Asks for a producer id; with a transactional id this aborts what it left open."""
        body = text(self.transactional_id) + struct.pack(">i", 60_000)
        frame = self.ask(INIT_PRODUCER, 0, body)
        error, self.id, self.epoch = struct.unpack_from(">hqh", frame, 4)
        if error:
            raise Refused(error)
        self.next = {}

    def batch(self, topic, partition, records):
        """The next batch for a partition: `records` are (key, value) of bytes."""
        first = self.next.get((topic, partition), 0)
        attributes = batches.TRANSACTIONAL if self.transactional_id else 0
        return batches.batch([(0, key, value, []) for key, value in records],
                             int(time.time() * 1000), producer=(self.id, self.epoch, first),
                             attributes=attributes)

    def send(self, topic, partition, batch):
        """The offset of the batch's first record: of the first time, if it is a repetition."""
        body = text(self.transactional_id) + struct.pack(">hii", -1, ANSWER_SECONDS * 1000, 1)
        body += text(topic) + struct.pack(">iii", 1, partition, len(batch)) + batch
        frame = self.ask(PRODUCE, 3, body)
        error, base = struct.unpack_from(">hq", frame, 4 + 2 + len(topic) + 4 + 4)
        if error:
            raise Refused(error)
        return base

    def stored(self, topic, partition, count):
        """The next batch's sequence is behind `count` more records."""
        self.next[topic, partition] = self.next.get((topic, partition), 0) + count

    # ---- with a transactional id
    def add_partitions(self, topic, partitions):
        body = text(self.transactional_id) + struct.pack(">qhi", self.id, self.epoch, 1)
        body += text(topic) + struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
        frame = self.ask(ADD_PARTITIONS, 0, body)
        for i in range(len(partitions)):
            error = struct.unpack_from(">h", frame, 4 + 4 + 2 + len(topic) + 4 + i * 6 + 4)[0]
            if error:
                raise Refused(error)

    def end(self, commit):
        body = text(self.transactional_id) + struct.pack(">qhb", self.id, self.epoch, int(commit))
        error = struct.unpack_from(">h", self.ask(END_TRANSACTION, 0, body), 4)[0]
        if error:
            raise Refused(error)
