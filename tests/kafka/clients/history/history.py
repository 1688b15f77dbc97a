"""Numbered records with confluent-kafka: one writer or one reader.

usage: history.py write BOOTSTRAP TOPIC PARTITIONS WRITER idempotent|transactional
       history.py read BOOTSTRAP TOPIC GROUP read_committed|read_uncommitted

A value is "WRITER:NUMBER:" and letters that follow from the number, so that a torn one is seen.
idempotent: number n goes to partition n % PARTITIONS. transactional: transaction t has the numbers
from t * 6 on, the i-th of them in partition (t + i) % PARTITIONS; each fifth is aborted.
The end of standard input stops a writer; its last line is {"written": COUNT} or
{"committed": [T...], "unknown": [T...]}, where unknown ones may be there as a whole or not at all.
A reader prints [PARTITION, OFFSET, "WRITER:NUMBER"] for each record. {"error": ...} is what must
not happen.
"""
import json
import os
import sys
import threading

from confluent_kafka import Consumer, KafkaException, Producer

BURST = 10
PAUSE_SECONDS = 0.05
RECORDS = 6
ABORT_EACH = 5
PATIENCE_SECONDS = 120


def tell(line):
    print(json.dumps(line), flush=True)


def value_of(writer, number):
    return f"{writer}:{number}:" + chr(97 + number % 26) * (number * 37 % 1000)


class Writer:
    def __init__(self, bootstrap, topic, partitions, writer, mode):
        self.topic, self.partitions, self.writer = topic, int(partitions), writer
        self.transactional = mode == "transactional"
        config = {"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True,
                  "message.timeout.ms": 1000 * PATIENCE_SECONDS}
        if self.transactional:
            config |= {"transactional.id": f"history-{writer}",
                       "transaction.timeout.ms": 1000 * PATIENCE_SECONDS}
        self.producer = Producer(config)
        self.stopped = threading.Event()
        threading.Thread(target=self.wait_for_the_end, daemon=True).start()

    def wait_for_the_end(self):
        sys.stdin.read()
        self.stopped.set()

    def delivered(self, error, _):
        if error and not self.transactional:
            tell({"error": f"delivery: {error}"})

    def send(self, number, partition):
        self.producer.produce(self.topic, value_of(self.writer, number), partition=partition,
                              on_delivery=self.delivered)

    def run(self):
        number = 0
        while not self.stopped.is_set():
            for _ in range(BURST):
                self.send(number, number % self.partitions)
                number += 1
            self.producer.poll(0)
            self.stopped.wait(PAUSE_SECONDS)
        if self.producer.flush(PATIENCE_SECONDS):
            tell({"error": "not everything was delivered"})
        tell({"written": number})

    def run_transactions(self):
        self.again(lambda: self.producer.init_transactions(PATIENCE_SECONDS))
        committed, transaction = [], 0
        while not self.stopped.is_set():
            if self.transact(transaction):
                committed.append(transaction)
            transaction += 1
            self.stopped.wait(PAUSE_SECONDS)
        tell({"committed": committed, "unknown": []})

    def transact(self, transaction):
        """Whether it was committed."""
        self.producer.begin_transaction()
        for i in range(RECORDS):
            self.send(RECORDS * transaction + i, (transaction + i) % self.partitions)
        if transaction % ABORT_EACH != ABORT_EACH - 1:
            try:
                self.again(lambda: self.producer.commit_transaction(PATIENCE_SECONDS))
                return True
            except KafkaException as error:
                if not error.args[0].txn_requires_abort():
                    raise
        self.again(lambda: self.producer.abort_transaction(PATIENCE_SECONDS))
        return False

    @staticmethod
    def again(step):
        """What the library calls retriable is to be called again; the outcome is the same."""
        while True:
            try:
                return step()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise


def read(bootstrap, topic, group, isolation):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group,
                         "auto.offset.reset": "earliest", "isolation.level": isolation,
                         "session.timeout.ms": 30000, "auto.commit.interval.ms": 500,
                         "fetch.wait.max.ms": 100})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        text = message.value().decode()
        writer, number, _ = text.split(":")
        if text != value_of(writer, int(number)):
            tell({"error": f"torn at {message.partition()}/{message.offset()}: {text[:80]}"})
        tell([message.partition(), message.offset(), f"{writer}:{number}"])


def main():
    if sys.argv[1] == "read":
        threading.Thread(target=read, args=sys.argv[2:], daemon=True).start()
        sys.stdin.read()
        os._exit(0)
    writer = Writer(*sys.argv[2:])
    try:
        writer.run_transactions() if writer.transactional else writer.run()
    except KafkaException as error:
        tell({"error": str(error)})
    os._exit(0)


if __name__ == "__main__":
    main()
