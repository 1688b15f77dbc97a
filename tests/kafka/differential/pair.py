"""The two brokers side by side: connections, and the names that each gave to the same thing."""
import socket
import struct
import time

import schema

ANSWER_SECONDS = 6
CLIENT_ID = "referee"
SIDES = ("kafka", "runnel")


class Closed(Exception):
    """The broker ended the connection."""


class Symbol:
    """A value that each broker chooses for itself: an id of a member, a topic or a producer."""

    def __init__(self, kind, number, kafka, runnel):
        self.kind = kind
        self.number = number
        self.values = {"kafka": kafka, "runnel": runnel}

    def __repr__(self):
        return f"<{self.kind} {self.number}>"


class Symbols:
    """Which of Kafka's values is which of Runnel's."""

    def __init__(self):
        self.of = {"kafka": {}, "runnel": {}}
        self.all = {}

    def find(self, side, kind, value):
        return self.of[side].get((kind, value))

    def pair(self, kind, kafka, runnel):
        symbol = Symbol(kind, len(self.all), kafka, runnel)
        self.all[symbol.number] = symbol
        self.of["kafka"][kind, kafka] = symbol
        self.of["runnel"][kind, runnel] = symbol
        return symbol

    def same(self, kind, kafka, runnel):
        """Whether both mean the same. Two that were never seen are paired."""
        a, b = self.find("kafka", kind, kafka), self.find("runnel", kind, runnel)
        if a is None and b is None:
            self.pair(kind, kafka, runnel)
            return True
        return a is b


def resolve(value, side):
    """`value` with each symbol as `side` knows it."""
    if isinstance(value, Symbol):
        return value.values[side]
    if isinstance(value, dict):
        return {k: resolve(v, side) for k, v in value.items()}
    if isinstance(value, list):
        return [resolve(v, side) for v in value]
    if callable(value):
        return value(side)
    return value


class Connection:
    def __init__(self, port):
        self.port = port
        self.socket = None
        self.correlation = 0
        self.buffer = b""
        self.reset()

    def reset(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, request, version, value):
        self.correlation += 1
        self.send_bytes(schema.request_frame(request, version, self.correlation, CLIENT_ID, value))

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the answer tells

    def receive(self, seconds):
        """A frame without its length; None if none came in time."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self.buffer) >= 4:
                end = 4 + struct.unpack_from(">i", self.buffer)[0]
                if len(self.buffer) >= end:
                    frame, self.buffer = self.buffer[4:end], self.buffer[end:]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0 and seconds > 0:
                return None
            self.socket.settimeout(max(left, 0.0001))
            try:
                data = self.socket.recv(1 << 20)
            except socket.timeout:
                return None
            except OSError as error:
                raise Closed from error
            if not data:
                raise Closed
            self.buffer += data


class Lane:
    """A connection to each broker. A request goes to both; an answer may be outstanding."""

    def __init__(self, ports):
        self.connections = {side: Connection(ports[side]) for side in SIDES}
        self.pending = None
        self.frames = {}

    def send(self, api, version, value):
        self.pending = (api, version, value)
        self.frames = {}
        for side in SIDES:
            self.connections[side].send(api[0], version, resolve(value, side))

    def collect(self, seconds):
        """Both answers as {side: frame, None for a closed connection}, or None while neither came."""
        for side in SIDES:
            if side in self.frames:
                continue
            # Where one has answered, the other has to.
            wait = ANSWER_SECONDS if self.frames else seconds
            try:
                frame = self.connections[side].receive(wait)
            except Closed:
                self.frames[side] = None
                continue
            if frame is not None:
                self.frames[side] = frame
            elif self.frames:
                self.frames[side] = "nothing"
        if not self.frames:
            return None
        for side in SIDES:
            if side not in self.frames:  # the second answered in the meantime, the first did not
                return self.collect(seconds)
        frames, self.frames, self.pending = self.frames, {}, None
        return frames

    def reset(self):
        self.pending, self.frames = None, {}
        for connection in self.connections.values():
            connection.reset()

    def close(self):
        for connection in self.connections.values():
            connection.socket.close()
