#!/usr/bin/env python3
"""How long the console takes in Chromium; docs/benchmarks.md has the figures.

usage: console.py [--rounds N] [--large MB] [--binary BINARY]
Needs Chromium, node and npm as `./dev test console` does.
"""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/console"))
import run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--large", type=int, default=1000, help="MB of the large topic")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/runnel")
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "build/console",
                        help="where the packages of npm are")
    arguments = parser.parse_args()
    why = run.missing() or run.install(arguments.directory)
    if why:
        print(f"bench/console.py: {why}", file=sys.stderr)
        return 1
    environment = run.environment(arguments.binary, arguments.directory) | {
        "CONSOLE_ROUNDS": str(arguments.rounds), "CONSOLE_LARGE_MB": str(arguments.large)}
    return subprocess.run(["node", str(ROOT / "bench/console.mjs")], env=environment,
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
