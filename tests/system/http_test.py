#!/usr/bin/env python3
"""HTTP on the real binary: curl, Prometheus' own check, connections that misbehave.

usage: http_test.py BINARY NET
"""
import io
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import unittest
import xml.etree.ElementTree
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase

JSON = "Content-Type: application/json"


class HttpCase(BrokerCase):
    def curl(self, broker, path, *arguments, expect=200):
        done = subprocess.run(
            ["curl", "-sS", "-w", "\n%{http_code}", *arguments, f"http://{broker.address}{path}"],
            text=True, capture_output=True, check=True, timeout=PATIENCE_SECONDS)
        body, status = done.stdout.rsplit("\n", 1)
        self.assertEqual(int(status), expect, body)
        return body

    def json(self, broker, path, *arguments, expect=200):
        return json.loads(self.curl(broker, path, *arguments, expect=expect))

    def connect(self, broker):
        host, port = broker.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), PATIENCE_SECONDS)
        self.addCleanup(connection.close)
        return connection

    def topic(self, broker, name="orders", partitions=2):
        self.json(broker, "/api/v1/topics", "-H", JSON, "-d",
                  json.dumps({"name": name, "partitions": partitions}), expect=201)

    def append(self, broker, record, topic="orders"):
        answer = self.json(broker, f"/api/v1/topics/{topic}/records", "-H", JSON, "-d",
                           json.dumps(record))
        return answer["records"]

    def test_all_protocols_see_the_same_records(self):
        broker = self.start()
        self.topic(broker)
        self.append(broker, {"key": "a", "text": "by curl", "partition": 0})
        broker.out("produce", "orders", "-p", "0", text="by runnel\n")
        self.assertEqual(broker.out("consume", "orders", "-e"), "by curl\nby runnel\n")
        records = self.json(broker, "/api/v1/topics/orders/records")["records"]
        self.assertEqual([r["text"] for r in records], ["by curl", "by runnel"])

    def test_acknowledged_records_survive_kill_9(self):
        broker = self.start()
        self.topic(broker)
        placed = [self.append(broker, {"value": i})[0] for i in range(50)]
        broker.stop(signal.SIGKILL)
        again = self.start(directory=broker.directory)
        page = self.json(again, "/api/v1/topics/orders/records?limit=1000")
        self.assertEqual(sorted((r["partition"], r["offset"]) for r in page["records"]),
                         sorted((p["partition"], p["offset"]) for p in placed))

    def test_the_console_is_kept_and_nothing_inline_runs(self):
        broker = self.start()
        page = self.curl(broker, "/", "-i")
        self.assertIn("\nCache-Control: no-cache", page)
        self.assertIn("script-src 'self'; style-src 'self'", page)
        self.assertIn("frame-ancestors 'none'", page)
        self.assertNotRegex(page, r"<script>|style=|\son\w+=")
        files = set(re.findall(r"/console/[0-9a-f]{16}/[\w.]+", page))
        self.assertGreaterEqual({file.rsplit(".")[-1] for file in files}, {"js", "css", "svg"})
        for file in files:
            plain = self.curl(broker, file, "-i")
            self.assertIn("\nCache-Control: public, max-age=31536000, immutable", plain)
            self.assertNotIn("Content-Encoding", plain)
            # curl unpacks it.
            self.assertEqual(self.curl(broker, file, "--compressed"), self.curl(broker, file))
        self.curl(broker, re.sub("[0-9a-f]{16}", "0" * 16, min(files)), expect=404)

    def test_the_broker_tells_what_it_was_started_with(self):
        broker = self.start("--max-connections", "77")
        told = self.json(broker, "/api/v1/broker")
        self.assertEqual(told["version"], broker.out("--version").strip())
        settings = {setting["name"]: setting for setting in told["settings"]}
        self.assertEqual(settings["max-connections"]["value"], "77")
        self.assertEqual(settings["max-connections"]["source"], "--max-connections")
        self.assertEqual(settings["segment-bytes"]["source"], "default")
        self.assertTrue(settings["segment-bytes"]["text"])

    def test_a_large_body_with_expect(self):
        broker = self.start()
        self.topic(broker)
        lines = "".join(json.dumps({"text": "x" * 1000, "partition": 0}) + "\n"
                        for _ in range(5000))
        path = pathlib.Path(self.directory()) / "lines"
        path.write_text(lines, encoding="utf-8")
        answer = self.json(broker, "/api/v1/topics/orders/records", "-H",
                           "Content-Type: application/x-ndjson", "-H", "Expect: 100-continue",
                           "--data-binary", f"@{path}")
        self.assertEqual(answer["records"][-1]["offset"], 4999)

    def test_ten_gigabytes_announced_cost_nothing(self):
        broker = self.start()
        self.topic(broker)
        connections = []
        for _ in range(50):
            connection = self.connect(broker)
            connection.sendall(b"POST /api/v1/topics/orders/records HTTP/1.1\r\nHost: localhost\r\n"
                               b"Content-Type: application/json\r\n"
                               b"Content-Length: 10000000000\r\n\r\n[")
            connections.append(connection)
        for connection in connections:
            self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 413 "))
        self.assertEqual(len(self.append(broker, {"value": 1})), 1)

    def test_events_go_on_after_a_restart(self):
        broker = self.start()
        self.topic(broker, partitions=1)
        self.append(broker, {"value": 1})
        lines, last = self.events(broker, "?from=start", 1)
        self.assertEqual(json.loads(lines[0])["value"], 1)
        broker.stop(signal.SIGKILL)
        again = self.start(directory=broker.directory)
        waiting = threading.Thread(target=lambda: self.append(again, [{"value": 2}, {"value": 3}]))
        waiting.start()
        lines, _ = self.events(again, "", 2, "-H", f"Last-Event-ID: {last}")
        waiting.join()
        self.assertEqual([json.loads(line)["value"] for line in lines], [2, 3])

    def events(self, broker, query, count, *arguments):
        """The data of the first `count` events, and the id of the last one."""
        process = subprocess.Popen(
            ["curl", "-sSN", *arguments, f"http://{broker.address}/api/v1/topics/orders/events{query}"],
            text=True, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        data, last = [], ""
        for line in process.stdout:
            if line.startswith("id: "):
                last = line[4:].strip()
            if line.startswith("data: "):
                data.append(line[6:])
            if len(data) == count:
                break
        return data, last

    def report(self, broker):
        """A broker's path to a report of money by day, with what rounding could spoil."""
        self.topic(broker, "gifts", 1)
        for statement in (
                "CREATE SOURCE gifts (name VARCHAR, amount DECIMAL(30,2), at TIMESTAMPTZ) "
                "ON TOPIC 'gifts'",
                "CREATE MATERIALIZED VIEW daily WITH (time_zone = 'Europe/Paris') AS "
                "SELECT name, window_start, sum(amount) AS total "
                "FROM TUMBLE(gifts, at, INTERVAL '1 day') GROUP BY name, window_start"):
            self.curl(broker, "/api/v1/sql", "-H", "Content-Type: application/sql", "-d", statement)
        at = "2026-03-28T23:15:00Z"
        given = [("=1+1", "0.10"), ("ann", "0.20"), ("ann", "9007199254740.79"),
                 ("max", "12345678901234567.89"), ("\u00e9t\u00e9 <&>", "-1.05")]
        self.json(broker, "/api/v1/topics/gifts/records?as=values&acks=applied", "-H", JSON, "-d",
                  json.dumps([{"name": n, "amount": a, "at": at} for n, a in given]))
        return f"http://{broker.address}/api/v1/views/daily/report?from=2026-03-01"

    def test_a_workbook_has_exact_numbers(self):
        url = self.report(self.start())
        done = subprocess.run(["curl", "-sSf", f"{url}&format=xlsx"], capture_output=True,
                              check=True, timeout=PATIENCE_SECONDS)
        with zipfile.ZipFile(io.BytesIO(done.stdout)) as book:
            self.assertIsNone(book.testzip())
            sheet = xml.etree.ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
            styles = book.read("xl/styles.xml").decode()
        space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
        rows = {}
        for row in sheet.iter(f"{space}row"):
            cells = list(row.iter(f"{space}c"))
            texts = ["".join(cell.itertext()) for cell in cells]
            rows[texts[0]] = [(cell.get("t"), text) for cell, text in zip(cells, texts)]
        self.assertEqual([text for _, text in rows["name"]],
                         ["name", "window_start (Europe/Paris)", "total"])
        # Numbers are numbers, to the cent; what no number of a spreadsheet can hold is a text.
        self.assertEqual(rows["ann"][2], (None, "9007199254740.99"))
        self.assertEqual(rows["\u00e9t\u00e9 <&>"][2], (None, "-1.05"))
        self.assertEqual(rows["max"][2], ("inlineStr", "12345678901234567.89"))
        # 29 March 2026, midnight in Paris; and a text that is no formula.
        self.assertEqual(rows["ann"][1], (None, "46110"))
        self.assertEqual(rows["=1+1"][0], ("inlineStr", "=1+1"))
        self.assertIn('formatCode="0.00"', styles)

    def test_a_report_can_be_printed(self):
        chromium = shutil.which("chromium")
        if chromium is None:
            self.skipTest("chromium is not installed")
        url = self.report(self.start())
        printed = pathlib.Path(self.directory()) / "report.pdf"
        subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu",
                        f"--user-data-dir={printed.parent}/profile",
                        f"--print-to-pdf={printed}", f"{url}&format=html"],
                       capture_output=True, check=True, timeout=2 * PATIENCE_SECONDS)
        content = printed.read_bytes()
        self.assertTrue(content.startswith(b"%PDF-"))
        self.assertGreater(len(content), 5000)  # not an empty page

    def test_a_shutdown_tells_who_listens(self):
        broker = self.start()
        self.topic(broker)
        connection = self.connect(broker)
        connection.sendall(b"GET /api/v1/topics/orders/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while b": begins" not in received:
            received += connection.recv(4096)
        self.assertEqual(broker.stop(), 0)
        while True:
            more = connection.recv(4096)
            if not more:
                break
            received += more
        self.assertIn(b"event: end", received)
        self.assertIn(b"urn:runnel:problem:shutting_down", received)

    def test_half_closed_connections_are_answered(self):
        broker = self.start()
        connection = self.connect(broker)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while True:
            more = connection.recv(4096)
            if not more:
                break
            received += more
        self.assertEqual(received.count(b"HTTP/1.1 200 OK"), 3)

    def test_hosts_and_origins(self):
        broker = self.start("--http-host", "broker.example", "--http-origin",
                            "https://reports.example")
        self.curl(broker, "/livez", "-H", "Host: broker.example:9092")
        self.curl(broker, "/livez", "-H", "Host: evil.example", expect=421)
        self.curl(broker, "/livez", "-H", "Origin: https://evil.example", expect=403)
        self.curl(broker, "/livez", "-H", "Origin: https://reports.example")

    def test_prometheus_takes_the_metrics(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool is not installed (Debian's prometheus)")
        broker = self.start()
        self.topic(broker)
        self.append(broker, {"value": 1})
        self.json(broker, "/api/v1/groups/readers/offsets", "-X", "PUT", "-H", JSON, "-d",
                  '{"offsets":[{"topic":"orders","to":"start"}]}')
        done = subprocess.run([promtool, "check", "metrics"], text=True, capture_output=True,
                              input=self.curl(broker, "/metrics"), check=False,
                              timeout=PATIENCE_SECONDS)
        # kafka_exporter's own names: a sum that is a gauge.
        found = [line for line in (done.stdout + done.stderr).splitlines()
                 if not line.startswith(("kafka_consumergroup_current_offset_sum non-histogram",
                                         "kafka_consumergroup_lag_sum non-histogram"))]
        self.assertEqual(found, [])


if __name__ == "__main__":
    if shutil.which("curl") is None:
        print("curl is not installed")
        sys.exit(77)
    BrokerCase.binary, BrokerCase.net = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1], verbosity=2)
