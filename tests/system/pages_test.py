#!/usr/bin/env python3
"""Runs what pages of the documentation show, each page against a fresh broker.

usage: pages_test.py BINARY PAGE...

In a ```console block a line with "$ " is a command, the lines below it are its output (standard
error included); "..." stands for what differs from run to run, alone on a line for any number of
lines. A ```sql block is what `runnel sql` reads from a pipe; a ```text block right behind it is what
that prints. A ```json FILE block is a file of that name. In ```sh blocks, whose commands are not run, every `runnel` command and flag has to exist.
Relative links have to lead somewhere, too.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import PATIENCE_SECONDS, Broker, clean_environment


def blocks(text, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands_of(text):
    """(command, its standard input, expected output or None) in order."""
    out = []
    behind_sql = -1
    for found in re.finditer(r"^```(console|sql|text|json (\S+))\n(.*?)^```\n*", text,
                             re.DOTALL | re.MULTILINE):
        kind, file, block = found.groups()
        if file:
            out.append((f"cat > {file}", block, []))
        if kind == "sql":
            out.append(("runnel sql", block, None))
            behind_sql = found.end()
        elif kind == "text" and found.start() == behind_sql:
            out[-1] = (out[-1][0], out[-1][1], block.splitlines())
        elif kind == "console":
            for line in block.splitlines():
                if line.startswith("$ "):
                    out.append((line[2:], "", []))
                else:
                    out[-1][2].append(line)
    return out


def matches(expected, printed):
    """Whether the lines `printed` are what the page shows."""
    pattern = ""
    for line in expected:
        pattern += ("(?:.*\n)*" if line == "..." else
                    ".*".join(re.escape(part) for part in line.split("...")) + "\n")
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


def dead_links(page, text):
    links = re.findall(r"\]\(([^)#]+)\)", text)
    return [f"the link to {link} leads nowhere" for link in links
            if "://" not in link and not (page.parent / link).exists()]


def shown_commands(text):
    """The words of each `runnel` command in the page's sh blocks; what may be left out, too."""
    for block in blocks(text, "sh"):
        for part in re.split(r"[|;\n]", block.replace("\\\n", " ")):
            words = part.strip().split(" ", 1)
            if words[0] in ("runnel", "build/runnel"):
                yield shlex.split(re.sub(r"[\[\]]", "", part), comments=True)[1:]


def unknown_flags(binary, text):
    problems = []
    for words in shown_commands(text):
        path = words[:2] if words[0] in ("topic", "group", "config", "bench", "view",
                                             "backup") else words[:1]
        done = subprocess.run([binary, *path, "--help"], capture_output=True, text=True,
                              check=False, timeout=PATIENCE_SECONDS)
        name = "runnel " + " ".join(path)
        if f"Usage: {name} " not in done.stdout:
            problems.append(f"{name} is no command")
        for flag in re.findall(r"^-[a-z]$|^--[a-z-]+", "\n".join(words), re.MULTILINE):
            if not re.search(rf"(?<![\w-]){flag}(?![\w-])", done.stdout):
                problems.append(f"{name} has no flag {flag}")
    return problems


def run_commands(binary, commands):
    problems = []
    broker = Broker(str(binary))
    try:
        with tempfile.TemporaryDirectory() as directory:
            environment = clean_environment(
                RUNNEL_BROKER=broker.address, LC_ALL="C",
                PATH=f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
            for command, given, expected in commands:
                done = subprocess.run(["bash", "-c", command], cwd=directory, env=environment,
                                      input=given, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, check=False,
                                      timeout=PATIENCE_SECONDS)
                if expected is None and done.returncode != 0:
                    problems.append(f"{given}exit code {done.returncode}:\n{done.stdout}")
                elif expected is not None and not matches(expected, done.stdout.splitlines()):
                    problems.append(f"$ {command}\n{given}expected:\n" + "\n".join(expected) +
                                    f"\nprinted:\n{done.stdout}")
    finally:
        broker.remove()
    return problems


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    failed = False
    for page in map(pathlib.Path, sys.argv[2:]):
        text = page.read_text(encoding="utf-8")
        commands = commands_of(text)
        problems = dead_links(page, text) + unknown_flags(binary, text)
        if commands:
            problems += run_commands(binary, commands)
        elif not list(shown_commands(text)):
            problems.append("there are no commands to run")
        for problem in problems:
            print(f"{page.name}: {problem}")
        print(f"{page.name}: {len(commands)} commands run, {len(problems)} problems")
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    assert matches(["a", "...", "b ... c"], ["a", "x", "y", "b 12 c"]), "matches() is broken"
    assert not matches(["a"], ["a", "b"]) and not matches(["a"], ["ab"]), "matches() is broken"
    sys.exit(main())
