#!/usr/bin/env python3
"""Measures Runnel beside its floors and beside other servers, in the same run, and writes the table.

usage: ./dev bench [--quick] [--dir DIR] [--redis HOST:PORT] [--nats HOST:PORT] [--json FILE] ...

A figure alone says little: disks and machines differ, and so does one machine from minute to
minute. So each figure of Runnel is taken next to the figure it is compared with, the pair is
repeated, and what counts is the median of the pairs' ratios.
"""
import argparse
import contextlib
import json
import mmap
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
README_ROW = "| Native protocol, "  # the figure that the README shows
BEGIN, END = "<!-- figures: written by ./dev bench -->", "<!-- end of figures -->"
START_TIMEOUT_S = 20
STEP_TIMEOUT_S = 300


class BenchError(Exception):
    """What was run, and what it said."""


def note(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run_json(command):
    """Runs a program that prints one JSON object."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(words)} failed with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def touch_memory(setup):
    """Takes as much memory as a measurement writes, and gives it back.

    A virtual machine may get its pages from the host only when they are first used, at more cost
    than everything measured here; who is measured first would pay for those who follow.
    """
    size = int(setup.gigabytes * 1.5e9)
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


@contextlib.contextmanager
def process(command, **options):
    """A server that is stopped when the block ends."""
    child = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Broker:
    """A runnel serve that listens: its address, its process id, how long the start took."""

    def __init__(self, child, address, start_ms):
        self.child, self.address, self.pid, self.start_ms = child, address, child.pid, start_ms

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@contextlib.contextmanager
def broker(setup):
    """A fresh broker on an empty directory."""
    with tempfile.TemporaryDirectory(dir=setup.dir, prefix="broker-") as data:
        command = [setup.runnel, "serve", "--data", f"{data}/data", "--listen", "127.0.0.1:0"]
        with open(f"{data}/log", "w+", encoding="utf-8") as log:
            begun = time.monotonic()
            with process(command + setup.serve, stdout=log, stderr=log) as child:
                address = wait_for_address(child, f"{data}/log", begun)
                yield Broker(child, address, (time.monotonic() - begun) * 1000)


def wait_for_address(child, log, begun):
    while time.monotonic() - begun < START_TIMEOUT_S:
        said = pathlib.Path(log).read_text(encoding="utf-8")
        found = re.search(r"listening on (\S+:\d+)\n", said)
        if found:
            return found[1]
        if child.poll() is not None:
            raise BenchError(f"runnel serve ended with {child.returncode}: {said}")
        time.sleep(0.001)
    raise BenchError(f"runnel serve did not listen within {START_TIMEOUT_S} s: {said}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis_config(address, name):
    """CONFIG GET of one parameter; None if the server does not tell."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=2) as link:
        link.sendall(f"CONFIG GET {name}\r\n".encode())
        reply = link.recv(4096).decode()
    words = reply.split("\r\n")
    return words[4] if reply.startswith("*2") and len(words) > 4 else None


@contextlib.contextmanager
def redis(setup):
    """(HOST:PORT, what it promises), or (None, why not)."""
    if setup.redis:
        level = redis_config(setup.redis, "appendfsync")
        on_disk = redis_config(setup.redis, "appendonly")
        yield setup.redis, f"appendonly {on_disk}, appendfsync {level}"
        return
    program = shutil.which("redis-server")
    if not program:
        yield None, "no redis-server in PATH and no --redis"
        return
    with tempfile.TemporaryDirectory(dir=setup.dir, prefix="redis-") as data:
        address = f"127.0.0.1:{free_port()}"
        command = [program, "--bind", "127.0.0.1", "--port", address.rsplit(":", 1)[1], "--dir",
                   data, "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        with process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            begun = time.monotonic()
            while time.monotonic() - begun < START_TIMEOUT_S:
                with contextlib.suppress(OSError):
                    if redis_config(address, "appendfsync") == "always":
                        yield address, "appendonly yes, appendfsync always"
                        return
                if child.poll() is not None:
                    break
                time.sleep(0.01)
            raise BenchError(f"{program} did not start on {address}")


# ------------------------------------------------------------------ measurements
class Measurements:
    """Every figure of every round, by step and name."""

    def __init__(self):
        self.steps = {}

    def add(self, step, figures):
        self.steps.setdefault(step, []).append(figures)
        shown = ("mb_per_second", "cpu_seconds_per_gb", "broker_cpu_seconds_per_gb",
                 "per_second", "records_per_second", "latency_p50_us", "bytes_per_connection",
                 "start_ms", "rss_mib")
        note(f"{step:24} " + ", ".join(f"{k} {figures[k]:g}" for k in shown if k in figures))
        return figures

    def has(self, step):
        return step in self.steps

    def median(self, step, name):
        return statistics.median(f[name] for f in self.steps[step])

    def ratio(self, one, name, other, other_name=None):
        """The median of the rounds' ratios."""
        pairs = zip(self.steps[one], self.steps[other])
        return statistics.median(a[name] / b[other_name or name] for a, b in pairs)


def measure_start(setup, out):
    """Start, memory at rest, and memory of idle connections."""
    for _ in range(5):
        with broker(setup) as b:
            time.sleep(0.5)
            out.add("start", {"start_ms": b.start_ms, "rss_mib": b.rss_mib()})
    for _ in range(setup.rounds):
        with broker(setup) as b:
            out.add("idle", run_json([setup.floor, "idle", "--json", "--connect", b.address,
                                      "--pid", b.pid, "--connections", 1000]))


def measure_storage(setup, out):
    floor = [setup.floor, "ingest", "--json", "--dir", setup.dir,
             "--bytes", int(setup.gigabytes * 1e9)]
    ingest = [setup.storage, "--json", "--dir", setup.dir, "--gb", setup.gigabytes]
    for step, command in (("floor ingest", floor), ("storage, 1 partition", ingest),
                          ("storage, 10000", ingest + ["--partitions", 10_000])):
        touch_memory(setup)
        out.add(step, run_json(command))


def measure_network(setup, out):
    volume = int(setup.gigabytes * 1e9)
    floor = ["--json", "--dir", setup.dir, "--bytes", volume]
    with broker(setup) as b:
        load = ["--records", volume // 1024, "-b", b.address, "-o", "json", "--pid", b.pid]
        for step, command in (("floor receive", [setup.floor, "receive", *floor]),
                              ("produce", [setup.runnel, "bench", "produce", *load]),
                              ("floor sendfile", [setup.floor, "sendfile", *floor]),
                              ("consume", [setup.runnel, "bench", "consume", *load])):
            touch_memory(setup)
            out.add(step, run_json(command))


def measure_singles(setup, out, redis_at):
    count = {1: setup.singles, 16: 4 * setup.singles}
    out.add("floor fdatasync", run_json([setup.floor, "fdatasync", "--json", "--dir", setup.dir,
                                         "--count", setup.singles]))
    with broker(setup) as b:
        for n in (1, 16):
            out.add(f"single x{n}", run_json(
                [setup.runnel, "bench", "latency", "-b", b.address, "-o", "json", "--pid", b.pid,
                 "--connections", n, "--records", count[n]]))
            for peer, at in (("redis", redis_at), ("nats", setup.nats)):
                if at:
                    out.add(f"{peer} x{n}", run_json(
                        [setup.floor, peer, "--json", "--connect", at, "--connections", n,
                         "--count", count[n]]))


# ------------------------------------------------------------------ the table
def row(what, figure, beside, ratio, aim):
    return f"| {what} | {figure} | {beside} | {ratio} | {aim} |"


def throughput_rows(m):
    def rate(step, cpu="cpu_seconds_per_gb"):
        return (f"{m.median(step, 'mb_per_second'):,.0f} MB/s, "
                f"{m.median(step, cpu):.2f} CPU-s/GB")

    broker_cpu = "broker_cpu_seconds_per_gb"
    one, many = "storage, 1 partition", "storage, 10000"
    yield row("Storage alone, 64 KiB batches, synced", rate(one),
              "sequential writer, same cadence: " + rate("floor ingest"),
              f"{m.ratio(one, 'mb_per_second', 'floor ingest'):.2f}; "
              f"CPU {m.ratio(one, 'cpu_seconds_per_gb', 'floor ingest'):.2f}", "≥ 0.75; CPU ≤ 1.5")
    yield row("Bytes written to disk for each stored", f"{m.median(one, 'write_amplification'):.3f}",
              "", "", "≤ 1.1")
    yield row("Native protocol, 8 connections, 64 KiB batches of 1 KiB records, synced",
              rate("produce", broker_cpu),
              "receive, write, fsync, answer: " + rate("floor receive"),
              f"{m.ratio('produce', 'mb_per_second', 'floor receive'):.2f}; CPU "
              f"{m.ratio('produce', broker_cpu, 'floor receive', 'cpu_seconds_per_gb'):.2f}",
              "≥ 0.6; CPU ≤ 1.3")
    yield row("Storage, 10,000 partitions, synced", rate(many), "1 partition: " + rate(one),
              f"{m.ratio(many, 'mb_per_second', one):.2f}", "≥ 0.8")
    yield row("Catch-up read from memory, 8 connections", rate("consume", broker_cpu),
              "sendfile loop: " + rate("floor sendfile"),
              f"{m.ratio('consume', 'mb_per_second', 'floor sendfile'):.2f}",
              "≥ 0.7; ≤ 0.5 CPU-s/GB")


def single_rows(m, redis_note):
    def latency(step):
        return (f"p50 {m.median(step, 'latency_p50_us'):,.0f} µs, "
                f"p99 {m.median(step, 'latency_p99_us'):,.0f} µs")

    yield row("One 1 KiB record, synced, 1 connection", latency("single x1"),
              "write and fdatasync: " + latency("floor fdatasync"),
              f"{m.ratio('single x1', 'latency_p50_us', 'floor fdatasync'):.2f}", "≤ 2")
    if m.has("redis x1"):
        yield row("", latency("single x1"), f"Redis ({redis_note}): " + latency("redis x1"),
                  f"{m.ratio('single x1', 'latency_p50_us', 'redis x1'):.2f}", "≤ 1.3")
    if m.has("nats x1"):
        yield row("", latency("single x1"), "NATS JetStream: " + latency("nats x1"),
                  f"{m.ratio('single x1', 'latency_p50_us', 'nats x1'):.2f}", "")
    figure = f"{m.median('single x16', 'records_per_second'):,.0f}/s"
    what = "One 1 KiB record, synced, 16 connections"
    for peer, name, aim in (("redis", f"Redis ({redis_note})", "≥ 1"),
                            ("nats", "NATS JetStream", "")):
        if m.has(f"{peer} x16"):
            ratio = m.ratio("single x16", "records_per_second", f"{peer} x16", "per_second")
            beside = f"{name}: {m.median(f'{peer} x16', 'per_second'):,.0f}/s"
            yield row(what, figure, beside, f"{ratio:.2f}", aim)
            what = ""
    if what:
        yield row(what, figure, f"Redis not measured: {redis_note}", "", "≥ 1")


def small_rows(m):
    yield row("Start on an empty directory", f"{m.median('start', 'start_ms'):.0f} ms", "", "",
              "≤ 50 ms")
    yield row("Memory at rest", f"{m.median('start', 'rss_mib'):.1f} MiB", "", "", "≤ 24 MiB")
    yield row("Memory of an idle connection",
              f"{m.median('idle', 'bytes_per_connection') / 1024:.1f} KiB", "", "", "≤ 16 KiB")


def file_system_of(directory, mounts):
    """The kind of file system that `directory` is on, by the lines of /proc/mounts. A change of
    root can leave nothing there that holds the directory."""
    kinds = {pathlib.PurePath(words[1]): words[2] for words in map(str.split, mounts.splitlines())}
    holders = [place for place in kinds if pathlib.PurePath(directory).is_relative_to(place)]
    if not holders:
        return "unknown file system"
    return kinds[max(holders, key=lambda place: len(place.parts))]


def machine(directory):
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text("utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    mounts = pathlib.Path("/proc/mounts").read_text("utf-8")
    return (f"{len(os.sched_getaffinity(0))} cores ({cpu[1] if cpu else platform.machine()}), "
            f"{memory:.0f} GiB memory, Linux {platform.release()}, "
            f"{file_system_of(directory, mounts)}, "
            f"{time.strftime('%Y-%m-%d', time.gmtime())}")


def table(setup, m, redis_note):
    lines = [f"Machine: {machine(setup.dir)}.", "",
             "Durability: every append was answered after it was synced (fdatasync); the floors "
             "and the other servers were held to the same.",
             f"Runs: {setup.rounds}, {setup.gigabytes:g} GB each; medians. Ratios are medians of "
             "each run's own ratio: Runnel over what it stands beside.", "",
             "| What | Runnel | Beside it | Ratio | Aim |", "|---|---|---|---|---|"]
    lines += throughput_rows(m)
    lines += single_rows(m, redis_note)
    lines += small_rows(m)
    return "\n".join(lines)


def readme_text(text):
    """The machine and one row of the table."""
    lines = text.splitlines()
    kept = [line for line in lines if line.startswith(("| What |", "|---", README_ROW))]
    return "\n".join([lines[0], ""] + kept)


def write_figures(path, text):
    """Puts `text` between the two marks of the page."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise BenchError(f"{path} lacks the line '{BEGIN}' or '{END}' between which figures go")
    head, rest = page.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def write_pages(text):
    write_figures(PAGE, text)
    write_figures(README, readme_text(text))


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="three minutes at most")
    parser.add_argument("--rounds", type=int, help="repetitions (3 quick, 7 otherwise)")
    parser.add_argument("--gb", type=float, dest="gigabytes",
                        help="volume of a throughput measurement in GB (1 quick, 4 otherwise)")
    parser.add_argument("--singles", type=int,
                        help="single appends of a measurement (2000 quick, 10000 otherwise)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="build directory (build)")
    parser.add_argument("--dir", type=pathlib.Path, help="where data goes (the build directory)")
    parser.add_argument("--redis", metavar="HOST:PORT", help="a Redis that runs already")
    parser.add_argument("--nats", metavar="HOST:PORT",
                        help="a NATS with JetStream that runs already, sync_interval: always")
    parser.add_argument("--serve", action="append", default=[], metavar="ARG",
                        help="one more argument for runnel serve, e.g. --serve=--net=epoll")
    parser.add_argument("--only", choices=["start", "storage", "network", "singles"],
                        help="one part; prints its figures and writes no page")
    parser.add_argument("--json", type=pathlib.Path, help="every figure of every round, as JSON")
    parser.add_argument("--no-page", action="store_true", help="print the table only")
    parser.add_argument("--micro", nargs=argparse.REMAINDER,
                        help="the micro benchmarks instead; what follows is given to them")
    setup = parser.parse_args()
    setup.rounds = setup.rounds or (3 if setup.quick else 7)
    setup.gigabytes = setup.gigabytes or (1 if setup.quick else 4)
    setup.singles = setup.singles or (2000 if setup.quick else 10_000)
    setup.dir = (setup.dir or setup.build).resolve()
    setup.runnel = setup.build / "runnel"
    setup.floor = setup.build / "bench" / "runnel_floor"
    setup.storage = setup.build / "bench" / "runnel_storage_bench"
    for program in (setup.runnel, setup.floor, setup.storage):
        if not program.exists():
            parser.error(f"{program} is missing; ./dev build makes it")
    return setup


def run(setup):
    out = Measurements()
    parts = [setup.only] if setup.only else ["start", "storage", "network", "singles"]
    with redis(setup) as (redis_at, redis_note):
        if "start" in parts:
            measure_start(setup, out)
        for number in range(setup.rounds):
            note(f"round {number + 1} of {setup.rounds}")
            if "storage" in parts:
                measure_storage(setup, out)
            if "network" in parts:
                measure_network(setup, out)
            if "singles" in parts:
                measure_singles(setup, out, redis_at)
    if setup.json:
        setup.json.write_text(json.dumps(out.steps, indent=1) + "\n", encoding="utf-8")
    if setup.only:
        return
    text = table(setup, out, redis_note)
    print(text)
    if not setup.no_page:
        write_pages(text)
        note(f"wrote {PAGE.relative_to(ROOT)} and the figure in {README.relative_to(ROOT)}")


def main():
    setup = parse_arguments()
    if setup.micro is not None:
        program = setup.build / "bench" / "runnel_micro_bench"
        os.execv(program, [str(program), *setup.micro])
    try:
        run(setup)
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
