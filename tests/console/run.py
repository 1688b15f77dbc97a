#!/usr/bin/env python3
"""The console in a real browser: Debian's Chromium, driven by playwright-core, judged by axe-core.

usage: run.py --binary BINARY --directory DIRECTORY TEST.mjs
       run.py --plain --directory DIRECTORY TEST.mjs     (of modules alone; needs node only)

Installs the two packages from npm into DIRECTORY, unless they are there; screenshots are written to
DIRECTORY/screenshots. Exit code: 0 passed, 1 failed, 77 nothing could run for want of node, npm,
Chromium or the packages (with CI set in the environment that is 1 too).
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ASSETS = HERE.parents[1] / "broker/http/console/assets"
PACKAGES = {"playwright-core": "1.65.1", "axe-core": "4.14.1"}
OLDEST_NODE = 18
SKIPPED = 77


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


def missing(plain=False):
    """What this machine lacks, or None."""
    absent = [tool for tool in (["node"] if plain else ["node", "npm"]) if not shutil.which(tool)]
    if not plain and not chromium():
        absent.append("chromium")
    if absent:
        return f"needs {', '.join(absent)}"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"needs node {OLDEST_NODE} or newer, this is {version.strip()}"
    return None


def install(directory):
    """Why the packages cannot be had, or None."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    manifest = directory / "package.json"
    done = directory / "installed"
    if done.exists() and done.read_text() == wanted:
        return None
    manifest.write_text(wanted)
    try:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
                       cwd=directory, check=True, timeout=300)
    except subprocess.SubprocessError as error:
        return f"npm could not install {', '.join(PACKAGES)}: {error}"
    done.write_text(wanted)
    return None


def environment(binary, directory):
    """What the scripts of this directory read."""
    return {**os.environ, "RUNNEL_BINARY": str(pathlib.Path(binary).resolve()),
            "CONSOLE_MODULES": str(directory), "CONSOLE_CHROMIUM": chromium(),
            "CONSOLE_SCREENSHOTS": str(directory / "screenshots")}


def run_plain(directory, test):
    """With the console's modules as ones of node, which wants to be told that they are."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ASSETS, directory)
    (directory / "package.json").write_text(json.dumps({"type": "module"}))
    return subprocess.run(["node", "--test", "--test-reporter=spec", str(HERE / test)], check=False,
                          env={**os.environ, "CONSOLE_ASSETS": str(directory)})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--directory", required=True, type=pathlib.Path)
    parser.add_argument("test")
    arguments = parser.parse_args()
    why = missing(arguments.plain) or (not arguments.plain and install(arguments.directory))
    if why:
        print(f"console tests skipped: {why}")
        return 1 if os.environ.get("CI") else SKIPPED
    if arguments.plain:
        done = run_plain(arguments.directory, arguments.test)
    else:
        done = subprocess.run(["node", "--test", "--test-reporter=spec", str(HERE / arguments.test)],
                              env=environment(arguments.binary, arguments.directory), check=False)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
