#!/usr/bin/env python3
"""The broker and its command line, end to end: the real binary, real connections.

usage: broker_test.py BINARY auto|epoll|io_uring [unittest arguments]
Exit code 77: io_uring is what was asked for and this machine does not allow it.
"""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import (PATIENCE_SECONDS, BrokerCase, clean_environment, io_uring_is_refused,
                     start_and_fail)

BINARY = ""
NET = "auto"

OK, FAILED, USAGE, REJECTED, NO_CONNECTION, NOT_FOUND, DAMAGED, LOCKED = range(8)
REFUSED = 9
LAGGING = 11


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

    def test_rejects_do_not_replace_the_input(self):
        rows = pathlib.Path(self.directory()) / "rows.jsonl"
        rows.write_text('{"id": 1}\nno json\n')
        refused = self.broker.run("produce", "orders", str(rows), "--in", "jsonl", "--rejects",
                                  str(rows), expect=USAGE)
        self.assertIn("name another file", refused.stderr)
        self.assertEqual(rows.read_text(), '{"id": 1}\nno json\n')

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
        self.assertIn("exists; with --if-not-exists that is fine",
                      broker.run("topic", "create", "a", expect=REFUSED).stderr)
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
        gone = broker.run("topic", "delete", "nope", expect=NOT_FOUND)
        self.assertIn("`runnel topic list` shows those there are", gone.stderr)
        broker.run("topic", "create", "a/b", expect=USAGE)
        typo = broker.run("topic", "create", "a", "-c", "retention.mss=5", expect=USAGE)
        self.assertIn("did you mean 'retention.ms'", typo.stderr)
        far_off = broker.run("topic", "create", "a", "-c", "foo=bar", expect=USAGE)
        self.assertIn("there are: cleanup.policy, ", far_off.stderr)
        broker.run("topic", "create", "a")
        for name in ("b", "orders"):
            broker.out("topic", "create", name)
        self.assertIn("did you mean 'orders'", broker.run("consume", "order", "-e",
                                                          expect=NOT_FOUND).stderr)
        both = broker.run("topic", "delete", "b", "nope", "orders", expect=NOT_FOUND)
        self.assertEqual(both.stdout, "deleted topic b\ndeleted topic orders\n")
        lost = broker.run("produce", "a", "--rejects", "/no/such/file", expect=NOT_FOUND)
        self.assertIn("/no/such/file", lost.stderr)
        self.assertIn("'x' is not a whole number from 1 to", broker.run(
            "topic", "create", "c", "-p", "x", expect=USAGE).stderr)
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


class Groups(BrokerCase):
    def test_a_group_goes_on_where_it_stopped_and_can_be_moved(self):
        broker = self.start()
        broker.out("topic", "create", "a")
        broker.run("produce", "a", text="".join(f"{i}\n" for i in range(10)))
        self.assertEqual(broker.out("consume", "a", "-g", "g", "-n", "4").split(), list("0123"))
        self.assertEqual(broker.out("consume", "a", "-g", "g", "-e").split(), list("456789"))
        described = json.loads(broker.out("group", "describe", "g", "-o", "json"))
        self.assertEqual(described["partitions"][0]["lag"], 0)
        far = broker.run("group", "seek", "g", "--to", "99")
        self.assertIn("a[0] has the offsets 0 to 10: 99 becomes 10", far.stderr)
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

    def test_reading_to_the_end_ends_where_others_hold_every_partition(self):
        broker = self.start()
        broker.out("topic", "create", "a", "-p", "1")
        broker.run("produce", "a", text="0\n")
        holder = subprocess.Popen(
            [self.binary, "consume", "a", "-g", "g", "-b", broker.address], text=True,
            stdout=subprocess.PIPE, env=clean_environment())
        try:
            self.assertEqual(holder.stdout.readline(), "0\n")
            other = broker.run("consume", "a", "-g", "g", "-e")
        finally:
            holder.kill()
            holder.communicate()
        self.assertEqual(other.stdout, "")
        self.assertIn("other members of group g hold every partition", other.stderr)


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

    def test_a_log_past_the_page_cache_is_read_back(self):
        directory = self.directory()
        numbers = iter(range(100_000))
        expected = []
        for cache in ("0", "0", "64MiB", "0"):
            broker = self.start("--page-cache", cache, "--segment-bytes", "1MiB",
                                directory=directory)
            self.assertNotIn("past the page cache", broker.log())
            if not expected:
                broker.out("topic", "create", "a")
            for _ in range(3):  # what was just written is read at once
                new = [f"{next(numbers):0200}" for _ in range(2500)]
                expected += new
                broker.run("produce", "a", text="\n".join(new) + "\n")
                self.assertEqual(broker.out("consume", "a", "-e").split(), expected)
            broker.stop(signal.SIGKILL)
        checked = subprocess.run([BINARY, "check", directory], capture_output=True, text=True,
                                 check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(checked.returncode, OK, checked.stdout + checked.stderr)

    def test_missing_segments_are_damage(self):
        directory = pathlib.Path(self.directory())
        broker = self.start(directory=str(directory))
        broker.stop()
        code, text = start_and_fail(BINARY, "check", str(directory / "nope"))
        self.assertEqual(code, NOT_FOUND)
        self.assertIn("there is no directory", text)
        (directory / "segments").rename(directory / "elsewhere")
        for command in (["check", str(directory)], ["serve", "--data", str(directory),
                                                    "--listen", "127.0.0.1:0"]):
            code, text = start_and_fail(BINARY, *command)
            self.assertEqual(code, DAMAGED, text)

    def test_damage_is_found_and_named(self):
        directory = self.directory()
        broker = self.start(directory=directory)
        broker.out("topic", "create", "a", "-p", "2")
        broker.run("produce", "a", "-p", "1", text="before\n")
        broker.run("produce", "a", "-p", "1", text="a needle in the log\n" * 100)
        broker.run("produce", "a", "-p", "1", text="behind\n")
        broker.run("produce", "a", "-p", "0", text="elsewhere\n" * 5)
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
        checked = subprocess.run([BINARY, "check", directory], capture_output=True, text=True,
                                 check=False, timeout=PATIENCE_SECONDS)
        self.assertEqual(checked.returncode, DAMAGED)
        for word in ("within it: a[1] offsets ", "1 damaged place\n", "backup"):
            self.assertIn(word, checked.stdout)

        broker = self.start(directory=directory)
        read = broker.run("consume", "a", "-e", expect=DAMAGED)
        self.assertEqual(sorted(read.stdout.split()), ["before", *["elsewhere"] * 5])
        self.assertIn("a[1]: the batch at offset 1 is damaged", read.stderr)
        # In how many batches the hundred rows went is the producer's business.
        go_on = int(re.search(r"ends before offset (\d+)", read.stderr).group(1))
        self.assertGreater(go_on, 1)
        self.assertIn("read no further than the damage in a[1]", read.stderr)
        behind = broker.out("consume", "a", "-p", "1", "--from", str(go_on), "-e").splitlines()
        self.assertEqual(behind, ["a needle in the log"] * (101 - go_on) + ["behind"])


class Serving(BrokerCase):
    def test_a_second_broker_is_refused_with_the_pid_of_the_first(self):
        broker = self.start()
        code, text = start_and_fail(BINARY, "serve", "--data", broker.directory, "--listen",
                                    "127.0.0.1:0")
        self.assertEqual(code, LOCKED, text)
        self.assertIn(str(broker.process.pid), text)

    def test_remote_addresses_need_consent(self):
        data = pathlib.Path(self.directory()) / "data"
        code, text = start_and_fail(BINARY, "serve", "--data", str(data), "--listen", "0.0.0.0:0")
        self.assertEqual(code, USAGE, text)
        self.assertIn("insecure-allow-remote", text)
        code, text = start_and_fail(BINARY, "serve", "--data", str(data), "--listen", "host.test:0")
        self.assertEqual(code, USAGE, text)
        self.assertIn("'host.test' is no numeric address", text)
        self.assertFalse(data.exists(), "a start that was refused left a directory behind")

    def test_an_address_in_use_is_said(self):
        broker = self.start()
        data = pathlib.Path(self.directory()) / "data"
        code, text = start_and_fail(BINARY, "serve", "--data", str(data), "--listen",
                                    broker.address)
        self.assertNotEqual(code, OK)
        self.assertIn(broker.address, text)
        self.assertFalse(data.exists(), "a start that was refused left a directory behind")

    def test_a_reload_names_what_needs_a_restart(self):
        file = pathlib.Path(self.directory()) / "runnel.toml"
        file.write_text("memory = '64MiB'\n")
        broker = self.start("--config", str(file))
        file.write_text("memory = '128MiB'\nlog-level = 'debug'\n")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_for("reloaded the configuration; changed, but not before a restart: memory$")

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
        code, text = start_and_fail(BINARY, "topic", "list", "-b", "no-such-host.invalid:1")
        self.assertEqual(code, NO_CONNECTION, text)
        self.assertIn("cannot be resolved", text)
        self.assertIn("-b HOST:PORT", text)
        self.assertNotIn("waiting", text)
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


if __name__ == "__main__":
    BINARY, NET = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]
    BrokerCase.binary, BrokerCase.net = BINARY, NET
    if NET == "io_uring":
        REASON = io_uring_is_refused(BINARY)
        if REASON:
            print("io_uring cannot be tested here:", REASON)
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
