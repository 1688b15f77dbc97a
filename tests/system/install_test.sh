#!/usr/bin/env bash
# What `cmake --install` puts into a prefix is a program that runs from there.
#   install_test.sh BUILD_DIR CMAKE
set -euo pipefail

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
"$2" --install "$1" --component runnel --prefix "$prefix" >/dev/null
"$prefix/bin/runnel" version | grep -q '^runnel [0-9]'
"$prefix/bin/runnel" config explain --data "$prefix/data" | grep -q -- "$prefix/data"
