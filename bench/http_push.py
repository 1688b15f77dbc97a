#!/usr/bin/env python3
"""Many subscribers of one hot view over server-sent events: how late each is, and what it costs.

usage: http_push.py BINARY [SUBSCRIBERS] [UPDATES_A_SECOND] [SECONDS]

Records that carry the time at which they were sent go into a view of ten groups; each subscriber
takes the newest time of every event that it gets. Prints how old that was when it came, the broker's
CPU time while it ran, and its memory with and without the subscribers. The client is one thread of
Python: of its lag there is some in the figures.
"""
import asyncio
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/system"))
from harness import Broker  # noqa: E402

GROUPS = 10
BURSTS_A_SECOND = 50


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


async def call(host, port, method, path, body, kind="application/json"):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.split(" ", 2)[1] in ("200", "201"), answer
    return answer


class Subscriber:
    """Keeps, of each event, when it came and the newest time in it."""

    def __init__(self):
        self.lags = []
        self.events = 0
        self.begun = asyncio.Event()

    async def run(self, host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /api/v1/views/hot/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            async for line in reader:
                if not line.startswith(b"data: "):
                    continue
                now = time.time() * 1000
                self.events += 1
                # The newest time stands in one of few rows: no need to take the JSON apart.
                newest = max((int(part.split(b"}", 1)[0]) for part in
                              line.split(b'"sent":')[1:]), default=0)
                if self.begun.is_set() and newest:
                    self.lags.append(now - newest)
                self.begun.set()
        except asyncio.CancelledError:
            writer.close()


async def produce(host, port, rate, until):
    reader, writer = await asyncio.open_connection(host, port)
    begun, sent = time.time(), 0
    while time.time() < until:
        now = int(time.time() * 1000)
        # What is due by now, so that the rate is kept however long an answer takes.
        burst = max(1, int((time.time() - begun + 1 / BURSTS_A_SECOND) * rate) - sent)
        body = "".join(json.dumps({"name": f"g{(sent + i) % GROUPS}", "sent": now}) + "\n"
                       for i in range(burst)).encode()
        writer.write(b"POST /api/v1/topics/facts/records?as=values HTTP/1.1\r\nHost: localhost\r\n"
                     b"Content-Type: application/x-ndjson\r\nContent-Length: " +
                     str(len(body)).encode() + b"\r\n\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        sent += burst
        await asyncio.sleep(1 / BURSTS_A_SECOND)
    writer.close()
    return sent


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


async def measure(broker, subscribers, rate, seconds):
    host, port = broker.address.rsplit(":", 1)
    port, pid = int(port), broker.process.pid
    for statement in (
            "CREATE SOURCE facts (name VARCHAR, sent BIGINT) ON TOPIC 'facts'",
            "CREATE MATERIALIZED VIEW hot AS SELECT name, count(*) AS n, max(sent) AS sent "
            "FROM facts GROUP BY name"):
        await call(host, port, "POST", "/api/v1/sql", statement, "application/sql")
    await produce(host, port, rate, time.time() + 1)
    before = resident_kib(pid)
    listeners = [Subscriber() for _ in range(subscribers)]
    tasks = [asyncio.create_task(listener.run(host, port)) for listener in listeners]
    await asyncio.gather(*(listener.begun.wait() for listener in listeners))
    connected = resident_kib(pid)
    used, begun = cpu_seconds(pid), time.time()
    sent = await produce(host, port, rate, time.time() + seconds)
    elapsed = time.time() - begun
    used = cpu_seconds(pid) - used
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    worst = max(percentile(listener.lags, 0.99) for listener in listeners)
    lags = [lag for listener in listeners for lag in listener.lags]
    print(f"{subscribers} subscribers, {sent / elapsed:.0f} updates/s for {elapsed:.0f} s")
    print(f"lag of all: p50 {percentile(lags, 0.5):.0f} ms, p99 {percentile(lags, 0.99):.0f} ms; "
          f"p99 of the worst subscriber {worst:.0f} ms")
    print(f"events: {len(lags) / elapsed / subscribers:.1f} a second and subscriber")
    print(f"broker: {used / elapsed:.2f} cores; {(connected - before) / subscribers:.1f} KiB of "
          f"memory a subscriber")


def main():
    numbers = [int(text) for text in sys.argv[2:]] + [1000, 1000, 10][len(sys.argv) - 2:]
    broker = Broker(sys.argv[1])
    try:
        broker.out("topic", "create", "facts", "-p", "1")
        asyncio.run(measure(broker, *numbers))
    finally:
        broker.remove()


if __name__ == "__main__":
    main()
