#!/usr/bin/env python3
"""What views cost: events per second of processor time, memory, a restart after kill -9.

usage: bench/views/views.py BINARY DONATIONS [--events N] [--cases campaign,hour,page,five] [--kill]
                            [--points POINT_LOAD] [--push PUSH_LOAD] [--idle PAIRS] [--streams] [--duckdb] [--dir DIR]

DONATIONS is the program runnel_donations. The views are made and paused, events are produced into
their topic, then the views are resumed, and the broker's processor time until they have all of them
is the engine's: reading, decoding, folding and storing. Sums are compared with the generator's, to the cent. --kill kills the broker in
mid-stream with five views. --points asks for groups by their keys with runnel_point_load, and with runnel_http_point_load
beside it, while 50,000 events a second are folded. --push follows a view into which 10,000 events a second go, its newest rows and
every change of it, and measures how long after its acknowledgement an event is told; then what either
costs while --events are folded. --idle appends with and without ten views of a topic where nothing happens,
in turn, and compares the broker's processor time. --streams measures Kafka Streams on the same topic in the same run (needs
java and mvn), --duckdb lets DuckDB (from PyPI) read the same JSON as a batch.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "system"))
sys.path.insert(0, str(HERE.parent.parent / "tests" / "kafka"))
from harness import Broker

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
PARTITIONS = 4
PATIENCE_S = 600
KAFKA = "4.3.1"

SOURCE = """CREATE SOURCE donations (campaign VARCHAR, page VARCHAR,
  country VARCHAR PATH '$.donor.country', kind VARCHAR, channel VARCHAR, amount DECIMAL(12,2),
  at TIMESTAMPTZ, WATERMARK FOR at AS at - INTERVAL '5 minutes') ON TOPIC 'donations' FORMAT JSON"""
VIEWS = {
    "by_campaign": """SELECT campaign, COUNT(*) AS n, SUM(amount) AS total, MAX(amount) AS most,
      LAST(amount) AS latest FROM donations GROUP BY campaign""",
    "by_hour": """SELECT campaign, window_start, COUNT(*) AS n, SUM(amount) AS total,
      AVG(amount) AS mean FROM TUMBLE(donations, at, INTERVAL '1 hour')
      GROUP BY campaign, window_start""",
    "by_page": """SELECT page, country, COUNT(*) AS n, SUM(amount) AS total FROM donations
      GROUP BY page, country""",
    "pages_by_day": """SELECT country, window_start, COUNT(DISTINCT page) AS pages
      FROM TUMBLE(donations, at, INTERVAL '1 day') GROUP BY country, window_start""",
    "by_kind": """SELECT kind, channel, COUNT(*) AS n FROM donations GROUP BY kind, channel""",
}
CASES = {"campaign": ["by_campaign"], "hour": ["by_hour"], "page": ["by_page"],
         "five": list(VIEWS)}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) // 1024
    return 0


class Measurement:
    def __init__(self, arguments, root):
        self.arguments = arguments
        self.root = root
        self.broker = None
        self.events_file = root + "/events"

    def start(self):
        self.broker = Broker(self.arguments.binary, "auto", self.root + "/data")

    def pid(self):
        return self.broker.process.pid

    def sql(self, text):
        return self.broker.out("sql", "-o", "json", "-c", text)

    def make_events(self):
        with open(self.events_file, "wb") as out:
            subprocess.run([self.arguments.donations, "--events", str(self.arguments.events)],
                           stdout=out, check=True)

    def load(self, views):
        """The views, paused, with the events before them."""
        self.broker.out("topic", "create", "donations", "-p", str(PARTITIONS))
        self.sql(SOURCE)
        for name in views:
            self.sql(f"CREATE MATERIALIZED VIEW {name} AS {VIEWS[name]};"
                     f"ALTER MATERIALIZED VIEW {name} PAUSE")
        self.broker.run("produce", "donations", self.events_file)

    def clear(self, views):
        for name in views:
            self.sql(f"DROP MATERIALIZED VIEW {name}")
        self.sql("DROP SOURCE donations")
        self.broker.out("topic", "delete", "donations")

    def resume(self, views):
        self.sql(";".join(f"ALTER MATERIALIZED VIEW {name} RESUME" for name in views))

    def behind(self, views):
        """Records that some view has still to read."""
        rows = json.loads(self.broker.out("view", "list", "-o", "json"))
        lags = {row["name"]: row for row in rows}
        return max(int(lags[name]["lag"]) for name in views)

    def wait(self, views):
        until = time.monotonic() + PATIENCE_S
        while self.behind(views) > 0:
            if time.monotonic() > until:
                raise SystemExit(f"{views} are still behind")
            time.sleep(0.05)

    def check(self, view):
        """Sums are the generator's, to the cent."""
        totals = subprocess.run([self.arguments.donations, "--totals", "--events",
                                 str(self.arguments.events)], capture_output=True, text=True,
                                check=True).stdout.split()
        expected = {}
        for line in totals:
            campaign, count, cents = line.split(",")
            expected[campaign] = (int(count), int(cents))
        found = {}
        for line in self.broker.out("sql", "-o", "csv", "-c",
                                    f"SELECT campaign, n, total FROM {view}").splitlines()[1:]:
            campaign, count, total = line.split(",")
            found[campaign] = (int(count), int(total.replace(".", "")))
        if found != expected:
            wrong = [name for name in expected if found.get(name) != expected[name]]
            raise SystemExit(f"{view}: {len(wrong)} campaigns are wrong, {wrong[:3]}")

    def measure(self, case):
        views = CASES[case]
        self.load(views)
        cpu, began = cpu_seconds(self.pid()), time.monotonic()
        self.resume(views)
        self.wait(views)
        seconds, cpu = time.monotonic() - began, cpu_seconds(self.pid()) - cpu
        if "by_campaign" in views:
            self.check("by_campaign")
        print(json.dumps({"who": "runnel", "case": case,
                          "events_per_cpu_second": round(self.arguments.events / cpu),
                          "events_per_second": round(self.arguments.events / seconds),
                          "rss_mib": memory_mib(self.pid(), "RssAnon"),
                          "rss_peak_mib": memory_mib(self.pid(), "VmHWM")}), flush=True)
        if self.arguments.streams:
            self.streams(case)
        self.clear(views)

    def kill(self):
        """Killed in mid-stream with five views: how long until they are current again."""
        views = CASES["five"]
        self.load(views)
        self.resume(views)
        while self.behind(views) > self.arguments.events / 2:
            time.sleep(0.05)
        left = self.behind(views)
        self.broker.remove()
        began = time.monotonic()
        self.start()
        self.broker.out("view", "list")
        started = time.monotonic() - began
        missed = self.behind(views)
        self.wait(views)
        seconds = time.monotonic() - began
        self.check("by_campaign")
        print(json.dumps({"who": "runnel", "case": "kill", "behind_when_killed": left,
                          "seconds_to_answer": round(started, 2), "behind_when_back": missed,
                          "seconds_to_current": round(seconds, 2)}), flush=True)
        self.clear(views)

    def points(self):
        """Point queries, alone and while events are folded."""
        self.load(["by_campaign"])
        self.resume(["by_campaign"])
        self.wait(["by_campaign"])
        for rate in (0, 50_000):
            for in_flight in (1, 32, 128, 256):
                done = subprocess.run(
                    [self.arguments.points, "--broker", self.broker.address, "--pid",
                     str(self.pid()), "--in-flight", str(in_flight), "--events-per-second",
                     str(rate), "--seconds", str(self.arguments.seconds)], capture_output=True, text=True, check=True)
                print(json.dumps({"who": "runnel", **json.loads(done.stdout)}), flush=True)
        for rate, more in ((0, []), (50_000, []), (0, ["--etag"])):
            done = subprocess.run(
                [pathlib.Path(self.arguments.points).with_name("runnel_http_point_load"),
                 "--broker", self.broker.address, "--pid", str(self.pid()),
                 "--events-per-second", str(rate), "--seconds", str(self.arguments.seconds), *more],
                capture_output=True, text=True, check=True)
            print(json.dumps({"who": "runnel", **json.loads(done.stdout)}), flush=True)
        self.clear(["by_campaign"])

    def push(self):
        """A subscriber in each mode, in turns with none."""
        def load(mode, *arguments):
            return [self.arguments.push, "--broker", self.broker.address, "--pid", str(self.pid()),
                    "--mode", mode, *arguments]
        views = ["by_campaign"]
        modes = ("none", "latest", "changes")
        self.load(views)
        self.resume(views)
        self.wait(views)
        for mode in modes * 2:
            done = subprocess.run(load(mode, "--seconds", str(self.arguments.seconds)),
                                  capture_output=True, text=True, check=True)
            print(json.dumps({"who": "runnel", **json.loads(done.stdout)}), flush=True)
        self.clear(views)
        for mode in modes * 3:
            self.load(views)
            follower = subprocess.Popen(load(mode, "--events-per-second", "0", "--seconds",
                                             str(PATIENCE_S)), stdout=subprocess.DEVNULL)
            cpu = cpu_seconds(self.pid())
            self.resume(views)
            self.wait(views)
            cpu = cpu_seconds(self.pid()) - cpu
            follower.kill()
            follower.wait()
            print(json.dumps({"who": "runnel", "case": "folding, followed", "mode": mode,
                              "events_per_cpu_second": round(self.arguments.events / cpu)}),
                  flush=True)
            self.clear(views)

    def idle(self):
        """What ten views that have nothing to do cost those who append to another topic."""
        self.broker.out("topic", "create", "donations", "-p", str(PARTITIONS))
        self.sql(SOURCE)

        def append():
            cpu = cpu_seconds(self.pid())
            done = json.loads(self.broker.out("bench", "produce", "--records", "1000000", "--pid",
                                              str(self.pid()), "-o", "json"))
            return cpu_seconds(self.pid()) - cpu, done
        append()  # warms up
        ratios = []
        for _ in range(self.arguments.idle):
            without, _ = append()
            for number in range(10):
                self.sql(f"CREATE MATERIALIZED VIEW idle{number} AS {VIEWS['by_campaign']}")
            with_views, _ = append()
            for number in range(10):
                self.sql(f"DROP MATERIALIZED VIEW idle{number}")
            ratios.append(with_views / without)
        ratios.sort()
        print(json.dumps({"who": "runnel", "case": "ten idle views", "pairs": len(ratios),
                          "cpu_with_over_without_median": round(ratios[len(ratios) // 2], 4),
                          "least": round(ratios[0], 4), "most": round(ratios[-1], 4)}),
              flush=True)
        self.sql("DROP SOURCE donations")
        self.broker.out("topic", "delete", "donations")

    def streams(self, case):
        import maven  # pylint: disable=import-outside-toplevel
        jars = maven.copy_jars("streams-bench",
                               [("org.apache.kafka", "kafka-streams", KAFKA),
                                ("com.fasterxml.jackson.core", "jackson-core", "2.17.2")])
        classes = pathlib.Path(self.root) / "classes"
        classes.mkdir(exist_ok=True)
        path = f"{jars}/*:{classes}"
        subprocess.run(["javac", "-d", str(classes), "-cp", path,
                        str(HERE.parent / "peers" / "streams" / "StreamsBench.java")], check=True)
        done = subprocess.run(["java", "-Xmx1g", "-cp", path, "StreamsBench",
                               self.broker.address, "donations", case, str(self.arguments.events),
                               "exactly_once_v2"], capture_output=True, text=True, check=True,
                              timeout=PATIENCE_S)
        print(json.dumps({"who": f"kafka-streams {KAFKA}", **json.loads(
            done.stdout.strip().splitlines()[-1])}), flush=True)

    def duckdb(self):
        import duckdb  # pylint: disable=import-outside-toplevel
        began, cpu = time.monotonic(), time.process_time()
        table = duckdb.connect()
        table.execute("SET threads=1")
        table.execute(f"""CREATE TABLE d AS SELECT campaign, page, donor.country AS country, kind,
          channel, amount, "at" FROM read_json('{self.events_file}', format='newline_delimited',
          columns={{campaign: 'VARCHAR', page: 'VARCHAR', donor: 'STRUCT(country VARCHAR)',
          kind: 'VARCHAR', channel: 'VARCHAR', amount: 'DECIMAL(12,2)', "at": 'TIMESTAMP'}})""")
        for query in (
                "SELECT campaign, count(*), sum(amount), max(amount), last(amount) FROM d GROUP BY 1",
                "SELECT campaign, date_trunc('hour', \"at\"), count(*), sum(amount), avg(amount) "
                "FROM d GROUP BY 1, 2",
                "SELECT page, country, count(*), sum(amount) FROM d GROUP BY 1, 2",
                "SELECT country, date_trunc('day', \"at\"), count(DISTINCT page) FROM d GROUP BY 1, 2",
                "SELECT kind, channel, count(*) FROM d GROUP BY 1, 2"):
            table.execute(query).fetchall()
        cpu = time.process_time() - cpu
        print(json.dumps({"who": f"duckdb {duckdb.__version__}", "case": "five, as a batch",
                          "events_per_cpu_second": round(self.arguments.events / cpu),
                          "seconds": round(time.monotonic() - began, 2)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("donations")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--cases", default="campaign,hour,page,five")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--points")
    parser.add_argument("--push")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--streams", action="store_true")
    parser.add_argument("--duckdb", action="store_true")
    parser.add_argument("--dir")
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="runnel-views-", dir=arguments.dir)
    measurement = Measurement(arguments, root)
    try:
        measurement.start()
        measurement.make_events()
        for case in filter(None, arguments.cases.split(",")):
            measurement.measure(case)
        if arguments.kill:
            measurement.kill()
        if arguments.points:
            measurement.points()
        if arguments.push:
            measurement.push()
        if arguments.idle:
            measurement.idle()
        if arguments.duckdb:
            measurement.duckdb()
    finally:
        if measurement.broker:
            measurement.broker.remove()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
