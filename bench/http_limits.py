#!/usr/bin/env python3
"""What connections that misbehave cost those that do not.

usage: http_limits.py BINARY [SECONDS]

Sixteen connections append records and are timed: alone, beside 1,000 requests that never become
whole, beside 10,000 connections that say nothing, beside bodies of 10 GB that are announced. Prints
the latencies of each, the ratio to the first, and the broker's memory. Needs 12,000 open files.
"""
import asyncio
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from harness import Broker

ACTIVE = 16
BODY = b'{"key":"k","value":{"id":1,"text":"' + b"x" * 200 + b'"}}'
REQUEST = (b"POST /api/v1/topics/facts/records HTTP/1.1\r\nHost: localhost\r\n"
           b"Content-Type: application/json\r\nContent-Length: " + str(len(BODY)).encode() +
           b"\r\n\r\n" + BODY)
HALF = REQUEST[:-20]
ANNOUNCED = (b"POST /api/v1/topics/facts/records HTTP/1.1\r\nHost: localhost\r\n"
             b"Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n[")


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def append(address, until, times):
    reader, writer = await asyncio.open_connection(*address)
    while time.monotonic() < until:
        begun = time.monotonic()
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.monotonic() - begun)
    writer.close()


async def occupy(address, count, sent):
    """Connections that send this and then nothing."""
    kept = []
    for _ in range(count):
        _, writer = await asyncio.open_connection(*address)
        if sent:
            writer.write(sent)
        kept.append(writer)
    return kept


async def announce(address, until):
    """Again and again a body of 10 GB; how many were refused."""
    refused = 0
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(ANNOUNCED)
        refused += (await reader.read(12)) == b"HTTP/1.1 413"
        writer.close()
    return refused


async def measure(name, broker, address, seconds, baseline=None, beside=None):
    times = []
    until = time.monotonic() + seconds
    tasks = [append(address, until, times) for _ in range(ACTIVE)]
    others = [beside(address, until) for _ in range(4)] if beside else []
    await asyncio.gather(*tasks, *others)
    p99 = percentile(times, 0.99)
    ratio = f", {p99 / baseline:.2f} x alone" if baseline else ""
    print(f"{name}: {len(times) / seconds:.0f} requests/s, p50 {percentile(times, 0.5):.2f} ms, "
          f"p99 {p99:.2f} ms{ratio}; {resident_mib(broker.process.pid):.0f} MiB", flush=True)
    return p99


async def run(broker, seconds):
    host, port = broker.address.rsplit(":", 1)
    address = (host, int(port))
    await measure("warm-up", broker, address, 1)
    alone = await measure("alone", broker, address, seconds)
    half = await occupy(address, 1000, HALF)
    await measure("1,000 half requests", broker, address, seconds, alone)
    for writer in half:
        writer.close()
    idle = await occupy(address, 10_000, b"")
    await measure("10,000 idle connections", broker, address, seconds, alone)
    for writer in idle:
        writer.close()
    await measure("bodies of 10 GB announced", broker, address, seconds, alone, announce)
    await measure("alone again", broker, address, seconds, alone)


def main():
    files = 12_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        sys.exit(f"{files} open files are needed, and {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    broker = Broker(sys.argv[1], arguments=("--handshake-timeout", "5m",
                                             "--max-connections", "20000"))
    try:
        broker.out("topic", "create", "facts", "-p", "4")
        asyncio.run(run(broker, seconds))
    finally:
        broker.remove()


if __name__ == "__main__":
    main()
