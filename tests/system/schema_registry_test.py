#!/usr/bin/env python3
"""The schema registry on the real binary: what was answered stays, and the topic carries all of it.

usage: schema_registry_test.py BINARY NET
"""
import http.client
import json
import pathlib
import signal
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase

REGISTRY = "application/vnd.schemaregistry.v1+json"


class SchemaRegistryCase(BrokerCase):
    def ask(self, broker, method, path, body=None, content_type=REGISTRY):
        """(status, the answer's body)."""
        connection = http.client.HTTPConnection(broker.address, timeout=PATIENCE_SECONDS)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def json(self, broker, method, path, body=None):
        status, text = self.ask(broker, method, path, None if body is None else json.dumps(body))
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def register(self, broker, subject, schema):
        return self.json(broker, "POST", f"/subjects/{subject}/versions",
                         {"schemaType": "JSON", "schema": json.dumps(schema)})["id"]

    def test_what_was_answered_survives_kill_9(self):
        broker = self.start()
        answered = {}
        enough = threading.Event()

        def work(worker):
            for i in range(10_000):
                subject = f"s-{worker}-{i}"
                try:
                    answered[subject] = self.register(broker, subject, {"title": subject})
                except (OSError, http.client.HTTPException):
                    return
                if len(answered) >= 60:
                    enough.set()

        workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        self.assertTrue(enough.wait(PATIENCE_SECONDS))
        broker.stop(signal.SIGKILL)
        for worker in workers:
            worker.join()
        self.assertEqual(len(set(answered.values())), len(answered))
        again = self.start(directory=broker.directory)
        for subject, given in answered.items():
            found = self.json(again, "GET", f"/subjects/{subject}/versions/latest")
            self.assertEqual((found["id"], json.loads(found["schema"])),
                             (given, {"title": subject}))
        self.assertGreater(self.register(again, "new", {"title": "new"}), max(answered.values()))

    def test_the_topic_carries_the_registry(self):
        first, second = self.start(), self.start()
        self.register(first, "a", {"type": "integer"})
        self.register(first, "a", {"type": "number"})
        self.register(first, "b", {"type": "null"})
        self.json(first, "PUT", "/config/a", {"compatibility": "FULL"})
        self.json(first, "DELETE", "/subjects/b")
        status, records = self.ask(first, "GET", "/api/v1/topics/_schemas/records?limit=1000")
        self.assertEqual(status, 200)
        # A broker that has been asked before, so that it follows rather than begins with it.
        self.assertEqual(self.json(second, "GET", "/subjects"), [])
        second.out("topic", "create", "_schemas", "-c", "cleanup.policy=compact")
        page = json.dumps(json.loads(records)["records"])
        status, text = self.ask(second, "POST", "/api/v1/topics/_schemas/records", page,
                                "application/json")
        self.assertEqual(status, 200, text)
        for path in ("/schemas?deleted=true", "/config/a", "/subjects", "/schemas/ids/3"):
            self.assertEqual(self.json(second, "GET", path), self.json(first, "GET", path), path)
        self.assertEqual(self.register(second, "c", {"type": "array"}), 4)


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1], verbosity=2)
