#!/usr/bin/env python3
"""Histories of three clients at once while the broker is killed with SIGKILL every 2 to 5 s.

confluent-kafka (librdkafka), franz-go and Java write numbered records, idempotent into one topic
and in transactions into another, and each client reads both topics in a group of its own. At the
end every reader has seen the same records: none lost, none twice, none torn, in the order of each
writer; of a transaction all or nothing. The broker is killed once more, its directory is checked
(Runnel), and a new reader reads everything again.

Exit code: 0 passed, 1 failed, 77 a toolchain is missing.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import threading
import time

import members
import suites

PARTITIONS = 6
RECORDS = 6  # of a transaction; clients/history/history.py
TRANSACTION_APIS = {24, 26}
KILL_SECONDS = (2, 5)
PATIENCE_SECONDS = 150
MODES = {"idempotent": "read_uncommitted", "transactional": "read_committed"}


def confluent_command():
    return [str(members.CONFLUENT.python()), str(suites.CLIENTS / "history/history.py")]


def franz_command():
    program = members.folder("history") / "franz-go"
    subprocess.run(["go", "build", "-o", str(program), "./history"], cwd=suites.CLIENTS / "go",
                   check=True)
    return [str(program)]


def java_command():
    jars, classes = members.JAVA.jars(), members.folder("history")
    subprocess.run(["javac", "-nowarn", "-d", str(classes), "-cp", f"{jars}/*",
                    str(suites.CLIENTS / "history/History.java")], check=True)
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{classes}:{jars}/*", "History"]


CLIENTS = {"librdkafka": confluent_command, "franz-go": franz_command, "java": java_command}


class Program:
    """A writer or reader; `take` gets each of its lines, on a thread of its own."""

    def __init__(self, name, command, take):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        self.noise = collections.deque(maxlen=20)
        self.thread = threading.Thread(target=self._follow, args=(take,), daemon=True)
        self.thread.start()
        threading.Thread(target=self._read_noise, daemon=True).start()

    def _follow(self, take):
        for line in self.process.stdout:
            if line[0] in "[{":
                take(self, json.loads(line))

    def _read_noise(self):
        self.noise.extend(self.process.stderr)

    def end_input(self):
        self.process.stdin.close()

    def finish(self):
        self.thread.join(PATIENCE_SECONDS)
        if self.thread.is_alive():
            raise AssertionError(f"{self.name} did not end")

    def kill(self):
        self.process.kill()
        self.process.wait()


class History:
    """What the writers and readers of one topic told, and every contradiction in it."""

    def __init__(self, mode):
        self.mode = mode
        self.lock = threading.Lock()
        self.known = [{} for _ in range(PARTITIONS)]  # offset -> "writer:number"
        self.next = {}                                # reader -> the next offset of each partition
        self.read = collections.Counter()             # reader -> records
        self.again = collections.Counter()            # reader -> records read a second time
        self.outcomes = {}                            # writer -> its last line
        self.faults = []

    def fault(self, text):
        if len(self.faults) < 20:
            self.faults.append(f"{self.mode}: {text}")

    def written(self, program, line):
        with self.lock:
            if "error" in line:
                self.fault(f"{program.name}: {line['error']}")
            else:
                self.outcomes[program.name] = line

    def seen(self, program, line):
        with self.lock:
            if isinstance(line, dict):
                return self.fault(f"{program.name}: {line['error']}")
            partition, offset, value = line
            before = self.known[partition].setdefault(offset, value)
            if before != value:
                self.fault(f"{partition}/{offset}: once {before}, now {value} ({program.name})")
            expected = self.next.setdefault(program.name, [0] * PARTITIONS)
            if offset < expected[partition]:
                self.again[program.name] += 1
                return None
            # Markers and aborted records leave gaps; in the other topic there are none.
            if self.mode == "idempotent" and offset != expected[partition]:
                self.fault(f"{program.name} read {partition}/{offset} after "
                           f"{expected[partition] - 1}")
            expected[partition] = offset + 1
            self.read[program.name] += 1
            return None

    def total(self):
        return sum(len(each) for each in self.known)

    def numbers_of(self, partition, writer):
        """The writer's numbers in the order of the log."""
        head = f"{writer}:"
        return [int(value[len(head):]) for _, value in sorted(self.known[partition].items())
                if value.startswith(head)]

    def check(self):
        """Compares what is in the log with what the writers were told."""
        for writer, outcome in self.outcomes.items():
            for partition in range(PARTITIONS):
                found = self.numbers_of(partition, writer)
                wanted = self.wanted(outcome, partition, set(found))
                if found == wanted:
                    continue
                lost, more = set(wanted) - set(found), set(found) - set(wanted)
                twice = [n for n, count in collections.Counter(found).items() if count > 1]
                self.fault(f"{writer}, partition {partition}: lost {sorted(lost)[:5]}, never "
                           f"committed {sorted(more)[:5]}, twice {twice[:5]}"
                           f"{'' if lost or more or twice else ', order not kept'}")

    def wanted(self, outcome, partition, found):
        if self.mode == "idempotent":
            return list(range(partition, outcome["written"], PARTITIONS))
        # One whose outcome its writer never learned is there as a whole or not at all.
        whole = {t for t in outcome["unknown"] if self.has(t, outcome)}
        transactions = sorted(set(outcome["committed"]) | whole)
        return [n for n in (RECORDS * t + (partition - t) % PARTITIONS for t in transactions)]

    def has(self, transaction, outcome):
        writer = next(w for w, o in self.outcomes.items() if o is outcome)
        values = {v for each in self.known for v in each.values()}
        return any(f"{writer}:{RECORDS * transaction + i}" in values for i in range(RECORDS))


def create_topics(broker, modes):
    for mode in modes:
        members.create_topic(broker, mode, PARTITIONS)


class Run:
    def __init__(self, broker, modes, commands):
        self.broker = broker
        self.commands = commands
        self.histories = {mode: History(mode) for mode in modes}
        self.writers, self.readers = [], []

    def start(self):
        for mode, history in self.histories.items():
            for client, command in self.commands.items():
                self.writers.append(Program(client, [*command, "write", self.broker.address, mode,
                                                     str(PARTITIONS), client, mode],
                                            history.written))
                self.read(client, command, mode, history)

    def read(self, name, command, mode, history):
        reader = Program(name, [*command, "read", self.broker.address, mode, f"{name}-{mode}",
                                MODES[mode]], history.seen)
        self.readers.append(reader)
        return reader

    def faults(self):
        return [fault for each in self.histories.values() for fault in each.faults]

    def kill_until(self, end, dice):
        kills = 0
        while time.monotonic() < end and not self.faults():
            time.sleep(dice.uniform(*KILL_SECONDS))
            self.broker.kill_and_restart()
            kills += 1
        return kills

    def finish(self):
        """Ends the writers, and waits until all readers have seen what is there."""
        for writer in self.writers:
            writer.end_input()
        for writer in self.writers:
            writer.finish()
        missing = [w.name for w in self.writers for h in self.histories.values()
                   if w.name not in h.outcomes]
        if missing and not self.faults():
            raise AssertionError(f"no last line from {', '.join(missing)}: "
                                 + "".join(w.noise[-1] for w in self.writers if w.noise))
        self.wait_for_readers()

    def wait_for_readers(self):
        """All that any reader has seen is seen by all, and nothing has come for a while."""
        deadline, last, since = time.monotonic() + PATIENCE_SECONDS, None, time.monotonic()
        names = {r.name for r in self.readers}
        while time.monotonic() < deadline and not self.faults():
            now = [(h.total(), sorted(h.read.items())) for h in self.histories.values()]
            if now != last:
                last, since = now, time.monotonic()
            whole = all(h.read[name] == h.total() for h in self.histories.values()
                        for name in names)
            if whole and time.monotonic() - since > 2:
                return
            time.sleep(0.1)
        if not self.faults():
            raise AssertionError("not every reader got everything: " + str(
                {m: (h.total(), dict(h.read)) for m, h in self.histories.items()}))

    def verify_again(self):
        """Kills the broker once more; what the disk holds is what was seen."""
        self.broker.process.kill()
        self.broker.process.wait()
        if self.broker.name == "runnel":
            directory = str(self.broker.directory / "data")
            done = subprocess.run([self.broker.binary, "check", directory], capture_output=True,
                                  text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(f"runnel check: {done.stdout}{done.stderr}")
        self.broker.start()
        for mode, history in self.histories.items():
            self.read("a new reader", self.commands["franz-go"], mode, history)
        self.wait_for_readers()

    def report(self, kills, seconds):
        for history in self.histories.values():
            history.check()
            reread = sum(history.again.values())
            print(f"{history.mode}, {self.broker.name}: {history.total()} records of "
                  f"{len(history.outcomes)} clients, each read by {len(history.read)} readers "
                  f"({reread} of {sum(history.read.values())} read a second time after a "
                  f"rebalance), {kills} kills in {seconds:.0f} s")
            if history.mode == "transactional":
                print("  transactions: " + ", ".join(
                    f"{writer} {len(o['committed'])} committed, {len(o['unknown'])} unknown"
                    for writer, o in history.outcomes.items()))
        faults = self.faults()
        print("0 lost, 0 duplicated, 0 torn, order kept" if not faults else
              "failed:\n  " + "\n  ".join(faults), flush=True)
        return 1 if faults else 0

    def stop(self):
        for each in self.writers + self.readers:
            each.kill()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--against", choices=("runnel", "kafka"), default="runnel")
    parser.add_argument("--binary", help="the runnel binary (or RUNNEL_BINARY)")
    parser.add_argument("--minutes", type=float, default=1, metavar="N")
    parser.add_argument("--mode", action="append", choices=MODES,
                        help="repeatable; both, as far as the broker has the APIs")
    parser.add_argument("--seed", type=int, help="of the times of the kills")
    return parser.parse_args()


def main():
    arguments = parse()
    absent = members.missing(members.CLIENTS)
    if absent:
        print("skipped: " + "; ".join(absent))
        return 1 if os.environ.get("CI") else members.SKIPPED
    members.run_in_clients_python()
    seed = arguments.seed if arguments.seed is not None else random.randrange(2**32)
    print(f"seed {seed}", flush=True)
    commands = {name: make() for name, make in CLIENTS.items()}
    broker = members.make_broker(arguments)
    run = None
    try:
        broker.start()
        modes = arguments.mode or [m for m in MODES if m != "transactional"
                                   or TRANSACTION_APIS <= broker.api_keys()]
        create_topics(broker, modes)
        run = Run(broker, modes, commands)
        run.start()
        began = time.monotonic()
        kills = run.kill_until(began + 60 * arguments.minutes, random.Random(seed))
        run.finish()
        run.verify_again()
        return run.report(kills, time.monotonic() - began)
    except (AssertionError, RuntimeError) as error:
        print(f"failed: {error}")
        if run:
            print("\n".join(run.faults()))
            for each in run.writers + run.readers:
                print(each.name, "".join(each.noise)[-600:])
        print(f"broker:\n{broker.log()[-2000:]}")
        return 1
    finally:
        if run:
            run.stop()
        broker.remove()


if __name__ == "__main__":
    sys.exit(main())
