#!/usr/bin/env python3
"""Runs the README's ```console blocks against a fresh broker and compares what they print.

usage: readme_test.py BINARY README

A line with "$ " is a command, the lines below it are its output (standard error included). Relative
links of the page have to lead somewhere, too.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, Broker, clean_environment


def commands_of(text):
    """(command, expected output) in order."""
    out = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                out.append((line[2:], []))
            else:
                out[-1][1].append(line)
    return out


def dead_links(readme, text):
    links = re.findall(r"\]\(([^)#]+)\)", text)
    return [link for link in links
            if "://" not in link and not (readme.parent / link).exists()]


def main():
    binary, readme = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    text = readme.read_text()
    commands = commands_of(text)
    failed = dead_links(readme, text)
    for link in failed:
        print(f"the link to {link} leads nowhere")
    if not commands:
        print("there are no commands to run")
        failed.append("commands")
    broker = Broker(str(binary))
    try:
        with tempfile.TemporaryDirectory() as directory:
            environment = clean_environment(
                RUNNEL_BROKER=broker.address, LC_ALL="C",
                PATH=f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
            for command, expected in commands:
                done = subprocess.run(["bash", "-c", command], cwd=directory, env=environment,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, check=False,
                                      timeout=PATIENCE_SECONDS)
                if done.stdout.splitlines() != expected:
                    failed.append(command)
                    print(f"$ {command}\nexpected:\n" + "\n".join(expected) +
                          f"\nprinted:\n{done.stdout}")
    finally:
        broker.remove()
    print(f"{len(commands)} commands run, {len(failed)} problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
