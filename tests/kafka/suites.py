"""Which clients are tested, in which versions, and how each is installed and called."""
import pathlib
import shutil
import subprocess
import sys
import venv

import brokers
import maven

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"


class Suite:
    """One client in one version. Subclasses know a language's registry."""
    tools = ()
    language = ""

    def __init__(self, name, size="full"):
        self.name = name
        # apt: needs Debian's packages only; quick: a registry, and little time; full: the rest.
        self.size = size
        self.label = name

    def missing(self):
        """Why this suite cannot run on this machine, or None."""
        absent = [tool for tool in self.tools if not shutil.which(tool)]
        return f"needs {', '.join(absent)}" if absent else None

    def prepare(self):
        """Installs or builds what the program needs; does nothing the second time."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def checks(self, names):
        """The checks this suite answers, of the shared list or of its own."""
        return names

    def folder(self):
        path = maven.cache_directory() / self.name
        path.mkdir(parents=True, exist_ok=True)
        return path


class PythonSuite(Suite):
    """Libraries of PyPI in an environment of their own."""
    language = "Python"

    def __init__(self, name, program, packages, **more):
        super().__init__(name, **more)
        self.program = CLIENTS / program / "checks.py"
        self.packages = packages

    def python(self):
        return self.folder() / "venv/bin/python"

    def prepare(self):
        done = self.folder() / "installed"
        wanted = "\n".join(self.packages)
        if done.exists() and done.read_text() == wanted:
            return
        venv.create(self.folder() / "venv", clear=True, with_pip=True)
        subprocess.run([self.python(), "-m", "pip", "install", "-q",
                        "--disable-pip-version-check", *self.packages], check=True)
        done.write_text(wanted)

    def command(self):
        return [str(self.python()), str(self.program)]


class DebianPythonSuite(Suite):
    """Debian's own confluent-kafka, with Debian's Python."""
    language = "Python"
    python = "/usr/bin/python3"

    def missing(self):
        found = subprocess.run([self.python, "-c", "import confluent_kafka"], check=False,
                               stderr=subprocess.DEVNULL).returncode == 0
        return None if found else "needs the package python3-confluent-kafka"

    def command(self):
        return [self.python, str(CLIENTS / "confluent-python/checks.py")]


class KcatSuite(Suite):
    tools = ("kcat",)
    language = "C"

    def command(self):
        return [sys.executable, str(CLIENTS / "kcat/checks.py")]


class JavaSuite(Suite):
    tools = ("java", "javac", "mvn")
    language = "Java"

    def __init__(self, name, version, **more):
        super().__init__(name, **more)
        self.version = version

    def jars(self):
        return maven.copy_jars(f"clients-{self.version}", [
            ("org.apache.kafka", "kafka-clients", self.version),
            ("org.slf4j", "slf4j-nop", "1.7.36")])

    def prepare(self):
        self.jars()
        subprocess.run(["javac", "-nowarn", "-XDsuppressNotes", "-d", str(self.folder()), "-cp", f"{self.jars()}/*",
                        *map(str, sorted((CLIENTS / "java").glob("*.java")))], check=True)

    def command(self):
        return ["java", "-Xmx512m", "-cp", f"{self.folder()}:{self.jars()}/*", "Checks",
                self.version]


class JavaToolsSuite(Suite):
    """Kafka's command-line tools. They have checks of their own."""
    tools = ("java", "mvn")
    language = "Java"
    names = ("topics", "configs", "console", "consumer_groups", "perf", "get_offsets",
             "delete_records", "verifiable", "end_to_end_latency", "transactions", "log_dirs",
             "cluster_id", "metadata")
    needs = {"topics": {32}, "configs": {32, 44}, "console": {11}, "perf": {11},
             "consumer_groups": {11, 15, 16, 42, 47}, "delete_records": {11},
             "verifiable": {11}, "end_to_end_latency": {8},
             "transactions": {24, 26, 61, 65, 66}, "log_dirs": {35}}

    def prepare(self):
        brokers.kafka_jars(brokers.KAFKA_VERSION)

    def checks(self, names):
        return list(self.names)

    def command(self):
        return [sys.executable, str(CLIENTS / "java-tools/checks.py")]


class StreamsSuite(Suite):
    tools = ("java", "javac", "mvn")
    language = "Java"
    needs = {"word_count_exactly_once": {11, 24, 25, 26, 28}}

    def prepare(self):
        jars = brokers.kafka_jars(brokers.KAFKA_VERSION)
        subprocess.run(["javac", "-nowarn", "-XDsuppressNotes", "-d", str(self.folder()), "-cp",
                        f"{jars}/*", str(CLIENTS / "java/Program.java"),
                        str(CLIENTS / "streams/Checks.java")], check=True)

    def checks(self, names):
        return list(self.needs)

    def command(self):
        jars = brokers.kafka_jars(brokers.KAFKA_VERSION)
        return ["java", "-Xmx512m",
                f"-Dlog4j2.configurationFile={brokers.log4j_config('WARN', 'SYSTEM_ERR')}", "-cp",
                f"{self.folder()}:{jars}/*", "Checks", brokers.KAFKA_VERSION]


class ConnectSuite(Suite):
    tools = ("java", "mvn")
    language = "Java"
    needs = {"file_to_file": {8, 11}}

    def prepare(self):
        brokers.kafka_jars(brokers.KAFKA_VERSION)

    def checks(self, names):
        return list(self.needs)

    def command(self):
        return [sys.executable, str(CLIENTS / "connect/checks.py")]


class GoSuite(Suite):
    tools = ("go",)
    language = "Go"

    def prepare(self):
        subprocess.run(["go", "build", "-o", str(self.folder() / "checks"), f"./{self.name}"],
                       cwd=CLIENTS / "go", check=True)

    def command(self):
        return [str(self.folder() / "checks")]


class NodeSuite(Suite):
    tools = ("node", "npm")
    language = "JavaScript"

    def __init__(self, name, packages, **more):
        super().__init__(name, **more)
        self.packages = packages

    def prepare(self):
        done = self.folder() / "installed"
        wanted = "\n".join(self.packages)
        if not done.exists() or done.read_text() != wanted:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix",
                            str(self.folder()), *self.packages], check=True)
            done.write_text(wanted)
        for source in (CLIENTS / self.name).glob("*.js"):
            shutil.copy(source, self.folder())

    def command(self):
        return ["node", str(self.folder() / "checks.js")]


class CargoSuite(Suite):
    tools = ("cargo",)
    language = "Rust"

    def prepare(self):
        subprocess.run(["cargo", "build", "-q", "--manifest-path",
                        str(CLIENTS / self.name / "Cargo.toml"), "--target-dir",
                        str(self.folder())], check=True)

    def command(self):
        return [str(self.folder() / "debug/checks")]


class CppSuite(Suite):
    """The C++ API of the librdkafka that Debian has."""
    tools = ("g++", "pkg-config")
    language = "C++"

    def missing(self):
        absent = super().missing()
        if absent:
            return absent
        found = subprocess.run(["pkg-config", "--exists", "rdkafka++"], check=False).returncode == 0
        return None if found else "needs the package librdkafka-dev"

    def prepare(self):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "rdkafka++"], check=True,
                               capture_output=True, text=True).stdout.split()
        subprocess.run(["g++", "-std=c++20", "-O1", "-o", str(self.folder() / "checks"),
                        str(CLIENTS / "librdkafka-cpp/checks.cc"), *flags], check=True)

    def command(self):
        return [str(self.folder() / "checks")]


ALL = [
    KcatSuite("kcat", size="apt"),
    DebianPythonSuite("confluent-python-debian", size="apt"),
    PythonSuite("confluent-python", "confluent-python", ["confluent-kafka==2.16.1"], size="quick"),
    PythonSuite("kafka-python", "kafka-python",
                ["kafka-python==3.0.12", "python-snappy", "lz4", "zstandard", "crc32c"],
                size="quick"),
    PythonSuite("kafka-python-2.0", "kafka-python",
                ["kafka-python==2.0.2", "six", "python-snappy", "lz4", "zstandard"]),
    PythonSuite("aiokafka", "aiokafka", ["aiokafka==0.14.0", "cramjam", "async-timeout"],
                size="quick"),
    JavaSuite("java", "4.3.1", size="quick"),
    JavaSuite("java-2.8", "2.8.2"),
    JavaToolsSuite("java-tools"),
    StreamsSuite("streams"),
    ConnectSuite("connect"),
    GoSuite("franz-go", size="quick"),
    GoSuite("sarama"),
    GoSuite("kafka-go"),
    NodeSuite("kafkajs", ["kafkajs@2.2.4", "kafkajs-snappy@1.1.0", "zstd-codec@0.1.5"]),
    CppSuite("librdkafka-cpp", size="apt"),
    CargoSuite("rskafka"),
]
