#!/usr/bin/env python3
"""/metrics of a real broker, and what reads it: the reference page, the dashboard, the alerts.

usage: metrics_test.py BINARY auto|epoll|io_uring [unittest arguments]
The tests of class Promtool need promtool (Debian's package prometheus) and are skipped without it;
with CI set in the environment they fail instead.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import BrokerCase

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
PAGE = DOCS / "reference/metrics.md"
DASHBOARD = DOCS / "grafana/runnel.json"
ALERTS = DOCS / "grafana/alerts.yml"

VIEW = ("CREATE SOURCE gifts (campaign VARCHAR NOT NULL) ON TOPIC 'donations' FORMAT JSON;"
        "CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS n FROM gifts "
        "GROUP BY campaign;")
FAMILY = re.compile(r"# HELP (\S+) (.*)\n# TYPE \1 (\S+)\n((?:[^#].*\n)*)")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \| (.*) \| (.*) \|$", re.MULTILINE)
# promtool's exit code where a metric reads well and its name does not.
LINTED = 3
METRIC = re.compile(r"\b(?:runnel|kafka)_\w+")


class MetricsCase(BrokerCase):
    def scrape(self):
        """The metrics of a broker on which there is something of everything."""
        broker = self.start()
        broker.out("topic", "create", "donations", "-p", "2")
        broker.out("sql", "-c", VIEW)
        broker.run("produce", "donations", text='{"campaign":"a \\" \\\\ b"}\n')
        broker.out("consume", "donations", "-g", 'bill"ing\\', "-e")
        with urllib.request.urlopen(f"http://{broker.address}/metrics") as answer:
            self.assertEqual(answer.headers["Content-Type"],
                             "text/plain; version=0.0.4; charset=utf-8")
            return answer.read().decode()

    def families(self, text):
        """Name to (help, type, samples); every line belongs to one, and to one alone."""
        found = FAMILY.findall(text)
        self.assertEqual(text, "".join(f"# HELP {name} {said}\n# TYPE {name} {kind}\n{samples}"
                                       for name, said, kind, samples in found))
        names = [name for name, _, _, _ in found]
        self.assertEqual(len(names), len(set(names)))
        return {name: (said, kind, samples) for name, said, kind, samples in found}


class Metrics(MetricsCase):
    def test_the_page_has_every_metric_as_it_is(self):
        families = self.families(self.scrape())
        rows = {row[0]: row[1:] for row in ROW.findall(PAGE.read_text(encoding="utf-8"))}
        self.assertEqual(sorted(families), sorted(rows))
        for name, (said, kind, samples) in families.items():
            with self.subTest(name):
                self.assertTrue(samples, "nothing on the broker has it")
                labels = {", ".join(sorted(re.findall(r'(\w+)="', line)))
                          for line in samples.splitlines()}
                page_kind, page_labels, page_said, rise = rows[name]
                self.assertEqual((kind, {page_labels}, said), (page_kind, labels, page_said))
                self.assertTrue(rise)

    def test_names_tell_the_kind(self):
        for name, (_, kind, _) in self.families(self.scrape()).items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)

    def test_the_dashboard_and_the_alerts_ask_for_what_there_is(self):
        families = self.families(self.scrape())
        for file in (DASHBOARD, ALERTS):
            asked = set(METRIC.findall(file.read_text(encoding="utf-8")))
            self.assertGreater(len(asked), 10, file)
            self.assertEqual(asked - set(families), set(), file)

    def test_the_dashboard_is_one(self):
        dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        panels = dashboard["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        places = set()
        for panel in panels:
            at = panel["gridPos"]
            covered = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                       for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(covered & places, f"{panel['title']} covers another panel")
            self.assertLessEqual(at["x"] + at["w"], 24)
            places |= covered
            self.assertTrue(panel["type"] == "row" or panel["description"])
        known = {v["name"] for v in dashboard["templating"]["list"]} | {"__rate_interval"}
        for expression in expressions(dashboard):
            self.assertLessEqual(set(re.findall(r"\$(\w+)", expression)), known, expression)


class Promtool(MetricsCase):
    def setUp(self):
        if shutil.which("promtool"):
            return
        if os.environ.get("CI"):
            self.fail("needs promtool (Debian's package prometheus)")
        self.skipTest("needs promtool (Debian's package prometheus)")

    def promtool(self, *arguments, text="", expect=0):
        done = subprocess.run(["promtool", *arguments], input=text, text=True, capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_metrics(self):
        """Nothing but names that kafka_exporter chose is objected to."""
        said = self.promtool("check", "metrics", text=self.scrape(), expect=LINTED)
        self.assertEqual([line.split(" should not have")[0] for line in said.splitlines()],
                         [f"kafka_consumergroup_{of}_sum non-histogram and non-summary metrics"
                          for of in ("current_offset", "lag")])

    def test_alerts(self):
        self.promtool("check", "rules", str(ALERTS))
        self.promtool("test", "rules", str(HERE / "alerts_test.yml"))

    def test_each_alert_is_tested(self):
        alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
        tests = (HERE / "alerts_test.yml").read_text(encoding="utf-8")
        self.assertEqual([name for name in alerts if not re.search(rf"\b{name}\b", tests)], [])

    def test_the_dashboards_expressions(self):
        """As rules, since promtool reads those."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            rules = [{"record": f"panel:{i}", "expr": re.sub(r"\$\w+", "5m", expression)}
                     for i, expression in enumerate(expressions(
                         json.loads(DASHBOARD.read_text(encoding="utf-8"))))]
            self.assertGreater(len(rules), 20)
            # JSON is YAML.
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            self.promtool("check", "rules", file.name)


def expressions(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


if __name__ == "__main__":
    BrokerCase.binary = os.path.abspath(sys.argv[1])
    BrokerCase.net = sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
