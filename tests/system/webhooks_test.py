#!/usr/bin/env python3
"""Webhooks between real brokers: what one sends the other receives, each record once and the records
of a key in order, whatever is killed in between; and whom a broker does not call.

usage: webhooks_test.py BINARY NET
"""
import http.server
import json
import pathlib
import signal
import sys
import threading
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECORDS = 400
KEYS = 7


def ask(broker, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{broker.address}{path}", data, method=method,
                                     headers={"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class Refusing(http.server.ThreadingHTTPServer):
    """Answers 503 until it is told otherwise."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RefusingHandler)
        self.status = 503
        self.bodies = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class RefusingHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # the name that http.server asks for
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.server.status, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class WebhooksTest(BrokerCase):
    def copies(self, broker):
        page = ask(broker, "GET", "/api/v1/topics/copy/records?limit=10000")
        return page["records"]

    def test_each_once_and_in_order_although_the_sender_is_killed(self):
        receiver = self.start()
        ask(receiver, "POST", "/api/v1/topics", {"name": "copy", "partitions": 1})
        ask(receiver, "PUT", "/api/v1/hooks/in", {
            "topic": "copy", "signature": "standard", "secrets": [SECRET], "key": "/key",
            "dedup": "header:webhook-id"})
        directory = self.directory()
        arguments = ("--webhook-allow", "127.0.0.0/8")
        sender = self.start(*arguments, directory=directory)
        ask(sender, "POST", "/api/v1/topics", {"name": "orders", "partitions": 3})
        ask(sender, "PUT", "/api/v1/webhooks/out", {
            "topic": "orders", "url": f"http://{receiver.address}/hooks/in", "secrets": [SECRET],
            "from": "start"})
        records = [{"key": f"k{i % KEYS}", "value": i} for i in range(RECORDS)]
        ask(sender, "POST", "/api/v1/topics/orders/records", records)
        for share in (3, 2):
            self.wait_for(lambda share=share: len(self.copies(receiver)) > RECORDS // (share + 1))
            sender.stop(signal.SIGKILL)
            sender = self.start(*arguments, directory=directory)
        self.wait_for(lambda: len(self.copies(receiver)) >= RECORDS)
        self.wait_for(lambda: [place["behind"] for place in
                               ask(sender, "GET", "/api/v1/webhooks/out")["places"]] == [0] * 3)
        copies = self.copies(receiver)
        self.assertEqual(len(copies), RECORDS, "each once")
        for key in {record["key"] for record in records}:
            self.assertEqual([c["value"]["value"] for c in copies if c["key"] == key],
                             [r["value"] for r in records if r["key"] == key])
        counts = ask(receiver, "GET", "/api/v1/hooks/in")["counts"]
        self.assertEqual((counts["stored"], counts["refused"], counts["failed"]), (RECORDS, 0, 0))

    def test_a_receiver_that_refuses_gets_it_later(self):
        server = Refusing()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        broker = self.start("--webhook-allow", "127.0.0.1")
        ask(broker, "POST", "/api/v1/topics", {"name": "orders", "partitions": 1})
        ask(broker, "PUT", "/api/v1/webhooks/out", {
            "topic": "orders", "url": f"http://127.0.0.1:{server.server_port}/", "body": "value"})
        broker.out("produce", "orders", text="first\n")
        self.wait_for(lambda: server.bodies)
        server.status = 200
        self.wait_for(lambda: (200, b"first") in server.bodies)
        self.wait_for(lambda: ask(broker, "GET", "/api/v1/webhooks/out")["counts"]["delivered"] == 1)
        self.assertEqual(server.bodies[0], (503, b"first"))

    def test_its_own_network_is_not_called(self):
        server = Refusing()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        broker = self.start()
        ask(broker, "POST", "/api/v1/topics", {"name": "orders", "partitions": 1})
        ask(broker, "PUT", "/api/v1/webhooks/out", {
            "topic": "orders", "url": f"http://localhost:{server.server_port}/"})
        broker.out("produce", "orders", text="first\n")
        self.wait_for(lambda: "webhook-allow" in
                      (ask(broker, "GET", "/api/v1/webhooks/out")["last_error"] or ""))
        self.assertEqual(server.bodies, [])


if __name__ == "__main__":
    BrokerCase.binary, BrokerCase.net = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1])
