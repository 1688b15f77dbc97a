"""kcat, by its command line."""
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, values, wait_for  # noqa: E402  pylint: disable=wrong-import-position


def kcat_version():
    text = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=False).stdout
    own = re.search(r"Version (\S+)", text).group(1)
    library = re.search(r"librdkafka (\S+)", text).group(1)
    return f"kcat {own}, librdkafka {library}"


class Checks:
    """What kcat has no option for is not among its methods."""

    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix

    def kcat(self, *arguments, text=b""):
        done = subprocess.run(["kcat", "-b", self.bootstrap, "-E", *arguments], input=text,
                              capture_output=True, check=False, timeout=program.PATIENCE_SECONDS)
        if done.returncode:
            raise AssertionError(f"kcat {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout

    def send(self, name, text, *arguments):
        topic = f"{self.prefix}-{name}"
        self.kcat("-P", "-t", topic, *arguments, text=text)
        return topic

    def read(self, topic, *arguments):
        return self.kcat("-C", "-t", topic, "-e", "-q", *arguments)

    def read_json(self, topic, *arguments):
        return [json.loads(line) for line in self.read(topic, "-J", *arguments).splitlines()]

    def codec(self, codec):
        topic = self.send(codec, b"\n".join(values(100)), "-z", codec)
        expect(self.read(topic).splitlines(), values(100), "values")

    def produce_none(self):
        self.codec("none")

    def produce_gzip(self):
        self.codec("gzip")

    def produce_snappy(self):
        self.codec("snappy")

    def produce_lz4(self):
        self.codec("lz4")

    def produce_zstd(self):
        self.codec("zstd")

    def headers(self):
        topic = self.send("headers", b"x", "-H", "a=1", "-H", "b=text", "-H", "a=2", "-H", "empty=")
        expect(self.read_json(topic)[0]["headers"], ["a", "1", "b", "text", "a", "2", "empty", ""],
               "headers")

    def nulls(self):
        topic = self.send("nulls", b":\nk:\n:v", "-K", ":", "-Z")
        expect([(r["key"], r["payload"]) for r in self.read_json(topic)],
               [(None, None), ("k", None), (None, "v")], "keys and values")

    def timestamps(self):
        before = int(time.time() * 1000)
        topic = self.send("timestamps", b"x")
        record = self.read_json(topic)[0]
        expect(record["tstype"], "create", "kind of timestamp")
        expect(before <= record["ts"] <= int(time.time() * 1000), True, "between before and after")

    def seek_time(self):
        topic = self.send("seek-time", b"early")
        time.sleep(0.05)
        between = int(time.time() * 1000)
        time.sleep(0.05)
        self.send("seek-time", b"late")
        expect(self.kcat("-Q", "-t", f"{topic}:0:{between}").split(),
               f"{topic} [0] offset 1".encode().split(), "offset of the time")
        expect(self.read(topic, "-o", f"s@{between}"), b"late\n", "values from there")

    def watermarks(self):
        topic = self.send("watermarks", b"\n".join(values(7)))
        for name, offset in (("-2", 0), ("-1", 7)):
            expect(self.kcat("-Q", "-t", f"{topic}:0:{name}").split(b"\n")[0],
                   f"{topic} [0] offset {offset}".encode(), f"offset {name}")

    def group_resume(self):
        topic = self.send("resume", b"\n".join(values(20)))
        group = f"{self.prefix}-resume"

        def member(count):
            # The balanced consumer names its rebalances on standard error.
            return self.kcat("-G", group, "-q", "-c", str(count), "-X",
                             "auto.offset.reset=earliest", topic).splitlines()
        expect(member(10), values(10), "first member")
        expect(member(10), values(10, 10), "second member")

    def group_rebalance(self):
        topic = f"{self.prefix}-rebalance"
        self.send("rebalance", b"\n".join(values(20)))
        members = [self.start_member(topic)]
        members[0].wait_for_lines(20)
        members.append(self.start_member(topic))
        try:
            wait_for(lambda: time.sleep(0.1) or members[1].rebalances(), "the second joins")
            wait_for(lambda: time.sleep(0.1) or members[0].rebalances() >= 2, "the first rejoins")
            self.send("rebalance", b"\n".join(values(20, 20)))
            wait_for(lambda: time.sleep(0.1) or len(members[0].lines | members[1].lines) == 40,
                     "all values are read")
        finally:
            for member in members:
                member.stop()

    def start_member(self, topic):
        return Member(["kcat", "-b", self.bootstrap, "-G", f"{self.prefix}-rebalance", "-X",
                       "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-u", topic])

    def admin_describe(self):
        topic = self.send("admin-describe", b"x")
        answer = json.loads(self.kcat("-L", "-J", "-t", topic))
        expect([(p["partition"], p["leader"], p["replicas"], p["isrs"])
                for p in answer["topics"][0]["partitions"]], [(0, 1, [{"id": 1}], [{"id": 1}])],
               "partitions")

    def idempotent_kill(self):
        topic = f"{self.prefix}-idempotent"
        sender = subprocess.Popen(
            ["kcat", "-b", self.bootstrap, "-E", "-P", "-t", topic, "-X", "enable.idempotence=true"],
            stdin=subprocess.PIPE)
        for i, value in enumerate(values(300)):
            if i == 150:
                sender.stdin.flush()
                program.kill_broker()
            sender.stdin.write(value + b"\n")
        sender.stdin.close()
        expect(sender.wait(program.PATIENCE_SECONDS), 0, "exit code")
        expect(self.read(topic).splitlines(), values(300), "values")


class Member:
    """A consumer in the background."""

    def __init__(self, command):
        self.lines = set()
        self.errors = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for source, take in ((self.process.stdout, self.lines.add),
                             (self.process.stderr, self.errors.append)):
            threading.Thread(target=lambda s=source, t=take: [t(line) for line in s],
                             daemon=True).start()

    def rebalances(self):
        return sum(b"rebalanced" in line for line in self.errors)

    def wait_for_lines(self, count):
        wait_for(lambda: time.sleep(0.1) or len(self.lines) >= count, f"{count} lines")

    def stop(self):
        self.process.terminate()
        self.process.wait()


if __name__ == "__main__":
    program.main(kcat_version(), Checks)
