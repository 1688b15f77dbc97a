#!/usr/bin/env python3
"""The packages that docs/operations.md names are those the program's libraries come from.

usage: packages_test.py BINARY PAGE
Exit code 77: this is not Debian 12, whose packages the page names.
"""
import pathlib
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listed(page):
    """The packages of the page's first apt-get install."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r"apt-get install ((?:.*\\\n)*.*)\n", text)
    return set(found.group(1).replace("\\\n", " ").split())


def owner(library):
    """The package of a file; dpkg knows it by the path that the package was built with."""
    path = pathlib.Path(library).resolve()
    for name in (str(path), str(path).removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"no package has {library}")


def loaded(binary):
    return {owner(path) for path in re.findall(r"=> (/\S+)", output("ldd", binary))}


def with_what_they_need(packages):
    """The packages and whatever installing them brings."""
    found, left = set(), set(packages)
    while left:
        package = left.pop()
        found.add(package)
        depends = output("dpkg-query", "-W", "-f", "${Depends}", package)
        names = {re.split(r"[ :(]", word.strip())[0] for word in re.split(r"[,|]", depends)}
        left |= {name for name in names if name.startswith(("lib", "zlib"))} - found
    return found


def main():
    binary, page = sys.argv[1], pathlib.Path(sys.argv[2])
    release = pathlib.Path("/etc/os-release")
    if not release.exists() or 'VERSION_ID="12"' not in release.read_text(encoding="utf-8"):
        print("skipped: not Debian 12")
        return 77
    named, needed = listed(page), loaded(binary)
    installed = with_what_they_need(named)
    for package in sorted(needed - installed):
        print(f"{page.name}: {package} is loaded and not in the list")
    for package in sorted(named - needed):
        print(f"{page.name}: {package} is in the list and not loaded")
    print(f"{len(named)} packages named, {len(needed)} loaded")
    return 1 if needed - installed or named - needed else 0


if __name__ == "__main__":
    sys.exit(main())
