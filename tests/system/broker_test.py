#!/usr/bin/env python3
"""The broker and its command line, end to end: the real binary, real connections.

usage: broker_test.py BINARY auto|epoll|io_uring [unittest arguments]
Exit code 77: io_uring is what was asked for and this machine does not allow it.
"""
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import (PATIENCE_SECONDS, Broker, clean_environment, io_uring_is_refused,
                     start_and_fail)

BINARY = ""
NET = "auto"

OK, FAILED, USAGE, REJECTED, NO_CONNECTION, NOT_FOUND, DAMAGED, LOCKED, TIMEOUT = range(9)
REFUSED = 9
LAGGING = 11
INTERRUPTED = 130


class BrokerCase(unittest.TestCase):
    def start(self, *arguments, directory=None, listen="127.0.0.1:0"):
        broker = Broker(BINARY, NET, directory, arguments, listen)
        self.addCleanup(broker.remove)
        return broker

    def directory(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        return temporary.name


class RoundTrip(BrokerCase):
    def setUp(self):
        self.broker = self.start()
        self.broker.out("topic", "create", "orders", "-p", "3")

    def test_lines_come_back_in_order(self):
        lines = [f"line {i}" for i in range(1000)]
        done = self.broker.run("produce", "orders", "-p", "1", text="\n".join(lines) + "\n")
        self.assertIn("1000 records stored in orders", done.stderr)
        self.assertEqual(self.broker.out("consume", "orders", "-e").splitlines(), lines)
        formatted = self.broker.out("consume", "orders", "-e", "-n", "2", "-f", "%t[%p] %o %s\\n")
        self.assertEqual(formatted, "orders[1] 0 line 0\norders[1] 1 line 1\n")

    def test_one_key_one_partition(self):
        rows = "".join(f"user{i % 7}:{i}\n" for i in range(70))
        self.broker.run("produce", "orders", "-K", ":", text=rows)
        seen = {}
        for line in self.broker.out("consume", "orders", "-e", "-f", "%k %p %v\\n").splitlines():
            key, partition, value = line.split()
            seen.setdefault(key, []).append((partition, int(value)))
        self.assertEqual(len(seen), 7)
        for records in seen.values():
            self.assertEqual(len({partition for partition, _ in records}), 1)
            self.assertEqual(records, sorted(records, key=lambda record: record[1]))

    def test_json_rows_and_rejects(self):
        rows = ('{"id": 1, "at": "2026-01-02T03:04:05Z", "n": 5}\n'
                'no json\n'
                '{"at": 5}\n'
                '{"id": "x", "at": 1000}\n')
        rejects = pathlib.Path(self.directory()) / "rejects.jsonl"
        done = self.broker.run("produce", "orders", "--in", "jsonl", "--key", ".id", "--timestamp",
                               ".at", "--rejects", str(rejects), "-p", "0", text=rows,
                               expect=REJECTED)
        self.assertIn("2 records stored in orders, 2 rejected", done.stderr)
        bad = self.broker.run("produce", "orders", "--in", "jsonl", text="no\n" * 30,
                              expect=REJECTED)
        self.assertEqual(bad.stderr.count("standard input line"), 10)
        self.assertIn("20 more were rejected; --rejects FILE keeps them all", bad.stderr)
        rejected = [json.loads(line) for line in rejects.read_text().splitlines()]
        self.assertEqual([row["line"] for row in rejected], [2, 3])
        self.assertEqual(rejected[0]["row"], "no json")
        records = json.loads(self.broker.out("consume", "orders", "-e", "-o", "json"))
        self.assertEqual([r["key"] for r in records], ["1", "x"])
        self.assertEqual([r["timestamp"] for r in records], [1767323045000, 1000])
        self.assertEqual(json.loads(records[0]["value"])["n"], 5)

    def test_csv_in_and_out(self):
        source = pathlib.Path(self.directory()) / "in.csv"
        source.write_text('id,name\r\n7,"a ""b"", c"\r\n')
        self.broker.run("produce", "orders", str(source), "--in", "csv", "--key", "id", "-p", "2")
        out = self.broker.out("consume", "orders", "-e", "-o", "csv")
        header, row = out.splitlines()
        self.assertEqual(header, "topic,partition,offset,timestamp,key,value")
        self.assertTrue(row.startswith("orders,2,0,"))
        self.assertIn('"{""id"":""7"",""name"":""a \\""b\\"", c""}"', row)

    def test_every_codec(self):
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            value = f"{codec} " * 100
            self.broker.run("produce", "orders", "-p", "0", "-z", codec, text=value + "\n")
        values = self.broker.out("consume", "orders", "-e").splitlines()
        self.assertEqual([v.split()[0] for v in values], ["none", "gzip", "snappy", "lz4", "zstd"])

    def test_places_in_the_log(self):
        rows = "".join(f'{{"at": {1000 * i}}}\n' for i in range(10))
        self.broker.run("produce", "orders", "--in", "jsonl", "--timestamp", ".at", "-p", "0",
                        text=rows)

        def offsets(*arguments):
            out = self.broker.out("consume", "orders", "-p", "0", "-e", "-f", "%o ", *arguments)
            return [int(word) for word in out.split()]
        self.assertEqual(offsets("--from", "7"), [7, 8, 9])
        self.assertEqual(offsets("--from=-2"), [8, 9])
        self.assertEqual(offsets("--from", "end"), [])
        self.assertEqual(offsets("--from", "2", "--to", "4"), [2, 3])
        self.assertEqual(offsets("--from", "2:4"), [2, 3])
        self.assertEqual(offsets("--from", "1970-01-01T00:00:08Z"), [8, 9])
        self.assertEqual(offsets("--from", "@3000:5000"), [3, 4])
        self.assertEqual(offsets("--from=-2h"), [])

    def test_tail_follows(self):
        self.broker.run("produce", "orders", "-p", "0", text="old\n")
        tail = subprocess.Popen([BINARY, "tail", "orders"], stdout=subprocess.PIPE, text=True,
                                env=clean_environment(RUNNEL_BROKER=self.broker.address))
        self.addCleanup(tail.stdout.close)
        self.assertEqual(tail.stdout.readline(), "old\n")
        self.broker.run("produce", "orders", "-p", "1", text="new\n")
        self.assertEqual(tail.stdout.readline(), "new\n")
        tail.send_signal(signal.SIGINT)
        self.assertEqual(tail.wait(PATIENCE_SECONDS), OK)


class Topics(BrokerCase):
    def test_the_life_of_a_topic(self):
        broker = self.start()
        broker.out("topic", "create", "a", "b", "-p", "2", "--retention", "7d")
        self.assertIn("exist", broker.run("topic", "create", "a", expect=REFUSED).stderr)
        again = broker.run("topic", "create", "a", "--if-not-exists")
        self.assertEqual((again.stdout, again.stderr),
                         ("topic a exists already, with 2 partitions\n", ""))
        other = broker.run("topic", "create", "a", "-p", "5", "--if-not-exists")
        self.assertIn("with 2 partitions", other.stdout)
        self.assertIn("number of partitions differs", other.stderr)
        self.assertIn("retention.ms = 604800000 (7d)\n", broker.out("topic", "describe", "a"))
        self.assertIn("retention.bytes = -1 (no limit), by default",
                      broker.out("topic", "describe", "a"))
        broker.out("topic", "alter", "a", "-p", "4", "-c", "max.message.bytes=2000")
        topics = json.loads(broker.out("topic", "describe", "a", "b", "-o", "json"))
        self.assertEqual([len(t["partitions"]) for t in topics], [4, 2])
        self.assertEqual(topics[0]["configs"],
                         {"retention.ms": "604800000", "max.message.bytes": "2000"})
        broker.out("topic", "delete", "b")
        self.assertEqual([t["name"] for t in json.loads(broker.out("topic", "list", "-o", "json"))],
                         ["a"])

    def test_mistakes_are_named(self):
        broker = self.start()
        self.assertIn("topic create", broker.run("consume", "nope", "-e", expect=NOT_FOUND).stderr)
        broker.run("topic", "delete", "nope", expect=NOT_FOUND)
        broker.run("topic", "create", "a/b", expect=USAGE)
        typo = broker.run("topic", "create", "a", "-c", "retention.mss=5", expect=USAGE)
        self.assertIn("did you mean 'retention.ms'", typo.stderr)
        far_off = broker.run("topic", "create", "a", "-c", "foo=bar", expect=USAGE)
        self.assertIn("there are: cleanup.policy, ", far_off.stderr)
        broker.run("topic", "create", "a")
        for count in ("0", "-1", "x"):
            few = broker.run("consume", "a", "-n", count, expect=USAGE)
            self.assertIn("at least 1", few.stderr)
        self.assertIn("swap", broker.run("consume", "a", "--from", "7:5", expect=USAGE).stderr)
        self.assertIn("a[0] ends at offset 0", broker.run("consume", "a", "--from", "9").stderr)
        for arguments in (["--in", "files"], []):
            directory = broker.run("produce", "a", *arguments, broker.directory, expect=USAGE)
            self.assertIn(f"{broker.directory} is a directory", directory.stderr)
        self.assertEqual(broker.out("consume", "a", "-e"), "")
        seek = broker.run("group", "seek", "nope", "--to", "end", "--topic", "a")
        self.assertIn("there is no group 'nope' yet", seek.stderr)
        self.assertIn("0 to 0", broker.run("consume", "a", "-p", "5", expect=NOT_FOUND).stderr)

    def test_a_record_that_is_too_large_is_rejected_alone(self):
        broker = self.start()
        broker.out("topic", "create", "a", "-c", "max.message.bytes=2000")
        done = broker.run("produce", "a", text="small\n" + "x" * 5000 + "\n", expect=None)
        self.assertIn(done.returncode, (REJECTED, REFUSED))
        self.assertNotIn("xxxx", broker.out("consume", "a", "-e"))


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


class Groups(BrokerCase):
    def test_a_group_goes_on_where_it_stopped_and_can_be_moved(self):
        broker = self.start()
        broker.out("topic", "create", "a")
        broker.run("produce", "a", text="".join(f"{i}\n" for i in range(10)))
        self.assertEqual(broker.out("consume", "a", "-g", "g", "-n", "4").split(), list("0123"))
        self.assertEqual(broker.out("consume", "a", "-g", "g", "-e").split(), list("456789"))
        described = json.loads(broker.out("group", "describe", "g", "-o", "json"))
        self.assertEqual(described["partitions"][0]["lag"], 0)
        dry = broker.out("group", "seek", "g", "--to", "start")
        self.assertIn("Dry run", dry)
        described = json.loads(broker.out("group", "describe", "g", "-o", "json"))
        self.assertEqual(described["partitions"][0]["committed"], 10)
        broker.out("group", "seek", "g", "--to", "7", "--execute")
        broker.run("group", "describe", "g", "--fail-over", "2", expect=LAGGING)
        broker.run("group", "describe", "g", "--fail-over", "3")
        self.assertEqual(broker.out("consume", "a", "-g", "g", "-e").split(), list("789"))
        broker.out("group", "delete", "g")
        self.assertEqual(json.loads(broker.out("group", "list", "-o", "json")), [])


class Durability(BrokerCase):
    def test_what_was_acknowledged_survives_kill_9(self):
        directory = self.directory()
        broker = self.start(directory=directory)
        broker.out("topic", "create", "a", "-p", "2")
        broker.run("produce", "a", text="".join(f"{i}\n" for i in range(5000)))
        self.assertEqual(broker.stop(signal.SIGKILL), -signal.SIGKILL)
        broker = self.start(directory=directory)
        self.assertEqual(sorted(map(int, broker.out("consume", "a", "-e").split())),
                         list(range(5000)))
        self.assertEqual(broker.stop(), OK)
        self.assertIn("closed cleanly", broker.log())
        checked = subprocess.run([BINARY, "check", directory], capture_output=True, text=True,
                                 check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(checked.returncode, OK, checked.stdout + checked.stderr)
        self.assertIn("all is well", checked.stdout)

    def test_damage_is_found_and_named(self):
        directory = self.directory()
        broker = self.start(directory=directory)
        broker.out("topic", "create", "a")
        broker.run("produce", "a", text="a needle in the log\n" * 100)
        broker.stop()
        hurt = 0
        for file in pathlib.Path(directory).rglob("*"):
            if not file.is_file():
                continue
            data = file.read_bytes()
            at = data.find(b"needle")
            if at >= 0:
                file.write_bytes(data[:at] + b"NEEDLE" + data[at + 6:])
                hurt += 1
        self.assertEqual(hurt, 1)
        code, _ = start_and_fail(BINARY, "check", directory)
        self.assertEqual(code, DAMAGED)


class Serving(BrokerCase):
    def test_a_second_broker_is_refused_with_the_pid_of_the_first(self):
        broker = self.start()
        code, text = start_and_fail(BINARY, "serve", "--data", broker.directory, "--listen",
                                    "127.0.0.1:0")
        self.assertEqual(code, LOCKED, text)
        self.assertIn(str(broker.process.pid), text)

    def test_remote_addresses_need_consent(self):
        code, text = start_and_fail(BINARY, "serve", "--data", self.directory(), "--listen",
                                    "0.0.0.0:0")
        self.assertEqual(code, USAGE, text)
        self.assertIn("insecure-allow-remote", text)

    def test_an_address_in_use_is_said(self):
        broker = self.start()
        code, text = start_and_fail(BINARY, "serve", "--data", self.directory(), "--listen",
                                    broker.address)
        self.assertNotEqual(code, OK)
        self.assertIn(broker.address, text)

    def test_configuration_mistakes(self):
        file = pathlib.Path(self.directory()) / "runnel.toml"
        file.write_text("memry = '64MiB'\n")
        for arguments in (["config", "check", str(file)], ["serve", "--config", str(file)]):
            code, text = start_and_fail(BINARY, *arguments)
            self.assertEqual(code, USAGE)
            self.assertIn("did you mean 'memory'", text)
        code, text = start_and_fail(BINARY, "serve", "--memory", "1MiB")
        self.assertEqual(code, USAGE)
        self.assertIn("64MiB to 1TiB", text)
        code, text = start_and_fail(BINARY, "serve", environment={"RUNNEL_NTE": "epoll"})
        self.assertEqual(code, USAGE)
        self.assertIn("RUNNEL_NET", text)
        self.assertEqual(start_and_fail(BINARY, "config", "check", "/no/such.toml")[0], NOT_FOUND)
        self.assertEqual(start_and_fail(BINARY, "serve", "--no-such-flag")[0], USAGE)

    def test_nobody_there(self):
        begun = time.monotonic()
        code, text = start_and_fail(BINARY, "topic", "list", "-b", "127.0.0.1:1")
        self.assertEqual(code, NO_CONNECTION, text)
        for word in ("127.0.0.1:1", "runnel serve", "-b HOST:PORT", "RUNNEL_BROKER"):
            self.assertIn(word, text)
        self.assertLess(time.monotonic() - begun, 8, "it was waited for a broker that is not there")
        code, text = start_and_fail(BINARY, "topic", "list", "-b", "127.0.0.1:99999")
        self.assertEqual(code, USAGE)
        self.assertIn("1 to 65535", text)

    def test_the_page_of_topic_configs_is_current(self):
        page = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "topic-configuration.md"
        done = subprocess.run([BINARY, "config", "reference", "--topics"], capture_output=True,
                              text=True, check=True, timeout=PATIENCE_SECONDS)
        self.assertEqual(page.read_text(encoding="utf-8"), done.stdout,
                         "run: build/runnel config reference --topics > " + str(page))

    def test_the_loop_is_the_one_asked_for(self):
        broker = self.start()
        if NET != "auto":
            broker.wait_for(rf"(?i)network: {NET}")

    def test_statistics(self):
        broker = self.start()
        statistics = json.loads(broker.out("stats", "-o", "json"))
        self.assertGreater(len(statistics), 5)

    def test_strangers_are_answered_and_do_no_harm(self):
        import socket
        broker = self.start()
        host, port = broker.address.rsplit(":", 1)
        for greeting in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00\x00\x10" + b"\x00" * 16,
                         b"\xff" * 64, b"RNL1" + b"\xff" * 64):
            with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
                connection.sendall(greeting)
                connection.shutdown(socket.SHUT_WR)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        broker.out("topic", "create", "still-there")

    def test_dev_prints_lines_that_work(self):
        process = subprocess.Popen([BINARY, "dev", "--net", NET], stdout=subprocess.PIPE,
                                   text=True, env=clean_environment())
        self.addCleanup(process.stdout.close)
        commands, directory = [], ""
        for line in process.stdout:
            if "Its data is in" in line:
                directory = line.split()[4].rstrip(",.")
            if line.startswith("  "):
                commands.append(line.strip())
            if "Ctrl-C" in line:
                break
        done = subprocess.run(["bash", "-ec", "\n".join(commands)], capture_output=True, text=True,
                              check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(done.returncode, OK, done.stdout + done.stderr)
        self.assertIn("hello, world", done.stdout)
        process.send_signal(signal.SIGHUP)  # as when its terminal is closed
        self.assertEqual(process.wait(PATIENCE_SECONDS), OK)
        self.assertFalse(pathlib.Path(directory).exists())


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
        self.assertEqual(json.loads(broker.out("topic", "list", "-o", "json")), [])


class Completion(unittest.TestCase):
    def test_bash_completes_commands_and_flags(self):
        script = (f"source <({BINARY} completion bash)\n"
                  "COMP_WORDS=(runnel topic create --if); COMP_CWORD=3; _runnel\n"
                  "echo \"${COMPREPLY[@]}\"\n")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.split(), ["--if-not-exists"])


if __name__ == "__main__":
    BINARY, NET = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    if NET == "io_uring":
        REASON = io_uring_is_refused(BINARY)
        if REASON:
            print("io_uring cannot be tested here:", REASON)
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
