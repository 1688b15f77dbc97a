"""The two brokers a suite can run against. Both keep their port over a kill and a restart."""
import base64
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

import maven

KAFKA_VERSION = os.environ.get("KAFKA_VERSION", "4.3.1")
LOG4J_VERSION = "2.25.3"
START_SECONDS = 120

# ApiVersions 0: length, key, version, correlation id, client id "test".
API_VERSIONS = struct.pack(">ihhih4s", 14, 18, 0, 1, 4, b"test")

# What the tests need to differ from a broker's defaults: no wait before a group's first assignment.
SETTINGS = {"group.initial.rebalance.delay.ms": "0"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server process on a directory that outlives it."""

    def __init__(self, settings=None):
        self.settings = {**SETTINGS, **(settings or {})}
        self.port = free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="runnel-kafka-"))
        self.log_path = self.directory / "server.log"
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("RUNNEL_")})
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        """An ApiVersions request that is answered, not only an open port."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker ended at start:\n{self.log()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                    probe.sendall(API_VERSIONS)
                    if len(probe.recv(8)) == 8:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the broker did not answer in {START_SECONDS} s:\n{self.log()}")

    def api_keys(self):
        """The keys of the APIs that the broker advertises."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(API_VERSIONS)
            with connection.makefile("rb") as answer:
                length, _, error, count = struct.unpack(">iihi", answer.read(14))
                if error:
                    raise RuntimeError(f"ApiVersions was answered with error {error}")
                entries = answer.read(length - 10)
        return {struct.unpack_from(">h", entries, 6 * i)[0] for i in range(count)}

    def log(self):
        return self.log_path.read_text(errors="replace")[-8000:]

    def kill_and_restart(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def ensure_it_runs(self):
        """A broker that cannot start again makes room for a new one, on an empty directory."""
        if self.process.poll() is None:
            return
        kept = self.directory / f"failed-{time.time_ns()}"
        (self.directory / "data").rename(kept)
        self.start()

    def remove(self):
        if os.environ.get("RUNNEL_KEEP_DATA"):
            print(f"kept {self.directory}")
            self.process.kill()
            return
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Runnel(Process):
    name = "runnel"

    def __init__(self, binary, settings=None, net="auto"):
        super().__init__(settings)
        self.net = net
        self.binary = binary
        self.version = subprocess.run([binary, "--version"], capture_output=True, text=True,
                                      check=True).stdout.strip()
        usage = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True,
                               check=True).stdout
        self.takes_settings = re.search(r"--set\b", usage) is not None

    def command(self):
        settings = [f"{k}={v}" for k, v in self.settings.items()] if self.takes_settings else []
        return [self.binary, "serve", "--data", str(self.directory / "data"), "--listen",
                self.address, "--net", self.net, *(word for each in settings for word in ("--set", each))]


class Kafka(Process):
    """One KRaft node, broker and controller, from the jars at Maven Central."""
    name = "kafka"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.version = KAFKA_VERSION
        self.jars = kafka_jars(KAFKA_VERSION)
        self.controller_port = free_port()
        self.properties = self.directory / "server.properties"
        self.write_properties()
        self.format()

    def write_properties(self):
        listeners = (f"PLAINTEXT://{self.address},"
                     f"CONTROLLER://127.0.0.1:{self.controller_port}")
        values = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A killed broker has to be taken back at once, or every check waits for its session.
            "broker.session.timeout.ms": "3000",
            **self.settings,
        }
        self.properties.write_text("".join(f"{k}={v}\n" for k, v in values.items()))

    def java(self, *arguments):
        return ["java", "-Xmx1G", f"-Dlog4j2.configurationFile={log4j_config('INFO')}", "-cp",
                f"{self.jars}/*", *arguments]

    def format(self):
        done = subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "--standalone", "--cluster-id",
                      kafka_uuid(), "--config", str(self.properties)),
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"formatting Kafka's directory failed:\n{done.stdout}{done.stderr}")

    def command(self):
        return self.java("kafka.Kafka", str(self.properties))


def kafka_uuid():
    return base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")


def kafka_jars(version):
    """The server's, tools', Streams' and Connect's jars of one release."""
    return maven.copy_jars(f"kafka-{version}", [
        ("org.apache.kafka", "kafka_2.13", version),
        ("org.apache.kafka", "kafka-tools", version),
        ("org.apache.kafka", "kafka-streams", version),
        ("org.apache.kafka", "connect-runtime", version),
        ("org.apache.kafka", "connect-file", version),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ])


def log4j_config(level, target="SYSTEM_OUT"):
    path = maven.cache_directory() / f"log4j2-{level.lower()}-{target.lower()}.xml"
    if not path.exists():
        path.write_text(
            f'<Configuration status="WARN"><Appenders><Console name="out" target="{target}">'
            '<PatternLayout pattern="[%d] %p %m (%c)%n%throwable"/></Console></Appenders>'
            f'<Loggers><Root level="{level}"><AppenderRef ref="out"/></Root></Loggers>'
            '</Configuration>\n')
    return path
