#!/usr/bin/env python3
"""Clients and serializers of Confluent's schema registry against the broker.

usage: run.py BINARY python|javascript

Exit code: 0 all well, 1 a check failed, 77 the language is not there, or the registry that has the
client cannot be reached.
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parents[1] / "system"))
import suites  # noqa: E402  pylint: disable=wrong-import-position
from harness import Broker, clean_environment  # noqa: E402  pylint: disable=wrong-import-position

SKIPPED = 77
PYTHON = ["confluent-kafka[schemaregistry,avro,json,protobuf]==2.15.0"]
JAVASCRIPT = ["@confluentinc/schemaregistry@1.10.1", "kafkajs@2.2.4"]


def python(address):
    """The command that runs the checks, and its environment."""
    suite = suites.PythonSuite("confluent-schema-registry", "schema_registry", PYTHON)
    suite.prepare()
    return [str(suite.python()), str(HERE / "checks.py"), "-v", address], {}


def javascript(address):
    suite = suites.NodeSuite("confluent-schema-registry-js", JAVASCRIPT)
    if suite.missing():
        raise OSError(suite.missing())
    suite.prepare()
    return (["node", "--test", "--test-reporter=spec", str(HERE / "checks.mjs")],
            {"ADDRESS": address, "MODULES": str(suite.folder())})


def main():
    broker = Broker(sys.argv[1])
    try:
        try:
            prepare = {"python": python, "javascript": javascript}[sys.argv[2]]
            command, more = prepare(broker.address)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"Confluent's client for {sys.argv[2]} cannot be installed: {error}")
            return SKIPPED
        done = subprocess.run(command, check=False, env=clean_environment(**more))
    finally:
        broker.remove()
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
