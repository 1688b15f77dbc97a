#!/usr/bin/env python3
"""Schemathesis reads openapi.json and looks for answers that it does not tell of.

usage: schemathesis_test.py BINARY DIRECTORY   (for what is installed; made if it is not there)

Takes `schemathesis` from the path, or installs it from PyPI into DIRECTORY; where neither works the
test is skipped. RUNNEL_SCHEMATHESIS_EXAMPLES: how many examples an operation (100 if unset).
"""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
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


def main():
    binary, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    schemathesis = program(directory)
    if schemathesis is None:
        return SKIPPED
    broker = Broker(binary)
    try:
        broker.out("topic", "create", "orders", "-p", "3")
        address = f"http://{broker.address}"
        done = subprocess.run(
            [schemathesis, "run", f"{address}/api/v1/openapi.json", "--url", address,
             "--max-examples", os.environ.get("RUNNEL_SCHEMATHESIS_EXAMPLES", "100"),
             # An event stream never ends.
             "--exclude-operation-id", "followRecords",
             "--exclude-operation-id", "followView", "--exclude-checks", EXCLUDED,
             "--request-timeout", "30"],
            check=False, env=clean_environment())
        broker.out("topic", "list")  # it still serves
    finally:
        broker.remove()
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
