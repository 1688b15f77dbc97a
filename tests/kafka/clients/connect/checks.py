"""Kafka Connect, standalone: a file through a topic into another file, the broker killed once."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python"), str(HERE.parent.parent)]
import brokers  # noqa: E402  pylint: disable=wrong-import-position
import program  # noqa: E402  pylint: disable=wrong-import-position
from program import expect, wait_for  # noqa: E402  pylint: disable=wrong-import-position


def properties(path, **values):
    path.write_text("".join(f"{k.replace('__', '.')}={v}\n" for k, v in values.items()))
    return str(path)


class Checks:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="runnel-connect-"))
        self.source = self.folder / "in.txt"
        self.sink = self.folder / "out.txt"

    def worker(self):
        text = "org.apache.kafka.connect.storage.StringConverter"
        connector = "org.apache.kafka.connect.file.FileStream"
        files = [
            properties(self.folder / "worker.properties", bootstrap__servers=self.bootstrap,
                       key__converter=text, value__converter=text,
                       offset__storage__file__filename=self.folder / "offsets",
                       offset__flush__interval__ms=500,
                       listeners=f"http://127.0.0.1:{brokers.free_port()}"),
            properties(self.folder / "source.properties", name=f"{self.prefix}-source",
                       connector__class=f"{connector}SourceConnector", tasks__max=1,
                       file=self.source, topic=f"{self.prefix}-lines"),
            properties(self.folder / "sink.properties", name=f"{self.prefix}-sink",
                       connector__class=f"{connector}SinkConnector", tasks__max=1,
                       file=self.sink, topics=f"{self.prefix}-lines"),
        ]
        log = open(self.folder / "log", "wb")
        jars = brokers.kafka_jars(brokers.KAFKA_VERSION)
        return subprocess.Popen(
            ["java", "-Xmx512M", "-XX:TieredStopAtLevel=1",
             f"-Dlog4j2.configurationFile={brokers.log4j_config('WARN')}", "-cp", f"{jars}/*",
             "org.apache.kafka.connect.cli.ConnectStandalone", *files], stdout=log, stderr=log)

    def add(self, first, last):
        with open(self.source, "a", encoding="ascii") as file:
            file.writelines(f"line {i}\n" for i in range(first, last))

    def lines(self):
        time.sleep(0.1)
        return self.sink.read_text().splitlines() if self.sink.exists() else []

    def file_to_file(self):
        self.add(0, 100)
        worker = self.worker()
        try:
            def arrived(count):
                if worker.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()[-600:])
                return len(set(self.lines())) >= count
            wait_for(lambda: arrived(100), "100 lines")
            expect(self.lines(), [f"line {i}" for i in range(100)], "lines")
            program.kill_broker()
            self.add(100, 200)
            # The connectors deliver at least once: a line may come twice, none may be missing.
            wait_for(lambda: arrived(200), "200 lines")
            expect(list(dict.fromkeys(self.lines())), [f"line {i}" for i in range(200)], "lines")
        finally:
            worker.kill()
            worker.wait()
            shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    program.main(f"Kafka Connect {brokers.KAFKA_VERSION}", Checks)
