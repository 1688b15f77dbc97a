#!/usr/bin/env python3
"""The command line as its users meet it: interrupts, waits, `bench`, completion.

usage: command_line_test.py BINARY auto|epoll|io_uring [unittest arguments]
"""
import fcntl
import json
import os
import pathlib
import pty
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase, clean_environment

BINARY = ""

OK, USAGE, TIMEOUT, INTERRUPTED = 0, 2, 8, 130


class Top(BrokerCase):
    def test_on_a_terminal_it_is_a_screen_that_q_ends(self):
        broker = self.start()
        broker.out("topic", "create", "donations")
        broker.run("produce", "donations", text="1\n2\n")
        broker.out("consume", "donations", "-g", "mail", "-n", "1")
        terminal, screen = pty.openpty()
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        top = subprocess.Popen([BINARY, "top", "--every", "100ms"], stdin=screen, stdout=screen,
                               env=clean_environment(RUNNEL_BROKER=broker.address))
        self.addCleanup(top.kill)
        os.close(screen)
        shown = b""
        while b"mail" not in shown or b"commits/s" not in shown:
            shown += os.read(terminal, 4096)
        first = shown.split(b"\x1b[H")[1].split(b"\x1b[J")[0].replace(b"\x1b[K", b"")
        lines = [line.rstrip("\r") for line in first.decode().split("\n")]
        self.assertLessEqual(len(lines), 12)
        self.assertLessEqual(max(map(len, lines)), 60)
        os.write(terminal, b"q")
        self.assertEqual(top.wait(PATIENCE_SECONDS), OK)
        while b"\x1b[?1049l" not in shown:  # the terminal is as it was
            shown += os.read(terminal, 4096)

    def test_off_a_terminal_it_prints_lines(self):
        broker = self.start()
        broker.out("topic", "create", "donations", "-p", "3")
        shown = broker.out("top", "-n", "2", "--every", "100ms")
        self.assertEqual(shown.count("commits a sync"), 2)
        self.assertRegex(shown, r"donations +3 ")
        self.assertNotIn("\x1b", shown)


class Interrupts(BrokerCase):
    def test_produce_at_a_terminal_ends_at_the_first_one(self):
        broker = self.start()
        broker.out("topic", "create", "a")
        terminal, typed = pty.openpty()
        self.addCleanup(os.close, terminal)
        produce = subprocess.Popen([BINARY, "produce", "a"], stdin=typed, stderr=subprocess.PIPE,
                                   text=True, env=clean_environment(RUNNEL_BROKER=broker.address))
        os.close(typed)
        self.addCleanup(produce.stderr.close)
        os.write(terminal, b"one\ntwo\n")
        # Two lines that are stored were read: from here on it waits for what is typed.
        self.assertEqual(broker.out("consume", "a", "-n", "2"), "one\ntwo\n")
        produce.send_signal(signal.SIGINT)
        self.assertEqual(produce.wait(PATIENCE_SECONDS), INTERRUPTED)
        self.assertIn("2 records stored in a; stopped before the end", produce.stderr.read())

    def start_produce(self, broker, *arguments):
        produce = subprocess.Popen([BINARY, "produce", "a", *arguments], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env=clean_environment(RUNNEL_BROKER=broker.address))
        self.addCleanup(produce.stderr.close)
        self.addCleanup(produce.stdin.close)
        return produce

    def test_a_producer_says_that_the_broker_is_gone_and_gives_up_in_time(self):
        broker = self.start()
        broker.out("topic", "create", "a")
        produce = self.start_produce(broker, "--timeout", "2s")
        produce.stdin.write("stored\n")
        produce.stdin.flush()
        self.assertEqual(broker.out("consume", "a", "-n", "1"), "stored\n")
        broker.stop(signal.SIGKILL)
        self.assertEqual(produce.stderr.readline(),
                         f"runnel: lost the connection to {broker.address}, reconnecting\n")
        produce.stdin.write("lost\n")
        produce.stdin.close()
        self.assertEqual(produce.wait(PATIENCE_SECONDS), TIMEOUT)
        rest = produce.stderr.read()
        self.assertIn("1 record stored in a, 1 failed", rest)
        self.assertIn("not stored within the delivery time-out", rest)

    def test_a_waiting_consumer_says_that_the_broker_is_gone_and_back(self):
        broker = self.start()
        broker.out("topic", "create", "a")
        consume = subprocess.Popen([BINARY, "consume", "a"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True,
                                   env=clean_environment(RUNNEL_BROKER=broker.address))
        self.addCleanup(consume.stdout.close)
        self.addCleanup(consume.stderr.close)
        broker.run("produce", "a", text="before\n")
        self.assertEqual(consume.stdout.readline(), "before\n")
        broker.stop(signal.SIGKILL)
        self.assertEqual(consume.stderr.readline(),
                         f"runnel: lost the connection to {broker.address}, reconnecting\n")
        again = self.start(directory=broker.directory, listen=broker.address)
        self.assertEqual(consume.stderr.readline(), "runnel: connected again\n")
        again.run("produce", "a", text="after\n")
        self.assertEqual(consume.stdout.readline(), "after\n")
        consume.send_signal(signal.SIGINT)
        self.assertEqual(consume.wait(PATIENCE_SECONDS), OK)


class Bench(BrokerCase):
    def test_each_bench_reports_what_it_measured(self):
        broker = self.start()
        for kind in ("produce", "consume", "latency", "mixed"):
            report = json.loads(broker.out(
                "bench", kind, "--records", "2000", "--record-size", "100", "--connections", "2",
                "--partitions", "2", "--pid", str(broker.process.pid), "-o", "json"))
            self.assertEqual(report["bench"], kind)
            self.assertEqual(report["durability"], "synced")
            prefix = "produce_" if kind == "mixed" else ""
            self.assertGreater(report[prefix + "records"], 0)
            self.assertGreaterEqual(report[prefix + "latency_max_us"],
                                    report[prefix + "latency_p50_us"])
            self.assertIn("broker_cpu_seconds_per_gb", report)
        few = json.loads(broker.out("bench", "mixed", "--records", "100", "--rate", "200",
                                    "--connections", "2", "-o", "json"))
        self.assertLessEqual(few["produce_records"], 100)
        self.assertEqual(few["produce_records"], few["consume_records"])
        broker.run("bench", "produce", "--records", "0", expect=USAGE)
        self.assertEqual(json.loads(broker.out("topic", "list", "-o", "json")), [])


class Completion(unittest.TestCase):
    def completed(self, *words, directory=None):
        """What bash offers in place of the last of the words."""
        script = (f"source <({BINARY} completion bash)\n"
                  f"COMP_WORDS=(runnel {shlex.join(words)}); COMP_CWORD={len(words)}; _runnel\n"
                  "echo \"${COMPREPLY[@]}\"\n")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                              cwd=directory)
        return done.stdout.split()

    def test_bash_completes_commands_and_flags(self):
        self.assertEqual(self.completed("topic", "create", "--if"), ["--if-not-exists"])

    def test_bash_completes_values_and_files(self):
        self.assertEqual(self.completed("produce", "t", "--in", ""),
                         ["lines", "jsonl", "csv", "files"])
        self.assertEqual(self.completed("produce", "t", "-z", "zs"), ["zstd"])
        self.assertEqual(self.completed("completion", "z"), ["zsh"])
        with tempfile.TemporaryDirectory() as directory:
            (pathlib.Path(directory) / "runnel.toml").touch()
            self.assertEqual(self.completed("serve", "--config", "", directory=directory),
                             ["runnel.toml"])


if __name__ == "__main__":
    BINARY = str(pathlib.Path(sys.argv[1]).resolve())
    BrokerCase.binary, BrokerCase.net = BINARY, sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
