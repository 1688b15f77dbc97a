#!/usr/bin/env python3
"""Kafka's own clients against Runnel, or with --against kafka against the real Kafka.

Each suite is one client in one version. Its program answers every check of checks.json with one
JSON line; this driver starts the broker, kills it when a check asks for that, and keeps the
results. Without --full only suites marked quick run. Exit code: 0 all passed, 1 a check failed,
77 nothing could run for want of a toolchain (with CI set in the environment that is 1 too).
"""
import argparse
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading
import time

import brokers
import report
import suites

HERE = pathlib.Path(__file__).resolve().parent
CHECKS = json.loads((HERE / "checks.json").read_text())["checks"]
# A program that says nothing for this long is stopped; its check has failed.
SILENCE_SECONDS = 100
SKIPPED = 77


class Program:
    """One run of a client's program, read line by line."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace",
                                        env={**os.environ, **environment})
        self.lines = queue.Queue()
        self.errors = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)
            del self.errors[:-40]

    def next(self):
        """The next JSON line; None at the end; TimeoutError when nothing came."""
        while True:
            try:
                line = self.lines.get(timeout=SILENCE_SECONDS)
            except queue.Empty:
                raise TimeoutError from None
            if line is None:
                return None
            if line.startswith("{"):
                return json.loads(line)

    def answer(self):
        self.process.stdin.write("done\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Run:
    """One suite against one broker."""

    def __init__(self, suite, broker, names):
        self.suite = suite
        self.broker = broker
        self.names = list(names)
        self.results = {}
        self.heard = False
        self.client = suite.label

    def run(self):
        prefix = re.sub(r"[^a-z0-9]+", "-", self.suite.name)
        attempt = 0
        while self.names:
            attempt += 1
            self.broker.ensure_it_runs()
            command = self.suite.command() + [self.broker.address, f"{prefix}-{attempt}",
                                              *self.names]
            program = Program(command, self.suite.environment())
            try:
                end = self.follow(program)
            finally:
                program.stop()
            if not self.names:
                break
            reason = " ".join(f"{end} {''.join(program.errors)[-400:]}".split())
            # Without any answer there will be none to the other checks either.
            for name in [self.names[0]] if self.heard else list(self.names):
                self.record(name, "fail", reason)
        return self.results

    def follow(self, program):
        """Reads results until the program ends; says how it ended."""
        while self.names:
            try:
                line = program.next()
            except TimeoutError:
                return f"nothing was heard for {SILENCE_SECONDS} s."
            if line is None:
                return f"the program ended with code {program.process.wait()}."
            self.heard = True
            if "client" in line:
                self.client = line["client"]
            elif line.get("ask") == "kill":
                try:
                    self.broker.kill_and_restart()
                except RuntimeError as error:
                    return f"the broker did not come back: {error}"
                program.answer()
            elif "check" in line:
                self.record(line["check"], line["result"], line.get("detail", ""),
                            line.get("seconds"))
        return "ended"

    def record(self, name, result, detail, seconds=None):
        if name in self.names:
            self.names.remove(name)
        self.results[name] = {"result": result, "detail": detail}
        taken = f" {seconds:.1f} s" if seconds is not None else ""
        print(f"  {result:4}  {name}{taken}{'  ' + detail if detail else ''}", flush=True)


def make_broker(arguments):
    if arguments.against == "kafka":
        return brokers.Kafka()
    binary = arguments.binary or os.environ.get("RUNNEL_BINARY")
    if not binary:
        sys.exit("run.py: which broker? Give --binary build/runnel or set RUNNEL_BINARY.")
    return brokers.Runnel(str(pathlib.Path(binary).resolve()), net=arguments.net)


def io_uring_is_refused(arguments):
    """Whether io_uring was asked for and this machine does not allow it."""
    if arguments.net != "io_uring" or arguments.against == "kafka":
        return False
    broker = make_broker(arguments)
    try:
        broker.start()
    except RuntimeError as error:
        if "io_uring" not in str(error):
            raise
        print(f"io_uring cannot be tested here: {error}")
        return True
    finally:
        broker.remove()
    return False


def run_suite(suite, arguments):
    """The suite's results on a broker of its own."""
    broker = make_broker(arguments)
    try:
        broker.start()
        print(f"{suite.name} against {broker.name} {broker.version}", flush=True)
        offered, absent = split_by_apis(
            arguments.check or suite.checks([c["name"] for c in CHECKS]), broker.api_keys())
        run = Run(suite, broker, offered)
        for name, keys in absent.items():
            run.record(name, "absent", f"the broker does not advertise API {keys}")
        results = run.run()
        if arguments.log and any(r["result"] == "fail" for r in results.values()):
            print(broker.log())
        return {"suite": suite.name, "client": run.client, "language": suite.language,
                "broker": broker.name, "version": broker.version, "checks": results,
                "date": time.strftime("%Y-%m-%d")}
    finally:
        broker.remove()


def split_by_apis(names, keys):
    """The checks to ask, and those for which the broker lacks APIs."""
    needs = {c["name"]: set(c.get("needs", ())) for c in CHECKS}
    for suite in (suites.JavaToolsSuite, suites.StreamsSuite, suites.ConnectSuite):
        needs |= suite.needs
    absent = {n: ", ".join(map(str, sorted(needs.get(n, set()) - keys))) for n in names}
    return [n for n in names if not absent[n]], {n: k for n, k in absent.items() if k}


def choose(arguments):
    chosen = [s for s in suites.ALL if not arguments.client or s.name in arguments.client]
    unknown = set(arguments.client or ()) - {s.name for s in suites.ALL}
    if unknown:
        sys.exit(f"run.py: no client {', '.join(sorted(unknown))}; there are: "
                 + ", ".join(s.name for s in suites.ALL))
    if arguments.client or arguments.full:
        return chosen
    return [s for s in chosen if s.size in ("apt", "quick")]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--against", choices=("runnel", "kafka"), default="runnel")
    parser.add_argument("--binary", help="the runnel binary (or RUNNEL_BINARY)")
    parser.add_argument("--net", choices=("auto", "epoll", "io_uring"), default="auto",
                        help="Runnel's event loop")
    parser.add_argument("--client", action="append", metavar="NAME", help="one suite; repeatable")
    parser.add_argument("--check", action="append", metavar="NAME", help="one check; repeatable")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the quick suites (the default)")
    size.add_argument("--full", action="store_true", help="every suite")
    parser.add_argument("--list", action="store_true", help="print the suites and end")
    parser.add_argument("--names", action="store_true", help="print sizes and names, and end")
    parser.add_argument("--log", action="store_true", help="print the broker's log on a failure")
    parser.add_argument("--results", type=pathlib.Path, metavar="FILE",
                        help="merge the results into this JSON file")
    parser.add_argument("--table", type=pathlib.Path, metavar="PAGE",
                        help="write the table of --results into this page")
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.names:
        print("\n".join(f"{suite.size} {suite.name}" for suite in suites.ALL))
        return 0
    if arguments.list:
        for suite in suites.ALL:
            print(f"{suite.name:26} {suite.size:6} {suite.missing() or ''}")
        return 0
    if io_uring_is_refused(arguments):
        return SKIPPED
    results, skipped = [], []
    for suite in choose(arguments):
        reason = suite.missing()
        if reason:
            skipped.append((suite.name, reason))
            continue
        suite.prepare()
        results.append(run_suite(suite, arguments))
    if arguments.results:
        report.merge(arguments.results, results)
        if arguments.table:
            report.write_table(arguments.table, arguments.results, CHECKS)
    return summary(results, skipped)


def summary(results, skipped):
    failed = [(r["suite"], name) for r in results for name, check in r["checks"].items()
              if check["result"] == "fail"]
    passed = sum(check["result"] == "pass" for r in results for check in r["checks"].values())
    absent = {n for r in results for n, c in r["checks"].items() if c["result"] == "absent"}
    print(f"{len(results)} suites run, {passed} checks passed, {len(failed)} failed, "
          f"{len(skipped)} suites skipped")
    if absent:
        print(f"  not asked, as the broker advertises no such API: {', '.join(sorted(absent))}")
    for suite, name in failed:
        print(f"  failed: {suite} {name}")
    for suite, reason in skipped:
        print(f"  skipped: {suite} ({reason})")
    if failed or (skipped and os.environ.get("CI")):
        return 1
    return 0 if results else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
