#!/usr/bin/env python3
"""Writes the console's files as a C++ source: each as it is, and compressed with gzip.

usage: pack.py OUTPUT FILE...

The build is named by a digest of all files. In index.html {{build}} becomes that name, and {{modules}}
the lines that have the browser load all modules at once instead of one import after the other.
"""
import gzip
import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
NOT_MODULES = {"theme.js"}  # runs before the page is drawn
INDEX = "index.html"


def digest_of(files):
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def index_of(template, build, names):
    modules = "\n".join(f'<link rel="modulepreload" href="/console/{build}/{name}">'
                        for name in names if name.endswith(".js") and name not in NOT_MODULES)
    return template.replace(b"{{modules}}", modules.encode()).replace(b"{{build}}", build.encode())


def array(name, data):
    rows = [",".join(map(str, data[at:at + 32])) for at in range(0, len(data), 32)]
    return f"constexpr unsigned char {name}[] = {{\n" + ",\n".join(rows) + "};\n"


def text(name):
    return f"{{reinterpret_cast<const char*>({name}), sizeof({name})}}"


def source_of(files, build):
    arrays, rows = "", ""
    for number, (name, data) in enumerate(files.items()):
        # Without a time, so that the same files make the same program.
        arrays += array(f"kPlain{number}", data)
        arrays += array(f"kGzip{number}", gzip.compress(data, 9, mtime=0))
        rows += (f'      {{"{name}", "{TYPES[pathlib.Path(name).suffix]}",\n'
                 f'       {text(f"kPlain{number}")},\n       {text(f"kGzip{number}")}}},\n')
    return f"""// Made by pack.py of the files in assets/.
#include "broker/http/console/assets.h"

namespace runnel::broker::http::console {{
namespace {{

{arrays}
}}  // namespace

std::string_view build() noexcept {{
  return "{build}";
}}

std::span<const Asset> assets() {{
  static const Asset kAll[] = {{
{rows}  }};
  return kAll;
}}

}}  // namespace runnel::broker::http::console
"""


def main():
    output = pathlib.Path(sys.argv[1])
    files = {path.name: path.read_bytes() for path in sorted(map(pathlib.Path, sys.argv[2:]))}
    build = digest_of(files)
    files[INDEX] = index_of(files[INDEX], build, list(files))
    output.write_text(source_of(files, build), encoding="utf-8")


if __name__ == "__main__":
    main()
