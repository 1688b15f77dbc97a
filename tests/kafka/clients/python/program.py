"""What the Python clients' programs share: which checks to run, how results are told.

A program is called as PROGRAM BOOTSTRAP PREFIX CHECK... and prints one JSON line a check:
{"check": ..., "result": "pass" | "fail" | "none", "detail": ...}. {"ask": "kill"} has the broker
killed and started again; the answer is a line on standard input.
"""
import json
import sys
import time
import traceback

# Longest wait for anything; a check that needs it has failed.
PATIENCE_SECONDS = 45
SIZES = (1, 1000, 100_000, 1_000_000, 5_000_000, 20_000_000)
LARGE_LIMIT = 25_000_000


class CannotDo(Exception):
    """The client has no such feature."""


def tell(**line):
    print(json.dumps(line), flush=True)


def kill_broker():
    tell(ask="kill")
    sys.stdin.readline()


def value_of_size(size):
    alphabet = b"abcdefghijklmnopqrstuvwxyz"
    return (alphabet * (size // 26 + 1))[:size]


def values(count, start=0):
    return [f"v-{i}".encode() for i in range(start, start + count)]


def expect(actual, wanted, what):
    if actual != wanted:
        raise AssertionError(f"{what}: {actual!r:.300}, expected {wanted!r:.300}")


def wait_for(condition, what):
    """The first true value of `condition`, which does its own waiting of a fraction of a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
    raise AssertionError(f"after {PATIENCE_SECONDS} s still not: {what}")


def describe(error):
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"[:600]


def main(client, make):
    """Runs the methods of `make(bootstrap, prefix)` that are named like the checks."""
    bootstrap, prefix, *names = sys.argv[1:]
    tell(client=client)
    checks = make(bootstrap, prefix)
    for name in names:
        check = getattr(checks, name, None)
        if check is None:
            tell(check=name, result="none", detail="not offered by this client")
            continue
        started = time.monotonic()
        try:
            check()
            tell(check=name, result="pass", detail="", seconds=time.monotonic() - started)
        except CannotDo as reason:
            tell(check=name, result="none", detail=str(reason))
        except Exception as error:  # pylint: disable=broad-except
            tell(check=name, result="fail", detail=describe(error),
                 seconds=time.monotonic() - started)
