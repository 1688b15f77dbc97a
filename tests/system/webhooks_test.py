#!/usr/bin/env python3
"""Webhooks between real brokers: what one sends the other receives, each record once and the records
of a key in order, whatever is killed in between; and whom a broker does not call.

usage: webhooks_test.py BINARY NET
"""
import http.server
import json
import pathlib
import signal
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase, start_and_fail

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


class Authority:
    """Certifies receivers."""

    def __init__(self, directory):
        self.directory = directory
        self.file = directory / "ca.pem"
        self.key = directory / "ca.key"
        self.count = 0
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                     "/CN=authority of a test", "-keyout", self.key, "-out", self.file)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def certify(self, name):
        """A server's side of TLS."""
        self.count += 1
        key, request, certificate, more = (
            self.directory / f"{self.count}.{kind}" for kind in ("key", "csr", "pem", "ext"))
        more.write_text(f"subjectAltName={name}\n", encoding="ascii")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=receiver", "-keyout", key,
                     "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key,
                     "-CAcreateserial", "-days", "2", "-extfile", more, "-out", certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


class Refusing(http.server.ThreadingHTTPServer):
    """Answers 503 until it is told otherwise."""

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), RefusingHandler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True,
                                          do_handshake_on_connect=False)
        self.status = 503
        self.bodies = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Who does not trust the certificate goes away: that is the test's, not an error here."""


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

    def test_https_by_authorities_that_are_known(self):
        directory = pathlib.Path(self.directory())
        authority = Authority(directory)
        server = Refusing(authority.certify("IP:127.0.0.1"))
        other = Refusing(authority.certify("DNS:other.example"))
        for each in (server, other):
            each.status = 200
            self.addCleanup(each.server_close)
            self.addCleanup(each.shutdown)

        def sends(port, *arguments):
            broker = self.start("--webhook-allow", "127.0.0.1", *arguments)
            ask(broker, "POST", "/api/v1/topics", {"name": "orders", "partitions": 1})
            ask(broker, "PUT", "/api/v1/webhooks/out", {
                "topic": "orders", "url": f"https://127.0.0.1:{port}/", "body": "value"})
            broker.out("produce", "orders", text="first\n")
            return lambda: ask(broker, "GET", "/api/v1/webhooks/out")

        known = ("--webhook-ca", str(authority.file))
        shown = sends(server.server_port, *known)
        self.wait_for(lambda: shown()["counts"]["delivered"] == 1)
        self.assertEqual(server.bodies, [(200, b"first")])
        for port, arguments, why in ((server.server_port, (), "certificate"),
                                     (other.server_port, known, "IP address mismatch")):
            shown = sends(port, *arguments)
            self.wait_for(lambda shown=shown: shown()["last_error"])
            error = shown()["last_error"]
            self.assertIn("its certificate is not trusted: ", error)
            self.assertIn(why, error)
            self.assertIn("webhook-ca", error)
        self.assertEqual(len(server.bodies) + len(other.bodies), 1, "nothing else was sent")

    def test_a_file_without_authorities_is_refused_at_the_start(self):
        path = pathlib.Path(self.directory()) / "none.pem"
        for content, why in ((None, "none.pem"), ("hello", "there is no certificate in it")):
            if content is not None:
                path.write_text(content, encoding="ascii")
            code, error = start_and_fail(self.binary, "serve", "--webhook-ca", str(path),
                                         "--data", str(path.parent / "data"))
            self.assertNotEqual(code, 0)
            self.assertIn(why, error)
            self.assertIn("webhook-ca", error)

    def test_the_command_line(self):
        server = Refusing()
        server.status = 200
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        broker = self.start("--webhook-allow", "127.0.0.1")
        broker.out("topic", "create", "orders")
        broker.out("produce", "orders", text='{"id":1}\n{"id":20}\n')
        secrets = pathlib.Path(self.directory()) / "secrets"
        secrets.write_text(f"{SECRET}\n\n", encoding="ascii")
        url = f"http://127.0.0.1:{server.server_port}/in"
        made = broker.out("hook", "create", "shop", "--topic", "orders", "--url", url, "--from",
                          "start", "--where", ".id>=10", "--template", "id ${/id}", "--content-type",
                          "text/plain", "--max-attempts", "3", "--timeout-ms", "5000",
                          "--secret-file", str(secrets))
        self.assertEqual(made, f"webhook shop sends orders to {url}\n")

        def shown():
            return json.loads(broker.out("hook", "describe", "shop", "-o", "json"))

        self.wait_for(lambda: shown()["counts"]["delivered"] == 1)
        self.assertEqual(server.bodies, [(200, b"id 20")])
        webhook = shown()
        self.assertEqual(
            [webhook[name] for name in ("filter", "body", "template", "content_type",
                                        "max_attempts", "timeout_ms", "secret_count")],
            [[".id>=10"], "template", "id ${/id}", "text/plain", 3, 5000, 1])
        self.assertNotIn(SECRET, broker.out("hook", "list", "-o", "json"))
        self.assertEqual(json.loads(broker.out("hook", "list", "-o", "json"))[0]["name"], "shop")
        self.assertEqual(broker.out("hook", "list").split(),
                         ["NAME", "TOPIC", "STATE", "BEHIND", "DELIVERED", "DEAD", "URL",
                          "shop", "orders", "running", "0", "1", "0", url])
        self.assertEqual(broker.out("hook", "pause", "shop"), "paused webhook shop\n")
        text = broker.out("hook", "describe", "shop")
        self.assertRegex(text, r"(?m)^state +paused$")
        self.assertRegex(text, r"PARTITION +NEXT +BEHIND +LOST\n +0 +2 +0 +0\n")
        broker.out("hook", "replay", "shop", "--from", "start")
        self.assertEqual(broker.out("hook", "resume", "shop"), "resumed webhook shop\n")
        self.wait_for(lambda: shown()["counts"]["delivered"] == 2)
        broker.out("hook", "delete", "shop")
        self.assertEqual(broker.out("hook", "list").count("\n"), 1)
        for arguments, code, why in (
                (("describe", "shop"), 5, "there is no webhook 'shop'"),
                (("create", "shop", "--topic", "orders", "--url", "ftp://a"), 2, "https://"),
                (("create", "shop", "--topic", "none", "--url", url), 5, "none"),
                (("create", "shop", "--view", "none", "--url", url), 5, "there is no view 'none'"),
                (("create", "shop", "--url", url), 2, "--topic TOPIC or --view VIEW"),
                (("create", "shop", "--topic", "orders", "--url", url, "--secret-file", "/none"), 5,
                 "/none"),
                (("list", "-b", "127.0.0.1:1"), 4, "runnel serve")):
            self.assertIn(why, broker.run("hook", *arguments, expect=code).stderr)

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
