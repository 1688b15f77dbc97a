#!/usr/bin/env python3
"""Schemathesis reads openapi.json and looks for answers that it does not tell of.

usage: schemathesis_test.py BINARY DIRECTORY   (for what is installed; made if it is not there)

Takes `schemathesis` from the path, or installs it from PyPI into DIRECTORY; where neither works the
test is skipped. RUNNEL_SCHEMATHESIS_EXAMPLES: how many examples an operation (100 if unset; with
1,000 it makes more than 100,000 requests). Every operation of the document has to be asked.
"""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from harness import Broker, clean_environment

VERSION = "4.32.5"
SKIPPED = 77
# What a schema cannot say: values that topic configs take, places, filters; and Schemathesis takes
# a topic's id for what its path asks for, which is the name.
EXCLUDED = "positive_data_acceptance,ensure_resource_availability"


def program(directory):
    """Where Schemathesis is, or None."""
    found = shutil.which("schemathesis")
    if found:
        return found
    installed = directory / "bin" / "schemathesis"
    if installed.exists():
        return str(installed)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        subprocess.run([str(directory / "bin" / "pip"), "install", "-q",
                        f"schemathesis=={VERSION}"], check=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Schemathesis cannot be installed: {error}")
        return None
    return str(installed)


def ask(broker, method, path, body=None, kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"http://{broker.address}{path}", data, method=method,
                                     headers={"Content-Type": kind} if data else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def seed(broker):
    """What schemathesis_hooks.py knows the names of. The cluster's id."""
    api = "/api/v1"
    for name, partitions in (("orders", 3), ("gifts", 1), ("copies", 2)):
        ask(broker, "POST", f"{api}/topics", {"name": name, "partitions": partitions})
    ask(broker, "POST", f"{api}/topics", {
        "name": "checked", "configs": {"confluent.value.schema.validation": "true"}})
    ask(broker, "POST", f"{api}/topics/orders/records", [
        {"key": f"k{i}", "value": {"id": i, "amount": i * 1.5}, "headers": {"trace": "7f"}}
        for i in range(30)])
    ask(broker, "POST", f"{api}/topics/gifts/records?as=values", [
        {"campaign": name, "amount": "7.25", "at": "2026-03-29T10:00:00Z"}
        for name in ("sea", "owls")])
    ask(broker, "POST", f"{api}/sql", """
        CREATE SOURCE facts (campaign VARCHAR, amount DECIMAL(12,2), at TIMESTAMPTZ,
          WATERMARK FOR at AS at - INTERVAL '1 day') ON TOPIC 'gifts';
        CREATE MATERIALIZED VIEW totals AS SELECT campaign, count(*) AS gifts, sum(amount) AS raised
          FROM facts GROUP BY campaign;
        CREATE MATERIALIZED VIEW hourly AS SELECT campaign, window_start, sum(amount) AS raised
          FROM TUMBLE(facts, at, INTERVAL '1 hour') GROUP BY campaign, window_start""",
        "application/sql")
    ask(broker, "PUT", f"{api}/groups/billing/offsets", {
        "offsets": [{"topic": "orders", "to": "3"}]})
    ask(broker, "PUT", f"{api}/hooks/in", {"topic": "copies", "signature": "none"})
    ask(broker, "PUT", f"{api}/hooks/signed", {
        "topic": "copies", "signature": "github", "secrets": ["a secret of a test"]})
    # Nobody listens there: it tries again and again.
    ask(broker, "PUT", f"{api}/webhooks/out", {"topic": "orders", "url": "http://127.0.0.1:1/"})
    for subject, kind, schema in (
            ("orders-value", "JSON", '{"type": "object"}'), ("checked-value", "JSON", "true"),
            ("money", "AVRO", '"long"'), ("shipped-value", "PROTOBUF", 'syntax = "proto3";')):
        ask(broker, "POST", f"/subjects/{subject}/versions", {"schemaType": kind, "schema": schema},
            "application/vnd.schemaregistry.v1+json")
    for name in ("one", "two"):
        ask(broker, "POST", "/consumers/readers", {"name": name, "format": "binary"},
            "application/vnd.kafka.v2+json")
    ask(broker, "POST", "/consumers/readers/instances/one/subscription", {"topics": ["orders"]},
        "application/vnd.kafka.v2+json")
    return ask(broker, "GET", "/v3/clusters")["data"][0]["cluster_id"]


def judge(document, counts):
    """Tells what was asked, and what is wrong with it."""
    operations = {operation["operationId"] for methods in document["paths"].values()
                  for operation in methods.values()}
    operations.discard("getOpenApi")  # Schemathesis has read it
    sums = collections.Counter()
    for answers in counts.values():
        sums.update(answers)
    print(f"{sum(sums.values())} requests, {len(counts)} of {len(operations)} operations; answers:",
          ", ".join(f"{status}: {count}" for status, count in sorted(sums.items())))
    refused = sorted(name for name, answers in counts.items()
                     if not any(status.startswith(("2", "3")) for status in answers))
    print(f"only refused: {', '.join(refused) or 'none'}")
    missing = sorted(operations - counts.keys())
    if missing:
        print(f"never asked: {', '.join(missing)}")
    return bool(missing)


def main():
    binary, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    schemathesis = program(directory)
    if schemathesis is None:
        return SKIPPED
    broker = Broker(binary, arguments=("--webhook-allow", "127.0.0.0/8"))
    try:
        cluster = seed(broker)
        address = f"http://{broker.address}"
        told = pathlib.Path(broker.directory) / "counts.json"
        done = subprocess.run(
            [schemathesis, "run", f"{address}/api/v1/openapi.json", "--url", address,
             "--max-examples", os.environ.get("RUNNEL_SCHEMATHESIS_EXAMPLES", "100"),
             "--exclude-checks", EXCLUDED, "--request-timeout", "30"],
            check=False, env=clean_environment(
                SCHEMATHESIS_HOOKS="schemathesis_hooks", PYTHONPATH=str(HERE),
                PYTHONDONTWRITEBYTECODE="1", RUNNEL_CLUSTER=cluster,
                RUNNEL_SCHEMATHESIS_COUNTS=str(told)))
        if not told.exists():
            return 1  # it did not begin, and has said why
        failed = judge(ask(broker, "GET", "/api/v1/openapi.json"), json.loads(told.read_text()))
        broker.out("topic", "list")  # it still serves
    finally:
        broker.remove()
    return 1 if done.returncode or failed else 0


if __name__ == "__main__":
    sys.exit(main())
