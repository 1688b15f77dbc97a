#!/usr/bin/env python3
"""Exactly once, with kill -9 between any two steps.

Two workers read numbered records with read_committed, write them to another topic and commit their
positions in the same transaction. Each tells which step it has reached and waits to be let on; at
any of them the broker or the worker may be killed, by chance. A worker that meets an error ends; a
new one of the same transactional id takes its place. In the end every record must have been written
exactly once, in order. The seed is printed; RUNNEL_SEED runs it again.

Exit code: 0 all well, 1 a record was lost, doubled or out of order, 77 something is not installed.
"""
import argparse
import collections
import importlib.util
import os
import pathlib
import queue
import random
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import brokers  # noqa: E402  pylint: disable=wrong-import-position
import suites  # noqa: E402  pylint: disable=wrong-import-position

PYTHON = "/usr/bin/python3"
PARTITIONS = 4
WORKERS = ("worker-a", "worker-b")
STEPS = ("started", "sent", "produced", "offsets", "committed")
SKIPPED = 77


class Worker:
    """One process under one transactional id, replaced when it ends."""

    def __init__(self, command, name, steps):
        self.command = command
        self.name = name
        self.steps = steps
        self.starts = 0
        self.process = None
        self.errors = collections.deque(maxlen=20)

    def start(self):
        self.starts += 1
        self.process = subprocess.Popen([*self.command, self.name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process):
        for line in process.stderr:
            self.errors.append(line.rstrip())

    def _read(self, process):
        for line in process.stdout:
            self.steps.put((self, process, line.strip()))
        self.steps.put((self, process, None))

    def go_on(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its end is in the queue

    def kill(self):
        self.process.kill()


def kafka_client():
    import confluent_kafka  # pylint: disable=import-outside-toplevel
    return confluent_kafka


def fill(kafka, address, topic, count):
    producer = kafka.Producer({"bootstrap.servers": address, "enable.idempotence": True})
    for i in range(count):
        producer.produce(topic, f"v-{i}", partition=i % PARTITIONS)
        producer.poll(0)
    if producer.flush(60):
        raise SystemExit("the input could not be written")


def make_topics(address, names, configs):
    from confluent_kafka.admin import AdminClient, NewTopic  # pylint: disable=import-outside-toplevel
    admin = AdminClient({"bootstrap.servers": address})
    new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=configs)
           for name in names]
    for future in admin.create_topics(new).values():
        future.result(30)


def read_committed(kafka, address, topic):
    """All committed values by partition, up to the last stable offsets."""
    consumer = kafka.Consumer({"bootstrap.servers": address, "group.id": "check",
                               "isolation.level": "read_committed", "enable.partition.eof": True})
    consumer.assign([kafka.TopicPartition(topic, p, kafka.OFFSET_BEGINNING)
                     for p in range(PARTITIONS)])
    values = {p: [] for p in range(PARTITIONS)}
    ended = set()
    while len(ended) < PARTITIONS:
        message = consumer.poll(20)
        if message is None:
            raise SystemExit(f"{topic} cannot be read to its end; got to the end of {ended}")
        if message.error():
            if message.error().code() != kafka.KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
                raise SystemExit(f"reading {topic}: {message.error()}")
            ended.add(message.partition())
            continue
        values[message.partition()].append(message.value().decode())
    consumer.close()
    return values


def is_done(kafka, address, topic, count):
    """Whether the group's positions are at the end of its input."""
    consumer = kafka.Consumer({"bootstrap.servers": address, "group.id": "transform"})
    try:
        found = consumer.committed([kafka.TopicPartition(topic, p) for p in range(PARTITIONS)],
                                   timeout=20)
        return sum(max(p.offset, 0) for p in found) == count
    except kafka.KafkaException:
        return False
    finally:
        consumer.close()


class Run:
    def __init__(self, arguments, command, kafka):
        self.arguments = arguments
        self.kafka = kafka
        self.seed = int(os.environ.get("RUNNEL_SEED", time.time_ns() % 1_000_000))
        self.random = random.Random(self.seed)
        self.broker = brokers.Runnel(str(pathlib.Path(arguments.binary).resolve())) \
            if arguments.against == "runnel" else brokers.Kafka()
        self.steps = queue.Queue()
        self.command = command
        self.workers = []
        self.kills = collections.Counter()
        self.reached = collections.Counter()

    def run(self):
        print(f"seed {self.seed}", flush=True)
        try:
            self.broker.start()
            make_topics(self.broker.address, ["in", "out"],
                        dict(c.split("=", 1) for c in self.arguments.config))
            fill(self.kafka, self.broker.address, "in", self.arguments.records)
            self.workers = [Worker([*self.command, self.broker.address, "in", "out"], name,
                                   self.steps) for name in WORKERS]
            for worker in self.workers:
                worker.start()
            self.drive()
            return self.check()
        finally:
            for worker in self.workers:
                if worker.process:
                    worker.kill()
            self.broker.remove()

    def drive(self):
        deadline = time.monotonic() + self.arguments.seconds
        idle = set()
        while True:
            if time.monotonic() > deadline:
                raise SystemExit(f"not done in {self.arguments.seconds} s; steps reached: "
                                 f"{dict(self.reached)}; kills: {dict(self.kills)}; workers said: "
                                 f"{[list(w.errors)[-3:] for w in self.workers]}")
            try:
                worker, process, step = self.steps.get(timeout=60)
            except queue.Empty:
                raise SystemExit("a worker is stuck: " + str(
                    [list(w.errors)[-3:] for w in self.workers])) from None
            if process is not worker.process:
                continue  # of one that was replaced
            if step is None:
                process.wait()
                worker.start()
                continue
            self.reached[step] += 1
            if step == "idle":
                idle.add(worker.name)
                if len(idle) == len(WORKERS) and is_done(self.kafka, self.broker.address, "in",
                                                         self.arguments.records):
                    return
            else:
                idle.discard(worker.name)
                self.perhaps_kill(worker, step)
            if worker.process.poll() is None:
                worker.go_on()

    def perhaps_kill(self, worker, step):
        if step not in STEPS or self.random.random() > self.arguments.chance:
            return
        if self.random.random() < 0.5:
            self.kills[f"broker at {step}"] += 1
            self.broker.kill_and_restart()
        else:
            self.kills[f"worker at {step}"] += 1
            worker.kill()

    def check(self):
        out = read_committed(self.kafka, self.broker.address, "out")
        failed = False
        for partition, values in out.items():
            wanted = [f"v-{i}" for i in range(partition, self.arguments.records, PARTITIONS)]
            if values == wanted:
                continue
            failed = True
            counts = collections.Counter(values)
            twice = [v for v, n in counts.items() if n > 1][:5]
            lost = [v for v in wanted if v not in counts][:5]
            print(f"partition {partition}: {len(values)} of {len(wanted)} records; twice: {twice}; "
                  f"lost: {lost}; order kept: {values == sorted(values, key=wanted.index)}")
        print(f"{self.arguments.records} records; reached: {dict(self.reached)}; kills: "
              f"{dict(self.kills)}; starts: {sum(w.starts for w in self.workers)}")
        return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--against", choices=["runnel", "kafka"], default="runnel")
    parser.add_argument("--binary", default=os.environ.get("RUNNEL_BINARY"))
    parser.add_argument("--client", choices=["librdkafka", "java"], default="librdkafka")
    parser.add_argument("--records", type=int, default=1500)
    parser.add_argument("--chance", type=float, default=0.06, help="of a kill at a step")
    parser.add_argument("--seconds", type=int, default=400, help="at most")
    parser.add_argument("--config", action="append", default=[], metavar="K=V",
                        help="a config of both topics; repeatable")
    arguments = parser.parse_args()
    if arguments.against == "runnel" and not arguments.binary:
        parser.error("which broker? Give --binary build/runnel or set RUNNEL_BINARY")
    missing = suites.DebianPythonSuite("librdkafka").missing()
    command = [PYTHON, str(HERE / "transform.py")]
    if not missing and arguments.client == "java":
        suite = suites.JavaSuite("exactly-once", brokers.KAFKA_VERSION)
        missing = suite.missing()
        if not missing:
            subprocess.run(["javac", "-nowarn", "-d", str(suite.folder()), "-cp",
                            f"{suite.jars()}/*", str(HERE / "Transform.java")], check=True)
            command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp",
                       f"{suite.folder()}:{suite.jars()}/*", "Transform"]
    if missing:
        print(f"skipped: {missing}")
        return SKIPPED
    if importlib.util.find_spec("confluent_kafka") is None:  # another Python than Debian's
        os.execv(PYTHON, [PYTHON, "-B", *sys.argv])
    return Run(arguments, command, kafka_client()).run()


if __name__ == "__main__":
    sys.exit(main())
