#!/usr/bin/env python3
"""Clients and serializers of Confluent's schema registry against the broker.

usage: run.py BINARY

Exit code: 0 all well, 1 a check failed, 77 the registry that has the client cannot be reached.
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
PACKAGES = ["confluent-kafka[schemaregistry,avro,json]==2.15.0"]


def main():
    suite = suites.PythonSuite("confluent-schema-registry", "schema_registry", PACKAGES)
    try:
        suite.prepare()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{PACKAGES[0]} cannot be installed: {error}")
        return SKIPPED
    broker = Broker(sys.argv[1])
    try:
        done = subprocess.run([str(suite.python()), str(HERE / "checks.py"), "-v", broker.address],
                              check=False, env=clean_environment())
    finally:
        broker.remove()
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
