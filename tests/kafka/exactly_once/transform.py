"""A consume-transform-produce loop that waits between its steps; run.py says what they are for."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

MOST_AT_ONCE = 20
PATIENCE_SECONDS = 30


def step(name):
    print(name, flush=True)
    if not sys.stdin.readline():
        sys.exit(1)


def main():
    bootstrap, source, target, name = sys.argv[1:]
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name,
                         "transaction.timeout.ms": 10_000, "linger.ms": 0,
                         "reconnect.backoff.max.ms": 200})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "transform",
                         "group.instance.id": name, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed",
                         "session.timeout.ms": 6000, "fetch.wait.max.ms": 50,
                         "reconnect.backoff.max.ms": 200})
    producer.init_transactions(PATIENCE_SECONDS)
    step("started")
    consumer.subscribe([source])
    while True:
        records = [r for r in consumer.consume(MOST_AT_ONCE, 0.2) if not r.error()]
        if not records:
            step("idle")
            continue
        producer.begin_transaction()
        errors = []
        for record in records:
            producer.produce(target, record.value(), partition=record.partition(),
                             on_delivery=lambda error, _: error and errors.append(error))
        step("sent")
        producer.flush(PATIENCE_SECONDS)
        if errors:
            sys.exit(f"not delivered: {errors[0]}")
        step("produced")
        positions = {r.partition(): r.offset() + 1 for r in records}
        producer.send_offsets_to_transaction(
            [TopicPartition(source, p, o) for p, o in positions.items()],
            consumer.consumer_group_metadata(), PATIENCE_SECONDS)
        step("offsets")
        producer.commit_transaction(PATIENCE_SECONDS)
        step("committed")


if __name__ == "__main__":
    main()
