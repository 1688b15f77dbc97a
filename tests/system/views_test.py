#!/usr/bin/env python3
"""Materialised views over the real binary: statements, waits, pushed changes, crashes.

usage: views_test.py BINARY auto|epoll|io_uring [unittest arguments]
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, BrokerCase, clean_environment

OK, USAGE, NOT_FOUND, TIMEOUT, REFUSED = 0, 2, 5, 8, 9

SOURCE = ("CREATE SOURCE gifts (campaign VARCHAR NOT NULL, amount DECIMAL(12,2) NOT NULL) "
          "ON TOPIC 'donations' FORMAT JSON;")
TOTALS = ("CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS n, sum(amount) AS total "
          "FROM gifts GROUP BY campaign;")


def gifts(*pairs):
    return "".join(json.dumps({"campaign": c, "amount": a}) + "\n" for c, a in pairs)


class ViewsCase(BrokerCase):
    #: A question without an end.
    ENDLESS = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
               "SELECT count(*) FROM n")

    def start_with_view(self, *arguments):
        broker = self.start(*arguments)
        broker.out("topic", "create", "donations")
        broker.out("sql", "-c", SOURCE + TOTALS)
        return broker

    def give(self, broker, *pairs):
        broker.run("produce", "donations", "--in", "jsonl", text=gifts(*pairs))

    def end(self, broker):
        """The position behind the last record, as --wait takes it."""
        topics = json.loads(broker.out("topic", "describe", "donations", "-o", "json"))
        return f"donations/0:{topics[0]['partitions'][0]['end']}"

    def rows(self, broker, sql="SELECT * FROM totals ORDER BY campaign"):
        text = broker.out("sql", "-o", "ndjson", "--wait", self.end(broker), "-c", sql)
        return [json.loads(line, parse_float=str) for line in text.splitlines()]

    def is_busy(self, broker):
        """Whether somebody else's question is being answered: there is one at a time."""
        done = broker.run("sql", "--timeout", "20ms", "-c", "SELECT * FROM (SELECT 1)", expect=None)
        return done.returncode == TIMEOUT

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline)


class Statements(ViewsCase):
    def test_what_was_written_is_read_in_every_form(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "12.30"), ("owls", "5"), ("sea", "0.01"))
        self.assertEqual(self.rows(broker),
                         [{"campaign": "owls", "n": 1, "total": "5.00"},
                          {"campaign": "sea", "n": 2, "total": "12.31"}])
        query = ("view", "query", "totals", "--order", "total DESC")
        self.assertEqual(broker.out(*query, "-o", "csv"),
                         "campaign,n,total\nsea,2,12.31\nowls,1,5.00\n")
        self.assertEqual(broker.out(*query, "--limit", "1"),
                         "campaign  n  total\n--------  -  -----\nsea       2  12.31\n(1 row)\n")
        self.assertEqual(json.loads(broker.out(*query, "--where", "n = 1", "-o", "json")),
                         [{"campaign": "owls", "n": 1, "total": 5.0}])
        self.assertEqual(broker.out("view", "query", "totals", "--key", "sea", "-o", "csv"),
                         "campaign,n,total\nsea,2,12.31\n")
        broker.run("view", "query", "totals", "--key", "bees", expect=NOT_FOUND)

    def test_scripts_come_from_files_and_pipes_and_stop_at_the_first_error(self):
        broker = self.start()
        broker.out("topic", "create", "donations")
        script = os.path.join(self.directory(), "a.sql")
        pathlib.Path(script).write_text(f"-- a source; and a view\n{SOURCE}\n\n{TOTALS}\n"
                                        "SELECT 1 +\n  nothing;\nDROP MATERIALIZED VIEW totals;\n")
        done = broker.run("sql", "-f", script, expect=USAGE)
        self.assertEqual(done.stdout, "CREATE SOURCE\nCREATE MATERIALIZED VIEW\n")
        self.assertRegex(done.stderr, rf"^runnel: {script}: line 6, column 3: .*nothing.*\n"
                                      r"    nothing\n    \^\n$")
        self.assertEqual(broker.out("sql", text="SELECT count(*) AS n FROM totals"),
                         "n\n-\n0\n(1 row)\n")

    def test_errors_have_codes_and_say_what_to_do(self):
        broker = self.start_with_view()
        for code, words, *command in (
                (USAGE, "campaign", "sql", "-c", "SELECT campain FROM totals"),
                (USAGE, "totals", "sql", "-c", "SELECT * FROM total"),
                (NOT_FOUND, "totals", "view", "subscribe", "total"),
                (NOT_FOUND, "total", "view", "query", "total", "--key", "a"),
                (USAGE, "campaign", "view", "query", "totals", "--key", "a", "--key", "b"),
                (USAGE, "TOPIC/PARTITION:NEXT", "view", "query", "totals", "--wait", "x"),
                (USAGE, "nowhere", "view", "subscribe", "totals", "--where", "nowhere = 1"),
                (TIMEOUT, "in time", "view", "query", "totals", "--wait", "donations/0:9",
                 "--timeout", "50ms"),
                (USAGE, "", "sql", "-c", "SELECT " + "(" * 50_000),
                (USAGE, "", "sql", "-c", "  ;  "),
        ):
            done = broker.run(*command, expect=None)
            self.assertEqual(done.returncode, code, f"{command[:3]}: {done.stderr[:300]}")
            self.assertIn(words, done.stderr)
        self.assertEqual(self.rows(broker), [])


class Crashes(ViewsCase):
    def test_after_kill_9_the_view_goes_on_with_the_right_rows(self):
        broker = self.start_with_view()
        total = 0
        for round_ in range(4):
            cents = range(total, total + 2000)
            feed = "".join(f'{{"campaign":"c{i % 7}","amount":"{i}.01"}}\n' for i in cents)
            broker.run("produce", "donations", "--in", "jsonl", text=feed)
            total += 2000
            broker.stop(signal.SIGKILL)
            broker = self.start(directory=broker.directory)
            rows = self.rows(broker, "SELECT sum(n) AS n, sum(total) AS total FROM totals")
            whole = total * (total - 1) // 2
            self.assertEqual(rows, [{"n": total,
                                     "total": f"{whole + total // 100}.{total % 100:02}"}])
        verified = json.loads(broker.out("view", "verify", "totals", "-o", "json"))
        self.assertEqual(verified[0]["differing"], 0)

    def test_after_kill_9_each_change_is_in_the_changelog_once(self):
        broker = self.start()
        broker.out("topic", "create", "donations")
        broker.out("sql", "-c", SOURCE + TOTALS.replace("AS SELECT", "WITH (changelog_topic = "
                                                        "'changes') AS SELECT", 1))
        given = {}
        for round_ in range(6):
            for i in range(6):
                campaigns = [f"c{(i * k + round_) % 5}" for k in range(1, 30)]
                self.give(broker, *((c, "1") for c in campaigns))
                for campaign in campaigns:
                    given[campaign] = given.get(campaign, 0) + 1
            broker.stop(signal.SIGKILL)
            broker = self.start(directory=broker.directory)
            self.rows(broker)
            counts = {}
            for line in broker.out("consume", "changes", "-e", "-f", "%v\\n").splitlines():
                row = json.loads(line)
                # A count that comes twice or falls back was told twice.
                self.assertGreater(row["n"], counts.get(row["campaign"], 0), f"round {round_}")
                counts[row["campaign"]] = row["n"]
            self.assertEqual(counts, given)

    def test_a_lost_views_directory_is_built_anew(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"), ("sea", "2"))
        rows = self.rows(broker)
        broker.stop()
        subprocess.run(["rm", "-r", os.path.join(broker.directory, "views")], check=True)
        again = self.start(directory=broker.directory)
        self.assertEqual(self.rows(again), rows)

    def test_backups_leave_views_out_and_a_restored_broker_has_them(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"), ("owls", "2"))
        rows = self.rows(broker)
        backup, restored = os.path.join(self.directory(), "b"), os.path.join(self.directory(), "r")
        broker.run("backup", "create", backup)
        broker.stop()
        checked = broker.run("check", broker.directory)
        self.assertIn("views/ is not looked at", checked.stdout)
        subprocess.run([self.binary, "backup", "restore", backup, "--into", restored], check=True,
                       capture_output=True, env=clean_environment())
        self.assertFalse(os.path.exists(os.path.join(restored, "views")))
        self.assertEqual(self.rows(self.start(directory=restored)), rows)


class Follower:
    """A `view subscribe -o ndjson` whose lines are waited for."""

    def __init__(self, case, broker, *arguments):
        self.process = case.begin(broker, "view", "subscribe", *arguments, "-o", "ndjson")
        self.lines = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(json.loads(line, parse_float=str))
                self.changed.notify_all()

    def wait_for(self, holds):
        with self.changed:
            if not self.changed.wait_for(lambda: holds(self.lines), PATIENCE_SECONDS):
                raise AssertionError(f"it did not come: {self.lines[-5:]}")
        return self.lines

    def totals(self):
        """The rows as the lines so far make them."""
        rows = {}
        for line in self.lines:
            if line["change"] == "reset":
                rows = {}
            elif line["change"] == "deleted":
                rows.pop(line["row"]["campaign"], None)
            elif line["change"] == "replaced":
                rows[line["row"]["campaign"]] = line["row"]["total"]
        return rows


class Push(ViewsCase):
    def test_a_subscriber_gets_the_rows_and_then_what_changes(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"), ("owls", "2"))
        self.rows(broker)
        follower = Follower(self, broker, "totals")
        follower.wait_for(lambda lines: len(lines) == 2)
        self.assertEqual(follower.totals(), {"sea": "1.00", "owls": "2.00"})
        self.give(broker, ("sea", "0.50"))
        follower.wait_for(lambda lines: len(lines) == 3)
        self.assertEqual(follower.lines[2]["row"], {"campaign": "sea", "n": 2, "total": "1.50"})
        self.assertGreater(follower.lines[2]["sequence"], follower.lines[1]["sequence"])

    def test_the_broker_filters(self):
        broker = self.start_with_view()
        follower = Follower(self, broker, "totals", "--where", "campaign LIKE 's%'", "-n", "2")
        self.give(broker, ("owls", "2"), ("sea", "1"), ("bees", "1"), ("sun", "3"))
        self.assertEqual(follower.process.wait(PATIENCE_SECONDS), OK)
        follower.wait_for(lambda lines: len(lines) == 2)
        self.assertEqual(follower.totals(), {"sea": "1.00", "sun": "3.00"})

    def test_one_goes_on_where_it_was_or_is_reset_when_that_is_not_kept(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"))
        self.rows(broker)
        first = Follower(self, broker, "totals", "-n", "1").wait_for(lambda lines: lines)[0]
        after = f"{first['generation']}/{first['sequence']}"
        self.give(broker, ("owls", "2"))
        self.rows(broker)
        again = Follower(self, broker, "totals", "--after", after, "-n", "1")
        again.wait_for(lambda lines: lines)
        self.assertEqual(again.totals(), {"owls": "2.00"})
        # More changes than are kept.
        for _ in range(2):
            self.give(broker, *((f"c{i}", "1") for i in range(8000)))
        self.rows(broker, "SELECT count(*) FROM totals")
        late = Follower(self, broker, "totals", "--after", after)
        late.wait_for(lambda lines: len(late.totals()) == 8002)
        self.assertEqual(late.lines[0]["change"], "reset")
        self.assertEqual(late.totals()["sea"], "1.00")

    def test_a_replaced_view_is_a_reset(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"))
        self.rows(broker)
        follower = Follower(self, broker, "totals")
        follower.wait_for(lambda lines: len(lines) == 1)
        broker.out("sql", "-c", TOTALS.replace("CREATE", "CREATE OR REPLACE")
                   .replace("sum(amount)", "2 * sum(amount)"))
        follower.wait_for(lambda lines: follower.totals() == {"sea": "2.00"})
        self.assertIn("reset", [line["change"] for line in follower.lines])
        broker.out("sql", "-c", "DROP MATERIALIZED VIEW totals")
        self.assertEqual(follower.process.wait(PATIENCE_SECONDS), NOT_FOUND)

    def test_a_subscriber_survives_the_broker_and_misses_nothing(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"))
        self.rows(broker)
        follower = Follower(self, broker, "totals")
        follower.wait_for(lambda lines: len(lines) == 1)
        broker.stop(signal.SIGKILL)
        again = self.start(directory=broker.directory, listen=broker.address)
        self.give(again, ("owls", "2"), ("sea", "1"))
        follower.wait_for(lambda lines: follower.totals() == {"sea": "2.00", "owls": "2.00"})

    def test_one_that_takes_nothing_holds_up_nobody(self):
        broker = self.start_with_view()
        sleeper = self.begin(broker, "view", "subscribe", "totals", "-o", "ndjson")
        follower = Follower(self, broker, "totals", "-n", "100000000")
        for _ in range(3):
            self.give(broker, *((f"c{i}", "1") for i in range(4000)))
        # The first one's pipe is full by now: nobody reads it.
        follower.wait_for(lambda lines: follower.totals() == {f"c{i}": "3.00" for i in range(4000)})
        self.assertIsNone(sleeper.poll())
        self.assertEqual(len(self.rows(broker)), 4000)


class Endless(ViewsCase):
    def test_a_question_ends_with_whoever_asked_it(self):
        broker = self.start_with_view()
        asking = self.begin(broker, "sql", "--timeout", "4m", "-c", self.ENDLESS)
        self.wait_until(lambda: self.is_busy(broker))
        asking.kill()
        self.wait_until(lambda: not self.is_busy(broker))


class Lists(ViewsCase):
    def test_the_list_counts_every_record(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"), ("sea", "x"), ("sea", None), ("owls", "2"))
        self.rows(broker)
        views = json.loads(broker.out("view", "list", "-o", "json"))
        self.assertEqual([(v["name"], v["kind"]) for v in views], [("totals", "view")])
        counters = views[0]["counters"]
        self.assertEqual(counters["records"], 4)
        self.assertEqual(counters["applied"] + counters["filtered"] + counters["late"] +
                         counters["errors"], 4)
        self.assertEqual(counters["errors"], 2)
        self.assertEqual(views[0]["applied"], [{"topic": "donations", "partition": 0, "next": 4}])
        self.assertRegex(broker.out("view", "list"), r"totals +view +running +4 +0 +0 +2")
        self.assertEqual((counters["groups"], counters["behind_ms"], counters["watchers"]),
                         (2, 0, 0))
        figures = json.loads(broker.out("stats", "-o", "json"))
        self.assertEqual([figures["views." + name] for name in
                          ("running", "failed", "records", "applied", "errors", "lag", "groups")],
                         [1, 0, 4, 2, 2, 0, 2])
        with urllib.request.urlopen(f"http://{broker.address}/metrics") as answer:
            metrics = answer.read().decode()
        for line in ('runnel_view_state{state="running",view="totals"} 1',
                     'runnel_view_records{outcome="error",view="totals"} 2',
                     'runnel_view_lag{view="totals"} 0', 'runnel_view_groups{view="totals"} 2',
                     'runnel_view_behind_seconds{view="totals"} 0.000000', "runnel_views_lag 0"):
            self.assertIn(line + "\n", metrics)
        self.assertIn("dimension", broker.out("view", "describe", "totals"))

    def test_a_broker_starts_whatever_became_of_the_state(self):
        broker = self.start_with_view()
        self.give(broker, ("sea", "1"), ("owls", "2.50"))
        rows = self.rows(broker)
        address, state = broker.address, pathlib.Path(broker.directory, "views")
        for damage in (lambda: (state / "CURRENT").write_text("nonsense"),
                       lambda: shutil.rmtree(state)):
            broker.stop()
            damage()
            broker = self.start(directory=broker.directory, listen=address)
            self.assertEqual(self.rows(broker), rows)
            self.assertIn("views.damaged", broker.run("view", "list").stderr)
            self.assertTrue(pathlib.Path(broker.directory, "views.damaged").is_dir())

    def test_a_paused_view_says_so_and_goes_on(self):
        broker = self.start_with_view()
        broker.out("view", "pause", "totals")
        self.give(broker, ("sea", "1"))
        self.assertEqual(json.loads(broker.out("view", "list", "-o", "json"))[0]["state"], "paused")
        broker.out("view", "resume", "totals")
        self.assertEqual(self.rows(broker), [{"campaign": "sea", "n": 1, "total": "1.00"}])


if __name__ == "__main__":
    BrokerCase.binary = os.path.abspath(sys.argv[1])
    BrokerCase.net = sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
