"""Starts real brokers for tests. Waits for what a broker says, never for time to pass."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

# Longest wait for anything; a test that needs it has failed.
PATIENCE_SECONDS = 60


def clean_environment(**more):
    """The environment without RUNNEL_*, which would change what is tested."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RUNNEL_")}
    return kept | more


class Broker:
    """A `runnel serve` on a directory of its own, or on one that is given."""

    def __init__(self, binary, net="auto", directory=None, arguments=(), listen="127.0.0.1:0"):
        self.binary = binary
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="runnel-test-")
        self.lines = []
        self.process = subprocess.Popen(
            [binary, "serve", "--data", self.directory, "--listen", listen, "--net", net,
             *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=clean_environment())
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = self.wait_for(r"listening on (\S+)").group(1)

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def log(self):
        return "".join(line for line in self.lines if line)

    def wait_for(self, pattern):
        """The match of the first log line with `pattern`."""
        def find():
            for line in self.lines:
                if line is None:
                    return "ended"
                match = re.search(pattern, line)
                if match:
                    return match
            return None
        with self.changed:
            found = self.changed.wait_for(find, PATIENCE_SECONDS) and find()
        if not found or found == "ended":
            raise AssertionError(f"no '{pattern}' in the broker's log:\n{self.log()}")
        return found

    def run(self, *arguments, text="", expect=0, environment=None):
        """Runs the command line against this broker and returns what it printed."""
        done = subprocess.run(
            [self.binary, *arguments], input=text, text=True, capture_output=True, check=False,
            timeout=PATIENCE_SECONDS,
            env=clean_environment(RUNNEL_BROKER=self.address, **(environment or {})))
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"runnel {' '.join(arguments)}: exit code {done.returncode}, expected {expect}\n"
                f"{done.stdout}{done.stderr}\nbroker:\n{self.log()}")
        return done

    def out(self, *arguments, **more):
        return self.run(*arguments, **more).stdout

    def stop(self, number=signal.SIGTERM):
        """Sends the signal and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        return code

    def remove(self):
        """Ends what still runs; for clean-up."""
        self.stop(signal.SIGKILL)
        self.process.stderr.close()
        if self.own_directory:
            shutil.rmtree(self.directory)


class BrokerCase(unittest.TestCase):
    """A test that starts brokers; its file's main sets what they are."""

    binary = ""
    net = "auto"

    def start(self, *arguments, directory=None, listen="127.0.0.1:0"):
        broker = Broker(self.binary, self.net, directory, arguments, listen)
        self.addCleanup(broker.remove)
        return broker

    def begin(self, broker, *arguments):
        """Starts a command against `broker` that ends by itself, or with the test."""
        process = subprocess.Popen(
            [self.binary, *arguments, "-b", broker.address], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=clean_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, what):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            self.assertLess(time.monotonic(), deadline, "it did not come to that in time")
            time.sleep(0.01)

    def directory(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        return temporary.name


def start_and_fail(binary, *arguments, environment=None):
    """A `runnel` that is expected to end by itself: (exit code, standard error)."""
    done = subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False, timeout=PATIENCE_SECONDS,
                          env=clean_environment(**(environment or {})))
    return done.returncode, done.stderr


def io_uring_is_refused(binary):
    """The reason this machine gives, or None where io_uring works."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            broker = Broker(binary, "io_uring", directory)
        except AssertionError as error:
            if "io_uring" not in str(error):
                raise
            return str(error)
        broker.remove()
        return None


def segment_files(directory):
    return sorted(p for p in pathlib.Path(directory).rglob("*") if p.is_file())
