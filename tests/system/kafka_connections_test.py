#!/usr/bin/env python3
"""What 1,000 idle Kafka connections cost the real binary.

usage: kafka_connections_test.py BINARY auto|epoll|io_uring [unittest arguments]
Exit code 77: io_uring is what was asked for and this machine does not allow it.
"""
import pathlib
import re
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, Broker, io_uring_is_refused

BINARY = ""
NET = "auto"

CONNECTIONS = 1000
ALLOWED_BYTES = 16 * 1024
LARGE_BYTES = 100_000

PRODUCE, METADATA, API_VERSIONS = 0, 3, 18


def request(key, version, body):
    """A request with correlation id 7 and client id "idle"."""
    frame = struct.pack(">hhih4s", key, version, 7, 4, b"idle") + body
    return struct.pack(">i", len(frame)) + frame


def large_produce(topic):
    """A produce request, version 3, whose batch is no batch: it is received whole and refused."""
    name = struct.pack(f">h{len(topic)}s", len(topic), topic)
    records = struct.pack(">i", LARGE_BYTES) + b"x" * LARGE_BYTES
    return request(PRODUCE, 3, struct.pack(">hhii", -1, -1, 30_000, 1) + name
                   + struct.pack(">ii", 1, 0) + records)


def answer(connection):
    """The correlation id and how many bytes follow."""
    with connection.makefile("rb") as stream:
        size, correlation = struct.unpack(">ii", stream.read(8))
        return correlation, len(stream.read(size - 4))


class IdleConnections(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BINARY, NET)
        self.addCleanup(self.broker.remove)
        self.broker.out("topic", "create", "idle", "-p", "8")
        host, port = self.broker.address.rsplit(":", 1)
        self.address = (host, int(port))

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.broker.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def connect(self, *requests):
        connection = socket.create_connection(self.address, PATIENCE_SECONDS)
        self.addCleanup(connection.close)
        for each in requests:
            connection.sendall(each)
            correlation, size = answer(connection)
            self.assertEqual(correlation, 7)
            self.assertGreater(size, 0)
        return connection

    def check_idle(self, what, *requests):
        # The first ones pay for what all share.
        for _ in range(50):
            self.connect(*requests)
        before = self.resident_bytes()
        connections = [self.connect(*requests) for _ in range(CONNECTIONS)]
        each = 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            # The allocator gives pages back some seconds after they were freed.
            each = (self.resident_bytes() - before) / CONNECTIONS
            if each <= ALLOWED_BYTES:
                break
            time.sleep(0.1)
        print(f"{NET}: {each / 1024:.1f} KiB for each of {CONNECTIONS} idle connections, {what}")
        self.assertLessEqual(each, ALLOWED_BYTES)
        for connection in connections[::100]:
            connection.sendall(request(API_VERSIONS, 0, b""))
            self.assertEqual(answer(connection)[0], 7)

    def test_those_that_only_asked_who_is_there(self):
        self.check_idle("after ApiVersions and Metadata", request(API_VERSIONS, 0, b""),
                        request(METADATA, 1, struct.pack(">i", -1)))

    def test_those_that_sent_much(self):
        self.check_idle(f"after a request of {LARGE_BYTES} bytes", request(API_VERSIONS, 0, b""),
                        large_produce(b"idle"))


if __name__ == "__main__":
    BINARY, NET = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    if NET == "io_uring":
        REASON = io_uring_is_refused(BINARY)
        if REASON:
            print("io_uring cannot be tested here:", REASON)
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
