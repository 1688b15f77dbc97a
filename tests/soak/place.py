"""The broker that a soak is about: killed and started again under those who use it."""
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "system"))
from harness import Broker, clean_environment  # pylint: disable=wrong-import-position

ARGUMENTS = ("--segment-bytes", "2MiB", "--maintenance-interval", "200ms",
             "--memory", "128MiB")
ANSWER_SECONDS = 60


def free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


class Place:
    """One data directory at one address; everything else of the soak lies beside it."""

    def __init__(self, binary, root):
        self.binary = binary
        self.root = pathlib.Path(root)
        self.data = str(self.root / "data")
        self.address = f"127.0.0.1:{free_port()}"
        self.broker = None
        self.stopping = threading.Event()
        self.kills = self.stops = 0
        self.slowest_start = 0.0
        self.failures = []
        self.lock = threading.Lock()

    def start(self):
        began = time.monotonic()
        self.broker = Broker(self.binary, "auto", self.data, ARGUMENTS, self.address)
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    def restart(self, hard):
        code = self.broker.stop(signal.SIGKILL if hard else signal.SIGTERM)
        self.kills += hard
        self.stops += not hard
        expected = -signal.SIGKILL if hard else 0
        if code != expected:
            self.fail(f"the broker ended with {code}:\n{self.broker.log()[-2000:]}")
        errors = [line for line in self.broker.log().splitlines() if "[error]" in line]
        if errors:
            self.fail("the broker logged errors: " + "; ".join(errors[:5]))
        self.broker.process.stderr.close()
        self.start()

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
        print(f"FAILED: {text}", flush=True)

    def command(self, *arguments, address=None):
        """Begins a command of the binary."""
        return subprocess.Popen([self.binary, *arguments], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                env=clean_environment(RUNNEL_BROKER=address or self.address))

    def run(self, *arguments, address=None):
        """(exit code, standard output, standard error); whether it works is up to the moment."""
        process = self.command(*arguments, address=address)
        try:
            out, err = process.communicate(timeout=ANSWER_SECONDS * 5)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"runnel {' '.join(arguments)} did not end: {err[-500:]}")
        return process.returncode, out, err

    def must(self, *arguments, address=None):
        """Standard output of what has to work."""
        code, out, err = self.run(*arguments, address=address)
        if code != 0:
            self.fail(f"runnel {' '.join(arguments)}: exit code {code}: {out[-500:]}{err[-500:]}")
        return out

    def patiently(self, *arguments):
        """Standard output of what has to work before long, the broker being down now and then."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            code, out, err = self.run(*arguments)
            if code == 0:
                return out
            if time.monotonic() > deadline:
                self.fail(f"runnel {' '.join(arguments)}: exit code {code}: {err[-500:]}")
                return ""
            time.sleep(0.2)

    def read(self, topic, address=None):
        """partition -> [(offset, key, value)] of all that is there, committed records alone."""
        deadline = time.monotonic() + ANSWER_SECONDS * 5
        while True:
            process = self.command("consume", topic, "-e", "-o", "jsonl", address=address)
            out = collections.defaultdict(list)
            for line in process.stdout:
                r = json.loads(line)
                out[r["partition"]].append((r["offset"], r.get("key"), r.get("value")))
            err = process.communicate()[1]
            if process.returncode == 0:
                return out
            if process.returncode == 6 or time.monotonic() > deadline:
                self.fail(f"{topic} can't be read: exit code {process.returncode}: {err[-500:]}")
                return out

    def wait(self, seconds):
        """False once the soak ends."""
        return not self.stopping.wait(seconds)

    def disk_bytes(self):
        return sum(f.stat().st_size for f in pathlib.Path(self.data).rglob("*.[wl]*")
                   if os.path.exists(f))
