"""Members of a consumer group with confluent-kafka, many in one process.

usage: members.py BOOTSTRAP GROUP TOPIC classic|consumer COUNT SESSION_MS HEARTBEAT_MS

One JSON line tells whenever a member's assignment, id or generation is another than before
({"member", "id", "generation", "partitions", "at"}, generation null where the client hides it),
and for each record that was read and whose offset was committed ({"member", "partition", "value"}).
The end of standard input ends it without a farewell.
"""
import json
import os
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException

OUTPUT = threading.Lock()
STALE_MEMBER_EPOCH = 113
COMMIT_TRIES = 50
COMMIT_PAUSE_SECONDS = 0.1


def tell(**line):
    with OUTPUT:
        print(json.dumps(line), flush=True)


class Member:
    def __init__(self, number, bootstrap, group, topic, protocol, session_ms, heartbeat_ms):
        self.number = number
        config = {"bootstrap.servers": bootstrap, "group.id": group, "client.id": f"m{number}",
                  "auto.offset.reset": "earliest", "enable.auto.commit": False,
                  "fetch.wait.max.ms": 100, "group.protocol": protocol}
        if protocol == "classic":
            config |= {"session.timeout.ms": session_ms, "heartbeat.interval.ms": heartbeat_ms}
        self.consumer = Consumer(config)
        self.consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked,
                                on_lost=self.revoked)
        self.partitions = set()

    def assigned(self, _, partitions):
        self.partitions |= {p.partition for p in partitions}
        self.state()

    def revoked(self, _, partitions):
        self.partitions -= {p.partition for p in partitions}
        self.state()

    def state(self):
        tell(member=self.number, id=self.consumer.memberid(), generation=None,
             partitions=sorted(self.partitions), at=time.time())

    def commit(self, message):
        """Again while the member does not know its newest epoch yet: its next heartbeat tells."""
        for left in reversed(range(COMMIT_TRIES)):
            try:
                self.consumer.commit(message, asynchronous=False)
                return True
            except KafkaException as error:
                if error.args[0].code() != STALE_MEMBER_EPOCH or left == 0:
                    tell(member=self.number, error=f"commit: {error}")
                    return False
                time.sleep(COMMIT_PAUSE_SECONDS)
        return False

    def run(self):
        while True:
            message = self.consumer.poll(0.2)
            if message is None or message.error():
                continue
            if not self.commit(message):
                continue
            tell(member=self.number, partition=message.partition(),
                 value=message.value().decode())


def main():
    bootstrap, group, topic, protocol, count, session_ms, heartbeat_ms = sys.argv[1:]
    for i in range(int(count)):
        member = Member(i, bootstrap, group, topic, protocol, int(session_ms), int(heartbeat_ms))
        threading.Thread(target=member.run, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
