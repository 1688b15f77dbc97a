#!/usr/bin/env python3
"""Writes the console's files as a C++ source: each as it is, and compressed with gzip.

usage: pack.py OUTPUT FILE...

The build is named by a digest of all files; in index.html {{build}} becomes that name. The modules
become one, and so do the style sheets: a browser asks for six files at a time, and each costs it
more than its bytes do. Modules keep their names apart, each in a function of its own; they have to
import as `import {a, b} from './module.js';`, export where they declare, and not in a circle.
"""
import gzip
import hashlib
import pathlib
import re
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
INDEX = "index.html"
MAIN = "main.js"
ALONE = {"theme.js"}  # runs before the page is drawn
STYLES = ["base.css", "parts.css", "pages.css"]  # later ones win
STYLE = "console.css"
IMPORT = re.compile(r"^import \{([^}]*)\} from '\./(\w+\.js)';\n", re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
LEFT = re.compile(r"^(?:import|export|await)\b.*", re.MULTILINE)


def variable(module):
    return "$" + module.removesuffix(".js")


def wrapped(module, text):
    """The module as a function that is called at once and returns what it exports."""
    names = [name for _, name in EXPORT.findall(text)]
    body = IMPORT.sub(lambda found: f"const {{{found[1]}}} = {variable(found[2])};\n", text)
    body = EXPORT.sub(r"\1", body)
    left = LEFT.search(body)
    if left:
        raise SystemExit(f"pack.py: {module}: can't be made one with the others: {left[0]}")
    return f"const {variable(module)} = (() => {{\n{body}return {{{', '.join(names)}}};\n}})();\n"


def bundle(modules):
    """All that MAIN needs, each behind what it imports."""
    out, state = [], {}

    def take(name):
        if name not in modules or state.get(name) == "open":
            raise SystemExit(f"pack.py: {name} is not there, or imports itself")
        if name in state:
            return
        state[name] = "open"
        for _, needed in IMPORT.findall(modules[name]):
            take(needed)
        state[name] = "done"
        out.append(wrapped(name, modules[name]))

    take(MAIN)
    unused = set(modules) - set(state)
    if unused:
        raise SystemExit(f"pack.py: nothing imports {', '.join(sorted(unused))}")
    return "".join(out).encode()


def served(files):
    """What the browser asks for: the modules as one, the style sheets as one, the rest as it is."""
    modules = {name: data.decode() for name, data in files.items()
               if name.endswith(".js") and name not in ALONE}
    out = {name: data for name, data in files.items() if name not in modules and name not in STYLES}
    out[MAIN] = bundle(modules)
    out[STYLE] = b"".join(files[name] for name in STYLES)
    return dict(sorted(out.items()))


def digest_of(files):
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


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
    files = served(files)
    build = digest_of(files)
    files[INDEX] = files[INDEX].replace(b"{{build}}", build.encode())
    output.write_text(source_of(files, build), encoding="utf-8")


if __name__ == "__main__":
    main()
