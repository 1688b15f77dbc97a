#!/usr/bin/env python3
"""Runs clang over every source of a compile_commands.json, and over every header on its own.

usage: clang_check.py BUILD_DIR JOBS

Warnings are errors, thread-safety analysis included (the flags are the build's own). Prints one
line a failing file with the compiler's words, then a count. Exit code 1 if anything failed.
"""
import concurrent.futures
import json
import pathlib
import shlex
import subprocess
import sys

FOLDERS = ("protocol", "storage", "broker", "client", "tools", "bench", "tests")


def without_output(arguments):
    """The compile command as a syntax check: no object, no launcher, no dependency file."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif argument not in ("-c", "-MD", "-MMD") and not argument.endswith("ccache"):
            kept.append(argument)
    return kept + ["-fsyntax-only"]


def header_command(root, build, header, arguments):
    """`arguments` (of a source near the header) turned into a check of the header alone."""
    flags = [a for a in arguments if not a.endswith((".cc", ".cpp"))]
    return flags + ["-I" + str(root / "client/include"), "-I" + str(build / "generated"),
                    "-x", "c++", "-include", str(header), "/dev/null"]


def nearest_command(header, commands):
    """The command of the source that shares the longest path with the header."""
    def shared(source):
        count = 0
        for a, b in zip(source.parts, header.parts):
            if a != b:
                break
            count += 1
        return count
    return commands[max(commands, key=shared)]


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    jobs = int(sys.argv[2])
    root = pathlib.Path(__file__).resolve().parent.parent
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"]).resolve()
        if root in source.parents and build not in source.parents:
            commands[source] = without_output(shlex.split(entry["command"]))
    checks = [(str(source.relative_to(root)), command) for source, command in commands.items()
              if source.suffix in (".cc", ".cpp")]
    for folder in FOLDERS:
        for header in sorted((root / folder).rglob("*.h")):
            command = nearest_command(header, commands)
            checks.append((str(header.relative_to(root)) + " alone",
                           header_command(root, build, header, command)))

    def run(check):
        done = subprocess.run(check[1], cwd=build, capture_output=True, text=True, check=False)
        return check[0], done.returncode, done.stderr

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, code, text in pool.map(run, checks):
            if code != 0:
                failed += 1
                print(f"clang: {name}\n{text}", file=sys.stderr)
    print(f"clang checked {len(checks)} files, {failed} failed")
    return 1 if failed or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
