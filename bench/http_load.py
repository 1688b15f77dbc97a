#!/usr/bin/env python3
"""How much a broker takes and gives over HTTP: appends, and rows of a view by their key.

usage: http_load.py BINARY [SECONDS] [CONNECTIONS]

wrk (Debian's package of that name) is the client, on the broker's machine. Prints requests and
records a second, how long requests took, and what they cost of the broker's processor time.
Appends are answered when they are on stable storage.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "system"))
from harness import Broker

VALUE_BYTES = 1024
BATCH = 100
GROUPS = 1000
CAMPAIGNS = [f"c{i}" for i in range(GROUPS)]

# A request of wrk's; another row each time.
POST = ('wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"\n'
        'wrk.body = [==[BODY]==]\n')
ROWS = """local i = 0
request = function()
  i = (i * 7919 + 17) % {groups}
  return wrk.format("GET", "/api/v1/views/totals/rows?key=c" .. i, {headers})
end
"""


def ask(broker, path, body=None, kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"http://{broker.address}{path}", data,
                                     headers={"Content-Type": kind} if data else {})
    return urllib.request.urlopen(request, timeout=60)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    def __init__(self, broker, seconds, connections, directory):
        self.broker, self.seconds, self.connections = broker, seconds, connections
        self.script = pathlib.Path(directory) / "load.lua"

    def run(self, name, path, script, records=1):
        self.script.write_text(script, encoding="utf-8")
        used = cpu_seconds(self.broker.process.pid)
        told = subprocess.run(
            ["wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}s", "--latency", "-s",
             str(self.script), f"http://{self.broker.address}{path}"],
            check=True, capture_output=True, text=True).stdout
        used = cpu_seconds(self.broker.process.pid) - used
        rate = float(re.search(r"Requests/sec:\s+(\S+)", told).group(1))
        p50, p99 = (re.search(rf"^ +{share}% +(\S+)", told, re.MULTILINE).group(1)
                    for share in (50, 99))
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
        count = int(re.search(r"(\d+) requests in", told).group(1))
        print(f"{name}: {rate:,.0f} requests/s"
              + (f" ({rate * records:,.0f} records/s)" if records > 1 else "")
              + f", p50 {p50}, p99 {p99}; {used / count * 1e6:.1f} us of the broker's CPU each"
              + (f"; {refused.group(1)} REFUSED" if refused else ""), flush=True)


def measure(load):
    value = json.dumps({"value": {"id": 1, "text": "x" * (VALUE_BYTES - 20)}})
    load.run("append one record of 1 KiB", "/api/v1/topics/facts/records",
             POST.replace("BODY", value))
    load.run(f"append {BATCH} of them", "/api/v1/topics/facts/records",
             POST.replace("BODY", f"[{','.join([value] * BATCH)}]"), BATCH)
    rows = ROWS.replace("{groups}", str(GROUPS))
    load.run("a view's row by its key", "/", rows.replace("{headers}", "nil"))
    tag = ask(load.broker, "/api/v1/views/totals/rows?key=c1").headers["ETag"]
    load.run("the same, unchanged (304)", "/",
             rows.replace("{headers}", f"{{['If-None-Match'] = '{tag}'}}"))


def main():
    if not shutil.which("wrk"):
        sys.exit("bench/http_load.py needs wrk: apt-get install wrk")
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 64
    broker = Broker(sys.argv[1])
    try:
        broker.out("topic", "create", "facts", "-p", "4")
        broker.out("topic", "create", "gifts", "-p", "1")
        ask(broker, "/api/v1/sql", """
            CREATE SOURCE given (campaign VARCHAR, amount DECIMAL(12,2)) ON TOPIC 'gifts';
            CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS gifts,
              sum(amount) AS raised FROM given GROUP BY campaign""", "application/sql")
        ask(broker, "/api/v1/topics/gifts/records?as=values&acks=applied",
            [{"campaign": name, "amount": "12.50"} for name in CAMPAIGNS])
        with tempfile.TemporaryDirectory() as directory:
            measure(Load(broker, seconds, connections, directory))
    finally:
        broker.remove()


if __name__ == "__main__":
    main()
