#!/usr/bin/env python3
"""The REST proxy and topics that ask for schemas on the real binary, beside a Kafka client.

usage: rest_proxy_test.py BINARY NET
"""
import http.client
import json
import os
import pathlib
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase

SKIPPED = 77
# Debian's packages are modules of its own Python alone.
DEBIAN_PYTHON = "/usr/bin/python3"
V2 = "application/vnd.kafka.v2+json"
JSON_V2 = "application/vnd.kafka.json.v2+json"

try:
    from confluent_kafka import Consumer, Producer
except ImportError:
    if os.path.exists(DEBIAN_PYTHON) and not os.path.samefile(sys.executable, DEBIAN_PYTHON):
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
    print("confluent_kafka is not installed")
    sys.exit(SKIPPED)


class RestProxyCase(BrokerCase):
    def ask(self, broker, method, path, body=None, content_type=V2):
        """(status, the answer's body)."""
        connection = http.client.HTTPConnection(broker.address, timeout=PATIENCE_SECONDS)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def until(self, condition):
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end)

    def test_a_group_has_members_of_both_kinds(self):
        broker = self.start()
        broker.out("topic", "create", "t", "-p", "4")
        kafka = Consumer({"bootstrap.servers": broker.address, "group.id": "g",
                          "auto.offset.reset": "earliest"})
        kafka.subscribe(["t"])
        one = "/consumers/g/instances/one"
        try:
            self.until(lambda: kafka.poll(0.1) is None and kafka.assignment())
            self.ask(broker, "POST", "/consumers/g",
                     {"name": "one", "format": "json", "auto.offset.reset": "earliest"})
            status, text = self.ask(broker, "POST", one + "/subscription", {"topics": ["t"]})
            self.assertEqual(status, 204, text)

            def partitions():
                kafka.poll(0.1)
                return json.loads(self.ask(broker, "GET", one + "/assignments")[1])["partitions"]

            self.until(partitions)
            self.until(lambda: kafka.poll(0.1) is None and len(kafka.assignment()) == 2)
            self.assertEqual(len(partitions()), 2)
            status, text = self.ask(broker, "POST", "/topics/t", {
                "records": [{"key": i, "value": i} for i in range(40)]}, JSON_V2)
            self.assertEqual(status, 200, text)
            values = []

            def read():
                message = kafka.poll(0.1)
                if message is not None:
                    self.assertIsNone(message.error())
                    values.append(int(message.value()))
                status, text = self.ask(broker, "GET", one + "/records?timeout=100")
                self.assertEqual(status, 200, text)
                values.extend(record["value"] for record in json.loads(text))
                return len(values) >= 40

            self.until(read)
            self.assertEqual(sorted(values), list(range(40)))
        finally:
            kafka.close()
        self.assertEqual(self.ask(broker, "DELETE", one)[0], 204)

    def test_a_kafka_client_is_told_that_its_record_has_no_schema(self):
        broker = self.start()
        broker.out("topic", "create", "strict", "--config",
                   "confluent.value.schema.validation=true")
        status, text = self.ask(broker, "POST", "/subjects/strict-value/versions",
                                {"schemaType": "JSON", "schema": json.dumps({"type": "integer"})},
                                "application/json")
        self.assertEqual(status, 200, text)
        schema = struct.pack(">bi", 0, json.loads(text)["id"])
        told = []
        producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True,
                             "compression.type": "zstd"})
        for i in range(50):
            producer.produce("strict", schema + str(i).encode(),
                             on_delivery=lambda error, _: told.append(error))
        self.assertEqual(producer.flush(PATIENCE_SECONDS), 0)
        self.assertEqual(told, [None] * 50)
        told.clear()
        for value in [b"plain", schema + b'"five"']:
            producer.produce("strict", value, on_delivery=lambda error, _: told.append(error))
            self.assertEqual(producer.flush(PATIENCE_SECONDS), 0)
        self.assertEqual([error.name() for error in told], ["INVALID_RECORD"] * 2)
        end = json.loads(self.ask(broker, "GET", "/topics/strict/partitions/0/offsets")[1])
        self.assertEqual(end["end_offset"], 50)


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1], verbosity=2)
