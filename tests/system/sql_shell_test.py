#!/usr/bin/env python3
"""`runnel sql` at a terminal: lines, completion, history, Ctrl-C, Ctrl-D.

usage: sql_shell_test.py BINARY auto|epoll|io_uring [unittest arguments]
"""
import fcntl
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase, clean_environment
from views_test import OK, ViewsCase


class Shell:
    """`runnel sql` at a terminal."""

    def __init__(self, case, broker, columns=100, arguments=(), **environment):
        self.terminal, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [broker.binary, "sql", *arguments], stdin=screen, stdout=screen, stderr=screen,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=clean_environment(RUNNEL_BROKER=broker.address, TERM="xterm", LC_ALL="C.UTF-8",
                                  **({"RUNNEL_HISTORY": "/dev/null"} | environment)))
        os.close(screen)
        self.shown = ""
        self.read = 0
        case.addCleanup(os.close, self.terminal)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)
        self.wait_for("runnel> ")

    def say(self, line, end="\r"):
        os.write(self.terminal, (line + end).encode())

    def interrupt(self):
        """Ctrl-C until there is a new prompt: one that comes before the line is read is missed."""
        stop = threading.Event()

        def press():
            while not stop.wait(0.2):
                self.say("\x03", end="")
        self.say("\x03", end="")
        pressing = threading.Thread(target=press)
        pressing.start()
        try:
            self.wait_for("runnel> ")
        finally:
            stop.set()
            pressing.join()

    def leave(self):
        """Ctrl-D on an empty line until the program ends. One that comes between the prompt and the
        change of the terminal's mode behind it becomes a part of the line. The exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.say("\x15\x04", end="")
                self.process.wait(0.2)
            except (OSError, subprocess.TimeoutExpired):  # it has ended, or missed the key
                continue
        return self.process.wait(0)

    def wait_for(self, text):
        """Until `text` comes, behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.shown[self.read:]:
            ready, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            if not ready:
                raise AssertionError(f"no '{text}' in {self.shown[self.read:]!r}")
            try:
                self.shown += os.read(self.terminal, 4096).decode()
            except OSError:  # it has ended
                raise AssertionError(f"no '{text}' in {self.shown[self.read:]!r}") from None
        self.read = self.shown.index(text, self.read) + len(text)


class Terminal(ViewsCase):
    def test_statements_over_lines_commands_completion_and_history(self):
        broker = self.start_with_view()
        history = os.path.join(self.directory(), "history")
        self.give(broker, ("sea", "12.30"))
        self.rows(broker)
        shell = Shell(self, broker, RUNNEL_HISTORY=history)
        shell.say("SELECT campaign, total")
        shell.wait_for("...> ")
        shell.say("FROM tot", end="\t")
        shell.wait_for("als ")  # what was missing of "totals"
        shell.say(";")
        shell.wait_for("12.30")
        shell.wait_for("(1 row)")
        shell.say("\\timing")
        shell.wait_for("Timing is on.")
        shell.say("SELECT nope FROM totals;")
        shell.wait_for("column 8")
        shell.wait_for("^")
        shell.say("\\d")
        shell.wait_for("gifts")
        shell.say("\\d totals")
        shell.wait_for("dimension")
        shell.say("\\format csv")
        shell.say("SELECT campaign FROM totals;")
        shell.wait_for("campaign\r\nsea\r\n")
        shell.wait_for("Time: ")
        shell.say("\x1b[A", end="\r")  # the statement before, once more
        shell.wait_for("campaign\r\nsea\r\n")
        shell.say("\\nonsense")
        shell.wait_for("\\? shows")
        shell.say("\\q")
        self.assertEqual(shell.process.wait(PATIENCE_SECONDS), OK)
        kept = pathlib.Path(history)
        self.assertIn("SELECT\\040nope", kept.read_text(encoding="utf-8"))
        self.assertEqual(kept.stat().st_mode & 0o077, 0)

    def test_ctrl_c_drops_the_line_or_stops_a_subscription_and_ctrl_d_leaves(self):
        broker = self.start_with_view()
        shell = Shell(self, broker)
        shell.say("SELECT 'never ends")
        shell.wait_for("...> ")
        shell.interrupt()
        shell.say("SUBSCRIBE totals;")
        self.give(broker, ("sea", "4.50"))
        shell.wait_for("4.50")
        shell.interrupt()
        shell.say("SELECT 1 + 1 AS two;")
        shell.wait_for("(1 row)")
        shell.wait_for("runnel> ")
        self.assertEqual(shell.leave(), OK)

    def test_bad_input_is_answered_and_the_connection_stays(self):
        broker = self.start_with_view()
        giant = "SELECT '" + "x" * 70_000 + "';\n"
        done = broker.run("sql", text=giant, expect=None)
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("65536", done.stderr)
        # One client, one connection, a view that is none in between.
        shell = Shell(self, broker)
        shell.say("SELECT * FROM nothing;")
        shell.wait_for("nothing")
        shell.say("SELECT 40 + 2 AS answer;")
        shell.wait_for("42")

    def test_tables_fit_the_terminal(self):
        broker = self.start_with_view()
        self.give(broker, ("a campaign with a very long name that nobody can read", "1"))
        self.rows(broker)
        shell = Shell(self, broker, columns=30)
        shell.say("SELECT * FROM totals;")
        shell.wait_for("(1 row)")
        table = shell.shown[shell.shown.rindex("campaign  "):shell.read]
        self.assertIn("…", table)
        self.assertLessEqual(max(len(line.rstrip()) for line in table.split("\n")), 30)

    def test_ctrl_c_in_the_shell_ends_the_question_and_not_the_shell(self):
        broker = self.start_with_view()
        shell = Shell(self, broker, arguments=["--timeout", "4m"])
        shell.say(self.ENDLESS + "; SELECT 'not' || 'wanted'; SELECT")
        self.wait_until(lambda: self.is_busy(broker))
        shell.interrupt()
        self.wait_until(lambda: not self.is_busy(broker))
        shell.interrupt()  # on an empty line: another prompt
        shell.say("SELECT 'goes' || 'on';")
        shell.wait_for("goeson")
        shell.wait_for("(1 row)")
        self.assertIn("stopped", shell.shown)
        self.assertNotIn("notwanted", shell.shown)
        shell.wait_for("runnel> ")
        self.assertEqual(shell.leave(), OK)


if __name__ == "__main__":
    BrokerCase.binary = os.path.abspath(sys.argv[1])
    BrokerCase.net = sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
